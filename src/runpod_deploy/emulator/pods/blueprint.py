"""What a pod is built from, as it travels to PID 1."""

from typing import TypedDict


class FileText(TypedDict):
    """A file written into the new root; `required` False where the folder may be read-only."""

    path: str
    mode: int
    text: str
    required: bool


class Folder(TypedDict):
    """A folder of the container disk at a path inside."""

    path: str
    mode: int


class Blueprint(TypedDict):
    """Everything PID 1 needs to build the pod's root and its name; paths are absolute.

    `links` are symbolic links of the host's root (name to target). `programs` are folders of the
    host's root that show through, copied on write. `folders` are empty ones. `hidden` are folders
    inside `programs` that must look empty. `trees` are host folders mounted read-only at the same
    path. `workspace` is mounted writable at `mount_path`.
    """

    hostname: str
    scratch: str
    disk_bytes: int
    user_namespace: bool
    links: dict[str, str]
    programs: list[str]
    folders: list[Folder]
    hidden: list[Folder]
    trees: list[str]
    workspace: str | None
    mount_path: str
    files: list[FileText]
    shims: dict[str, str]

"""A pod's root: the host's programs copied on write, everything else its own."""

# ruff: noqa: PTH101, PTH102, PTH103, PTH108, PTH110, PTH112, PTH114, PTH116, PTH120, PTH123, PTH211
# (pathlib costs more to import than building the whole root takes)

from __future__ import annotations

import os

from runpod_deploy.emulator.pods.inside import kernel

TYPE_CHECKING = False  # `typing` itself costs more to import than PID 1 has time for
if TYPE_CHECKING:
    from runpod_deploy.emulator.pods.blueprint import Blueprint, FileText

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_PROC_READ_ONLY = ("sys", "sysrq-trigger", "irq", "bus", "fs", "scsi", "acpi")
_DEVICE_FOLDER_OPTIONS = "mode=755,size=65536k"

# Folders that installers write to. Lower folders of another owner are read-only for a user
# namespace; a folder of the same name in the upper layer makes them the pod's own.
_OWNED_IN_USER_NAMESPACE = (
    "etc",
    "usr/local",
    "usr/local/lib",
    "usr/local/share",
    "var",
    "var/lib",
    "usr/lib/python3",
)
_OWNED_ALONE = ("usr/bin", "usr/lib", "usr/sbin", "usr/share", "usr/include")


def enter(blueprint: Blueprint) -> None:
    """Build the root and make it this process's; needs an own mount and PID namespace.

    Raises:
        OSError: A step failed; the text names the call and the path.
    """
    os.umask(0o022)
    kernel.keep_mounts_private()
    trees = _grab_from_host(blueprint)
    disk = blueprint["scratch"]
    kernel.mount("tmpfs", disk, kernel.NO_DEV, f"mode=755,size={blueprint['disk_bytes']}")
    root = f"{disk}/root"
    os.mkdir(root, 0o755)
    kernel.bind_on_itself(root)
    os.chdir(root)
    _lay_out(blueprint)
    for folder in blueprint["programs"]:
        _show(folder, disk, own_folders=blueprint["user_namespace"])
    for number, hidden in enumerate(blueprint["hidden"]):
        trees.append((_empty_tree(f"{disk}/hidden-{number}", hidden["mode"]), hidden["path"]))
    _mount_kernel_views()
    kernel.pivot_here()
    _place(trees, blueprint)
    for file in blueprint["files"]:
        _write(file)


def _grab_from_host(blueprint: Blueprint) -> list[tuple[int, str]]:
    """Take what is mounted as it is, while the host's root is still the root."""
    quiet = kernel.NO_SUID | kernel.NO_EXEC
    trees = [(kernel.grab(f"/dev/{name}", quiet), f"/dev/{name}") for name in _DEVICES]
    trees.append((kernel.grab("/sys", kernel.READ_ONLY), "/sys"))
    trees += [
        (kernel.grab(path, kernel.READ_ONLY | kernel.NO_DEV), path) for path in blueprint["trees"]
    ]
    if blueprint["workspace"] is not None:
        attributes = kernel.NO_SUID | kernel.NO_DEV
        trees.append((kernel.grab(blueprint["workspace"], attributes), blueprint["mount_path"]))
    return trees


def _lay_out(blueprint: Blueprint) -> None:
    """Make the top of the tree in the current folder."""
    for name, target in blueprint["links"].items():
        os.symlink(target, f".{name}")
    for folder in blueprint["folders"]:
        path = f".{folder['path']}"
        os.makedirs(path, exist_ok=True)
        os.chmod(path, folder["mode"])


def _show(folder: str, disk: str, *, own_folders: bool) -> None:
    """Show a folder of the host at the same place: copied on write, or else read-only."""
    target = f".{folder}"
    os.makedirs(target, exist_ok=True)
    upper, work = f"{disk}/upper{folder}", f"{disk}/work{folder}"
    os.makedirs(upper)
    os.makedirs(work)
    os.chmod(upper, os.stat(folder).st_mode & 0o7777)
    options = f"lowerdir={folder},upperdir={upper},workdir={work}"
    if own_folders:
        _own(folder, f"{disk}/upper")
        options += ",userxattr"
    try:
        kernel.mount("overlay", target, 0, options)
    except OSError:  # an overlay below, locked mounts inside, or a kernel that allows root only
        kernel.place(kernel.grab(folder, kernel.READ_ONLY), target)


def _own(folder: str, upper: str) -> None:
    """Put the folders that installers write to into the upper layer."""
    inside = [name for name in _OWNED_ALONE if f"/{name}".startswith(f"{folder}/")]
    for parent in _OWNED_IN_USER_NAMESPACE:
        path = f"/{parent}"
        if (path == folder or path.startswith(f"{folder}/")) and os.path.isdir(path):
            inside.append(parent)
            with os.scandir(path) as entries:
                inside += [
                    f"{parent}/{entry.name}"
                    for entry in entries
                    if entry.is_dir(follow_symlinks=False)
                ]
    for name in inside:
        lower, own = f"/{name}", f"{upper}/{name}"
        if (
            os.access(lower, os.R_OK | os.X_OK)
            and not os.path.islink(lower)
            and not os.path.isdir(own)
        ):
            os.makedirs(own)
            os.chmod(own, os.stat(lower).st_mode & 0o777)


def _empty_tree(path: str, mode: int) -> int:
    os.mkdir(path)
    os.chmod(path, mode)
    return kernel.grab(path)


def _mount_kernel_views() -> None:
    """Mount `/proc` and `/dev`; a user namespace may do so only while the host's are in sight."""
    quiet = kernel.NO_SUID | kernel.NO_DEV | kernel.NO_EXEC
    kernel.mount("proc", "./proc", quiet)
    for name in _PROC_READ_ONLY:
        if os.path.exists(f"./proc/{name}"):
            kernel.place(kernel.grab(f"./proc/{name}", kernel.READ_ONLY), f"./proc/{name}")
    kernel.mount("tmpfs", "./dev", kernel.NO_SUID | kernel.NO_EXEC, _DEVICE_FOLDER_OPTIONS)
    os.mkdir("./dev/pts")
    os.mkdir("./dev/shm")
    quiet = kernel.NO_SUID | kernel.NO_EXEC
    kernel.mount("devpts", "./dev/pts", quiet, "newinstance,ptmxmode=0666,mode=0620")
    kernel.mount("tmpfs", "./dev/shm", quiet | kernel.NO_DEV, "mode=1777")
    for name, target in (
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ):
        os.symlink(target, f"./dev/{name}")


def _place(trees: list[tuple[int, str]], blueprint: Blueprint) -> None:
    """Mount what came along; paths are looked up inside, so no link can lead out."""
    hidden = {folder["path"] for folder in blueprint["hidden"]}
    for tree, path in trees:
        if path in hidden:
            if not os.path.isdir(path):
                os.close(tree)
                continue
        elif path.startswith("/dev/"):
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o666))
        else:
            os.makedirs(path, exist_ok=True)
        kernel.place(tree, path)
    for path, target in blueprint["shims"].items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)


def _write(file: FileText) -> None:
    """Write one file; a link is followed, and another owner's file is replaced."""
    path = os.path.realpath(file["path"])
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.exists(path):
            os.unlink(path)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(file["text"])
        os.chmod(path, file["mode"])
    except OSError:
        if file["required"]:
            raise

"""Relative paths that come from a plan file or from a pod, before anything is done with them."""

OWNED_MARKER = ".runpod-deploy-owned"
UPLOAD_PREFIX = ".rd-upload-"
_LONGEST_PATH = 4096
_DEEPEST = 256


def ours(path: str) -> bool:
    """Tell whether a path below a destination is our own book-keeping there."""
    return path == OWNED_MARKER or path.startswith(UPLOAD_PREFIX)


def unsafe(path: str) -> str | None:
    """Return why a relative path must not be used, None when it may.

    A path may hold anything that a file name may: line breaks, blanks, leading dashes. It may not
    leave the folder that it is relative to.
    """
    parts = path.split("/")
    objections = (
        (not path, "it is empty"),
        (path.startswith("/"), "it is absolute"),
        ("\0" in path, "it holds a NUL"),
        (
            len(path) > _LONGEST_PATH or len(parts) > _DEEPEST,
            "it is longer or deeper than any path",
        ),
        (".." in parts, "it goes up with '..'"),
        ("" in parts or "." in parts, "it has an empty part"),
        (any("\ud800" <= char <= "\udfff" for char in path), "it is not valid UTF-8"),
    )
    return next((why for holds, why in objections if holds), None)


def link_leaves(path: str, target: str) -> str | None:
    """Return why a symbolic link at `path` would lead out of the folder, None when it stays inside.

    `..` counts only at the beginning of the target, where it goes up real folders; later on it
    could go up from wherever another link leads.
    """
    if not target:
        return "its target is empty"
    if target.startswith("/"):
        return "its target is absolute"
    parts = [part for part in target.split("/") if part not in {"", "."}]
    up = 0
    while up < len(parts) and parts[up] == "..":
        up += 1
    if ".." in parts[up:]:
        return "its target goes up after it went down"
    if up > path.count("/"):
        return "its target lies outside"
    return None

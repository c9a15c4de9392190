"""Paths on the pod as text: they may begin with a late-bound token, and no disk is looked at."""

from runpod_deploy.compiler.late_bound import MARK


def is_absolute(path: str) -> bool:
    """Return whether `path` begins at the root, or with a token that will."""
    return path.startswith(("/", MARK))


def normal(path: str) -> str:
    """Return `path` without `.`, `..`, doubled and trailing slashes; `/` stays."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return ("/" if path.startswith("/") else "") + "/".join(parts)


def inside(path: str, folder: str) -> bool:
    """Return whether `path` is `folder` or lies below it."""
    path, folder = normal(path), normal(folder)
    return path == folder or path.startswith(folder.rstrip("/") + "/")

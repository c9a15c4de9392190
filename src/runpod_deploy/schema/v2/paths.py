"""Where paths of version 2 begin, and how version 3 writes the same place."""

import posixpath
import re
from collections.abc import Mapping

from runpod_deploy.schema.v2.placeholders import filled

LOGIN_HOME = "/root"
_ROOTS = ("{run_dir}", "{project_root}", "{config_dir}")
_HOME = re.compile(r"~(?=/|\Z)|\$HOME(?=/|\Z)|\$\{HOME\}(?=/|\Z)")
_FILE_NAME = re.compile(r"[^/]+\.[A-Za-z][A-Za-z0-9]*")


def pod_path(path: str, values: Mapping[str, str]) -> str:
    """Return the absolute form of a path on the pod, where relative ones began at the login's home."""
    place = _HOME.sub(LOGIN_HOME, path, count=1)
    if filled(place, values).startswith(("/", "{", "~")):
        return place
    return f"{LOGIN_HOME}/{place.removeprefix('./')}"


def landing_path(path: str, remote_path: str, values: Mapping[str, str]) -> str:
    """Return where a result lands; relative paths began at the project root, not at the run folder.

    A file that was copied into a folder keeps its name there.
    """
    folder = path.rstrip("/") or "/"
    name = posixpath.basename(filled(remote_path, values))
    if (path.endswith("/") or path in _ROOTS) and _FILE_NAME.fullmatch(name):
        folder = f"{folder}/{posixpath.basename(remote_path)}"
    if filled(folder, values).startswith(("/", "~", *_ROOTS)):
        return folder
    folder = posixpath.normpath(folder)
    return "{project_root}" if folder == "." else f"{{project_root}}/{folder}"


def root_path(path: str) -> str:
    """Return the project root relative to the job file's folder, where it always was."""
    if path == "{config_dir}":
        return "."
    return path.removeprefix("{config_dir}/") or "."


def state_path(path: str) -> str | None:
    """Return a state file's place relative to the project root, None for one outside of it."""
    place = posixpath.normpath(path.removeprefix("{project_root}/"))
    outside = place.startswith(("/", "~", "$", "..", "{"))
    return None if outside or place == "." else place


def lies_in(path: str, folder: str, values: Mapping[str, str]) -> bool:
    """Return whether a path on the pod is `folder` or lies below it, as far as can be told."""
    place = posixpath.normpath(filled(pod_path(path, values), values))
    return place == folder or place.startswith(folder.rstrip("/") + "/")

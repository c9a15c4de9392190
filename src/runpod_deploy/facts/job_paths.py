"""The local paths that a job file names: where they lead, whether something is there."""

import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from runpod_deploy.compiler.findings import Finding, below
from runpod_deploy.compiler.lifecycle import state_file
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.errors import Severity
from runpod_deploy.facts.project import Project, at_home
from runpod_deploy.schema.near_miss import near_miss
from runpod_deploy.schema.opening import NotAFile, read_judged

MAX_SCRIPT_BYTES = 4 * 2**20
_MAX_NEIGHBOURS = 1000
_OF_THE_PROJECT = (
    "Only what lies in the project travels: put it there, or choose another `local.project_root`. "
    "Keys and accounts are for `secrets:`, which takes them from variables of your environment:\n"
    "  - {name: aws, destination: /root/.secrets/aws.env, env: [AWS_ACCESS_KEY_ID]}"
)


def named_paths(config: Resolved, project: Project, failed: frozenset[str]) -> list[Finding]:
    """Return what is wrong with the paths of a job, apart from those in `failed`.

    `ssh.key_path` is not looked at: the key is the user's, and only its public half is used.
    """
    found = [
        finding
        for pointer, path, needed in _paths(config)
        if not below(pointer, failed)
        for finding in _check(pointer, path, project, needed=needed)
    ]
    if config.lifecycle.on_success == "recycle" and not below("/state_file", failed):
        found += _check_state_file(state_file(config), project)
    return found


def _check_state_file(path: str, project: Project) -> Iterator[Finding]:
    place = project.locate(path)
    if not project.may_touch(place):
        yield _outside("/state_file", path, place, project)


def _paths(config: Resolved) -> Iterator[tuple[str, str, bool]]:
    """Yield pointer, path, and whether a plan cannot be made without it."""
    for index, entry in enumerate(config.staging):
        yield f"/staging/{index}/source", entry.source, True
    if config.run.script is not None:
        yield "/run/script", config.run.script, True
    for index, secret in enumerate(config.secrets):
        if secret.file is not None:
            yield f"/secrets/{index}/file", secret.file, False
    webhook = config.notify.webhook if config.notify else None
    if webhook is not None and webhook.file is not None:
        yield "/notify/webhook/file", webhook.file, False
    for index, path in enumerate(config.local.required_paths):
        yield f"/local/required_paths/{index}", path, False


def _check(pointer: str, path: str, project: Project, *, needed: bool) -> Iterator[Finding]:
    secret = pointer.startswith(("/secrets/", "/notify/webhook/"))
    if path.startswith(("/", "~")) and not secret:
        yield Finding(
            pointer=pointer,
            code="absolute-path",
            summary="A local path is not relative to the project",
            detail=f"`{path}` exists on one machine only; a plan holds paths relative to the "
            "project root.",
            suggestion=_relative(path, project),
            help=None if _relative(path, project) else _OF_THE_PROJECT,
        )
        return
    place = project.locate(path)
    if not project.may_touch(place):
        yield _outside(pointer, path, place, project)
    elif not _exists(place):
        yield _missing(pointer, path, place, project, needed=needed)
    elif secret and not place.is_file():
        yield Finding(
            pointer=pointer,
            code="not-a-file",
            summary="A secret is no file",
            detail=f"`{path}` is {_kind(place)}, and was not opened. A secret is the content of a "
            "file.",
            help="Name a file, or take the secret from a variable of your environment by `env`.",
        )


def _missing(pointer: str, path: str, place: Path, project: Project, *, needed: bool) -> Finding:
    return Finding(
        pointer=pointer,
        severity=Severity.ERROR if needed else Severity.WARNING,
        code="missing-path",
        summary="A local path is missing",
        detail=f"There is no `{path}` in the project root, `{project.root}`."
        + ("" if needed else " It must be there when the plan is applied."),
        suggestion=_near(path, place),
    )


def _near(path: str, place: Path) -> str | None:
    """Return the path with the name of a neighbour that was probably meant."""
    start, slash, name = path.rstrip("/").rpartition("/")
    if name != place.name:  # a link, which is there
        return None
    try:
        names = [entry.name for entry in islice(place.parent.iterdir(), _MAX_NEIGHBOURS)]
    except OSError:
        return None
    near = near_miss(name, sorted(names))
    return None if near is None else f"{start}{slash}{near}"


def _kind(place: Path) -> str:
    try:
        mode = place.stat().st_mode
    except OSError:
        return "nothing that can be looked at"
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _outside(pointer: str, path: str, place: Path, project: Project) -> Finding:
    return Finding(
        pointer=pointer,
        code="path-outside",
        summary="A path leads out of the project",
        detail=f"`{path}` leads out of the {project.bound}, or into git's own folder, and a job "
        "file may touch nothing there.",
        help=f"If that is meant:\n  --allow-path {place if place.is_dir() else place.parent}",
    )


def _relative(path: str, project: Project) -> str | None:
    place = at_home(path)
    return place.relative_to(project.root).as_posix() if _is_below(place, project.root) else None


def _is_below(place: Path, folder: Path) -> bool:
    return place.is_relative_to(folder)


def _exists(place: Path) -> bool:
    try:
        return place.exists()
    except OSError:
        return False


def read_script(config: Resolved, project: Project) -> tuple[str | None, list[Finding]]:
    """Return the text of `run.script`, as it is byte for byte, and what is wrong with it."""
    if config.run.script is None:
        return None, []
    place = project.locate(config.run.script)
    try:
        content = read_judged(place, MAX_SCRIPT_BYTES + 1)
        if len(content) > MAX_SCRIPT_BYTES:
            limit = MAX_SCRIPT_BYTES // 2**20
            return None, [_unfit(f"`{config.run.script}` is larger than {limit} MiB.")]
        return content.decode(), []
    except NotAFile:
        return None, [_unfit(f"`{config.run.script}` is not a file.")]
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return None, [_unfit(f"`{config.run.script}` is not UTF-8 text (line {line}).")]
    except OSError as error:
        return None, [_unfit(f"`{config.run.script}` cannot be read: {error.strerror}.")]


def _unfit(detail: str) -> Finding:
    return Finding(
        pointer="/run/script",
        code="script-file",
        summary="The script cannot be used",
        detail=f"{detail} A plan holds the script in full, as text.",
        help="Stage large or binary programs, and start them from a short script.",
    )

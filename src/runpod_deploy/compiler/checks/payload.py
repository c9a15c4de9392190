"""Lints about the files that would be sent."""

import re
from collections.abc import Iterator, Mapping, Sequence, Set

from runpod_deploy.compiler.checks.lint import Lint
from runpod_deploy.compiler.facts import Facts, Mark, MarkKind
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.payload_files import sums_of
from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.compiler.secret_looking import NAMES
from runpod_deploy.schema.job import StagingEntry

NOTHING_STAGED = Lint(
    code="nothing-staged",
    summary="A staging sends nothing",
    why="Filters and ignore files can leave nothing of a source, and the job then misses what it "
    "was written for.",
    cure="Look at `excludes`, `.gitignore` and `.runpodignore`, or remove the entry.",
)
SECRET_STAGED = Lint(
    code="secret-staged",
    summary="Files that look like secrets would be sent",
    why="A staged file lies on the pod with the rights of everything else, stays on a volume, and "
    "comes back with results that are too wide.",
    cure="Exclude them, and name what the job needs under `secrets:`.",
)
SECRET_IN_FILE = Lint(
    code="secret-in-file",
    summary="A file that would be sent holds what looks like a secret",
    why="Keys in code travel to every pod, into every copy and into git.",
    cure="Take it back where it was issued, read it from the environment, and name the variable "
    "below `secrets:`.",
)
LARGE_FILE = Lint(
    code="large-file",
    summary="Large files would be sent",
    why="Every pod that is rented waits, paid, until they have come over this machine's line.",
    cure="Put large data on a network volume, or let the job download it.",
)
USER_PATH_IN_FILE = Lint(
    code="user-path-in-file",
    summary="A file that would be sent names a path of somebody's own machine",
    why="What lies below /home/NAME or /Users/NAME on one machine is not on the pod.",
    cure="Write the path relative to the file, or take it from the environment.",
)
TOOL_IN_PAYLOAD = Lint(
    code="tool-in-payload",
    summary="The payload depends on runpod-deploy",
    why="What starts the pods is not needed on them. Installing it there fails where the package "
    "index has another program of that name, or none, and costs time where it works.",
    cure="Move it to a group that is not installed on the pod.",
)
TORCH_INDEX = Lint(
    code="torch-index",
    summary="torch would come for another CUDA",
    why="Without an index of its own, torch comes for the newest CUDA it knows. On a host whose "
    "driver is older it reports that the driver is too old, and the GPU is not used.",
    cure="Name the builds that fit, such as those for cu128 where the image has CUDA 12.8.",
)
LINTS = (
    NOTHING_STAGED,
    SECRET_STAGED,
    SECRET_IN_FILE,
    LARGE_FILE,
    USER_PATH_IN_FILE,
    TOOL_IN_PAYLOAD,
    TORCH_INDEX,
)

_SHOWN = 10
_SECRET_NAME = re.compile(NAMES)
_TOOL = re.compile(r"(?:^|[\"'\s])runpod-deploy(?![\w.-])", re.MULTILINE)
_OWN_NAME = re.compile(r"^\s*name\s*=\s*[\"']runpod-deploy[\"']", re.MULTILINE)
_TORCH = re.compile(r"(?:^|[\"'\s])torch\s*(?:[<>=!~;\[,\"'\s]|$)", re.MULTILINE)
_PINNED_BUILD = re.compile(r"download\.pytorch\.org|\+cu\d|index-url|tool\.uv\.index|find-links")


def _stagings(config: Resolved, facts: Facts) -> Iterator[tuple[int, StagingEntry]]:
    """Yield the stagings whose files are known."""
    for index, entry in enumerate(config.staging):
        if entry.label in facts.payload:
            yield index, entry


def empty(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """Each staging sends something."""
    told = {finding.where for finding in facts.diagnostics}
    for index, entry in _stagings(config, facts):
        pointer = f"/staging/{index}/source"
        # What is in the way of its files was told as an error there.
        if not facts.payload[entry.label] and config.source.positions.get(pointer) not in told:
            yield NOTHING_STAGED.at(
                pointer, f"No file of `{entry.source}` is left after filters and ignore files."
            )


def secret_files(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """No file travels that is called like a secret, or that the job itself names as one."""
    for index, entry in _stagings(config, facts):
        own = {_below(entry.source, file) for file in _secret_files(config)} - {None}
        named = _secret_named(facts.payload[entry.label], entry, own)
        if named:
            yield SECRET_STAGED.at(
                f"/staging/{index}/source",
                f"`{entry.label}` sends what looks like a secret: {_listed(named)}.",
            )


def _secret_named(
    files: Sequence[PayloadEntry], entry: StagingEntry, own: Set[str | None]
) -> list[str]:
    if own or len(files) == 1:
        return [
            item.path or entry.source
            for item in files
            if item.path in own or _SECRET_NAME.fullmatch(_name(item, entry))
        ]
    return list(sums_of(files).secret_named)


def _secret_files(config: Resolved) -> Iterator[str]:
    """Yield the local files that the job itself names as secrets."""
    yield from (one.file for one in config.secrets if one.file is not None)
    webhook = config.notify.webhook if config.notify else None
    if webhook is not None and webhook.file is not None:
        yield webhook.file


def large_files(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """No file travels that is very large."""
    for index, entry in _stagings(config, facts):
        large = [path or entry.source for path in sums_of(facts.payload[entry.label]).huge]
        if large:
            yield LARGE_FILE.at(
                f"/staging/{index}/source",
                f"`{entry.label}` sends files of a gibibyte or more: {_listed(large)}.",
            )


def marked_files(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """No staged file holds a secret, nor a path of somebody's own machine."""
    told: tuple[tuple[MarkKind, Lint, str], ...] = (
        ("secret", SECRET_IN_FILE, "holds what looks like a key or a token"),
        ("user-path", USER_PATH_IN_FILE, "names paths below a home folder"),
    )
    for index, entry in _stagings(config, facts):
        found = facts.marks.get(entry.label, ())
        for kind, lint, what in told:
            places = [_place(mark, entry) for mark in found if mark.kind == kind]
            if places:
                yield lint.at(
                    f"/staging/{index}/source", f"`{entry.label}` {what}: {_listed(places)}."
                )


def requirements(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """What the payload says is installed can be installed on a pod."""
    for index, entry in _stagings(config, facts):
        texts = facts.requirements.get(entry.label, {})
        pointer = f"/staging/{index}/source"
        tool = [path for path, text in texts.items() if _needs_tool(text)]
        if tool:
            yield TOOL_IN_PAYLOAD.at(
                pointer, f"`{entry.label}` asks for `runpod-deploy` in {_listed(tool)}."
            )
        torch = list(_loose_torch(texts))
        if torch and not _torch_is_there(config):
            yield TORCH_INDEX.at(
                pointer,
                f"`{entry.label}` asks for `torch` without saying for which CUDA in "
                f"{_listed(torch)}.",
            )


def _needs_tool(text: str) -> bool:
    return _OWN_NAME.search(text) is None and _TOOL.search(_uncommented(text)) is not None


def _loose_torch(texts: Mapping[str, str]) -> Iterator[str]:
    if any(_PINNED_BUILD.search(text) for text in texts.values()):
        return
    for path, text in texts.items():
        if _TORCH.search(_uncommented(text)):
            yield path


def _torch_is_there(config: Resolved) -> bool:
    """Return whether the image brings torch, which an unpinned requirement then keeps."""
    return "torch" in (config.pod.image or "").lower()


def _uncommented(text: str) -> str:
    return re.sub(r"(?m)(?:^|\s)#.*$", "", text)


def _below(source: str, path: str) -> str | None:
    """Return `path` relative to `source`, both relative to the project root."""
    if path == source:
        return ""
    start = "" if source in {".", ""} else f"{source.rstrip('/')}/"
    return (
        path.removeprefix("./")[len(start) :] if path.removeprefix("./").startswith(start) else None
    )


def _name(item: PayloadEntry, entry: StagingEntry) -> str:
    return (item.path or entry.source).rpartition("/")[2]


def _place(mark: Mark, entry: StagingEntry) -> str:
    path = mark.path or entry.source
    return f"{path}:{mark.line}" if mark.line else path


def _listed(paths: list[str]) -> str:
    shown = ", ".join(f"`{path}`" for path in paths[:_SHOWN])
    more = len(paths) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


RULES = (empty, secret_files, large_files, marked_files, requirements)

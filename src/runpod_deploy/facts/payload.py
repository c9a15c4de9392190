"""The files of one staging entry, and what a reader of the plan should know about them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.errors import Severity
from runpod_deploy.facts.filters import filter_rules
from runpod_deploy.facts.project import Project
from runpod_deploy.facts.seal import seal
from runpod_deploy.facts.walk import Obstacle, walk
from runpod_deploy.schema.job import StagingEntry

LARGE_BYTES = 2**30
_SHOWN = 10
_SECRET_NAMES = re.compile(
    r"(\.env(\.(?!example|sample|template|dist)[^/]*)?|\.netrc|\.pgpass|\.pypirc|\.npmrc"
    r"|id_(rsa|dsa|ecdsa|ed25519)|[^/]*\.(pem|p12|pfx|key|kdbx)|credentials(\.json)?"
    r"|service[-_]account[^/]*\.json|\.git-credentials)"
)
_TOLD: Mapping[Obstacle, tuple[str, str, str]] = {
    "link-leaves-source": (
        "Symbolic links lead out of the source",
        "Symbolic links travel as links, and these would lead nowhere on the pod",
        "Exclude them, or stage what they point to.",
    ),
    "special-file": (
        "Sockets, pipes or devices cannot travel",
        "Only files and symbolic links travel, and these are neither",
        "Exclude them.",
    ),
    "name-not-utf8": (
        "File names are not UTF-8",
        "A plan is UTF-8 text, and these names cannot stand in it",
        "Rename or exclude them.",
    ),
    "unreadable": (
        "Files cannot be read",
        "These could not be read, or changed while they were",
        "Exclude them, or give yourself the right to read them.",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Payload:
    """What travels of one source, and what stands in the way: kind to paths."""

    entries: tuple[PayloadEntry, ...]
    obstacles: Mapping[Obstacle, tuple[str, ...]]


def find_payload(
    source: Path,
    excludes: tuple[str, ...],
    *,
    ignore_top: Path,
    gitignore: bool,
    use_cache: bool,
    environ: Mapping[str, str],
) -> Payload:
    """Return the files of `source`, an existing path with its links resolved.

    Args:
        source: A folder or a file.
        excludes: Filter patterns, the first match wins.
        ignore_top: The topmost folder whose ignore files count.
        gitignore: Whether `.gitignore` counts beside `.runpodignore`.
        use_cache: Whether known digests may stand in for reading.
        environ: Says where digests are kept.
    """
    walked = walk(source, filter_rules(excludes), ignore_top, gitignore=gitignore)
    entries, unread = seal(source, walked.found, use_cache=use_cache, environ=environ)
    obstacles = {kind: tuple(sorted(paths)) for kind, paths in walked.obstacles.items()}
    if unread:
        obstacles["unreadable"] = (*obstacles.get("unreadable", ()), *unread)
    return Payload(entries=entries, obstacles=obstacles)


def oddities(
    payload: Payload, index: int, entry: StagingEntry, config: Resolved, project: Project
) -> Iterator[Finding]:
    """Return the obstacles of a staging as errors, and what looks unintended as warnings."""
    pointer = f"/staging/{index}/source"
    for kind, paths in payload.obstacles.items():
        summary, detail, help_text = _TOLD[kind]
        yield Finding(
            pointer=pointer,
            code=kind,
            summary=summary,
            detail=f"{detail}: {_listed(paths)}.",
            help=help_text,
        )
    if not payload.entries and not payload.obstacles:
        yield Finding(
            pointer=pointer,
            severity=Severity.WARNING,
            code="nothing-staged",
            summary="A staging sends nothing",
            detail=f"No file of `{entry.source}` is left after filters and ignore files.",
        )
    secret = _secret_files(payload, entry, config, project)
    if secret:
        yield Finding(
            pointer=pointer,
            severity=Severity.WARNING,
            code="secret-staged",
            summary="Files that look like secrets would be sent",
            detail=f"`{entry.label}` sends what looks like a secret: {_listed(secret)}.",
            help="Exclude them, and name what the job needs under `secrets:`.",
        )
    large = [item.path or entry.source for item in payload.entries if item.size >= LARGE_BYTES]
    if large:
        yield Finding(
            pointer=pointer,
            severity=Severity.WARNING,
            code="large-file",
            summary="Large files would be sent",
            detail=f"`{entry.label}` sends files of a gibibyte or more: {_listed(large)}.",
            help="Put large data on a network volume, or let the job download it.",
        )


def _secret_files(
    payload: Payload, entry: StagingEntry, config: Resolved, project: Project
) -> list[str]:
    source = project.locate(entry.source)
    named = {project.locate(secret.file) for secret in config.secrets if secret.file is not None}
    inside = {
        place.relative_to(source).as_posix() for place in named if place.is_relative_to(source)
    }
    return [
        item.path or entry.source
        for item in payload.entries
        if item.path in inside
        or _SECRET_NAMES.fullmatch((item.path or source.name).rpartition("/")[2])
    ]


def _listed(paths: "tuple[str, ...] | list[str]") -> str:
    shown = ", ".join(f"`{path}`" for path in paths[:_SHOWN])
    more = len(paths) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown

"""The files of one staging entry, and what a reader of the plan should know about them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.payload_files import PayloadFiles
from runpod_deploy.facts.digest_cache import now_ns
from runpod_deploy.facts.filters import filter_rules
from runpod_deploy.facts.known_tree import Choice, KnownTree, recall, remember
from runpod_deploy.facts.requirements import requirement_files
from runpod_deploy.facts.seal import seal
from runpod_deploy.facts.walk import Obstacle, rule_files_above, rule_names, walk
from runpod_deploy.frozen import frozen

_SHOWN = 10
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


@frozen
class Payload:
    """What travels of one source.

    Attributes:
        entries: Its files and links.
        obstacles: What stands in the way: kind to paths.
        flagged: Paths of files that hold something worth a warning, and the flags of `scan`.
        requirements: Paths of files that say what is to be installed.
    """

    entries: PayloadFiles
    obstacles: Mapping[Obstacle, tuple[str, ...]]
    flagged: tuple[tuple[str, int], ...] = ()
    requirements: tuple[str, ...] = ()


def find_payload(
    source: Path,
    excludes: tuple[str, ...],
    *,
    ignore_top: Path,
    gitignore: bool,
    use_cache: bool,
    environ: Mapping[str, str],
    look: bool = False,
) -> Payload:
    """Return the files of `source`, an existing path with its links resolved.

    Args:
        source: A folder or a file.
        excludes: Filter patterns, the first match wins.
        ignore_top: The topmost folder whose ignore files count.
        gitignore: Whether `.gitignore` counts beside `.runpodignore`.
        use_cache: Whether known digests may stand in for reading.
        environ: Says where digests are kept.
        look: Whether to look for what is worth a warning, while the files are read.
    """
    above = rule_files_above(source, ignore_top, rule_names(gitignore=gitignore))
    choice = Choice(source=source, excludes=excludes, gitignore=gitignore, above=above)
    known = recall(choice, environ) if use_cache and look else None
    obstacles: dict[Obstacle, tuple[str, ...]] = {}
    if known is None:
        began = now_ns()
        walked = walk(source, filter_rules(excludes), ignore_top, gitignore=gitignore, above=above)
        sealed = seal(source, walked.found, use_cache=use_cache, environ=environ, look=look)
        obstacles |= {kind: tuple(sorted(paths)) for kind, paths in walked.obstacles.items()}
        if sealed.unread:
            obstacles["unreadable"] = (*obstacles.get("unreadable", ()), *sealed.unread)
        known = KnownTree(
            entries=PayloadFiles(sealed.entries),
            flagged=sealed.flagged,
            requirements=requirement_files(source, sealed.entries),
        )
        if use_cache and look and sealed.steady:
            remember(choice, known, walked, began, environ)
    return Payload(
        entries=known.entries,
        obstacles=obstacles,
        flagged=known.flagged,
        requirements=known.requirements,
    )


def in_the_way(payload: Payload, index: int) -> Iterator[Finding]:
    """Return what cannot travel of the staging number `index`, as errors."""
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


def _listed(paths: tuple[str, ...]) -> str:
    shown = ", ".join(f"`{path}`" for path in paths[:_SHOWN])
    more = len(paths) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown

"""Files of a payload that neither the commit nor the archive holds: too large to be kept.

Where the work tree has one with the very digest that was planned, an empty file stands in for it, so
that the rules of the job decide about it as about every other.
"""

import hashlib
import os
import posixpath
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from runpod_deploy.compiler.plan import PayloadEntry, PlanFile
from runpod_deploy.facts.git_tree import GitTree
from runpod_deploy.facts.project import Project


@dataclass(frozen=True, kw_only=True, slots=True)
class StandIns:
    """What an empty file stands in for: pairs of staging label and path; and where those lie."""

    files: frozenset[tuple[str, str]]
    places: tuple[Path, ...]
    notes: tuple[str, ...]


def stand_ins(
    plan_file: PlanFile,
    project: Project,
    tree: GitTree,
    unpacked: Collection[str],
    toplevel: Path,
) -> StandIns:
    """Put an empty file where a planned one is missing and the work tree has it.

    Args:
        project: Of the laid out tree.
        unpacked: What the archive held, relative to the top level.
        toplevel: The work tree.
    """
    found: dict[tuple[str, str], int] = {}
    places = []
    for label, name, entry in planned_files(plan_file, project, tree):
        held = name in tree.entries or name in unpacked
        if not held and entry.type == "file" and _is_planned(toplevel / name, entry):
            place = tree.folder / name
            if _is_free(place, tree.folder):
                place.parent.mkdir(parents=True, exist_ok=True)
                place.touch(mode=0o755 if entry.exec else 0o644, exist_ok=False)
                found[label, entry.path] = entry.size
                places.append(place)
    return StandIns(files=frozenset(found), places=tuple(places), notes=tuple(_told(found)))


def planned_files(
    plan_file: PlanFile, project: Project, tree: GitTree
) -> Iterator[tuple[str, str, PayloadEntry]]:
    """Yield the label of each planned file, its path in the tree, and the entry."""
    for staging in plan_file.plan.staging:
        source = project.locate(staging.source)
        if source.is_relative_to(tree.folder):
            start = source.relative_to(tree.folder).as_posix()
            for entry in plan_file.payload[staging.label]:
                name = posixpath.normpath(posixpath.join(start, entry.path))
                if not name.startswith(("../", "/")):
                    yield staging.label, name, entry


def _is_planned(place: Path, entry: PayloadEntry) -> bool:
    try:
        status = place.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size != entry.size:
            return False
        if bool(status.st_mode & stat.S_IXUSR) is not entry.exec:
            return False
        with place.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256
    except OSError:
        return False


def _is_free(place: Path, folder: Path) -> bool:
    """Return whether nothing is there, and no link leads out on the way to it."""
    return not os.path.lexists(place) and Path(os.path.realpath(place)).is_relative_to(folder)


def _told(found: dict[tuple[str, str], int]) -> Iterator[str]:
    if found:
        some = ", ".join(path for _, path in sorted(found)[:3])
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        yield (
            f"{some}{more} ({sum(found.values())} bytes) are neither in the commit nor kept beside "
            "the plan; those in the work tree have the planned digests, and count"
        )

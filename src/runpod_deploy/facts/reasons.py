"""Why files of a commit differ from those that were planned, as far as git can know."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from runpod_deploy.compiler.plan import PayloadEntry, PlanFile
from runpod_deploy.facts.git_tree import GitTree
from runpod_deploy.facts.project import Project
from runpod_deploy.facts.stand_in import planned_files

_SHOWN = 3
_LARGEST_TEXT = 2**24


def reasons(
    plan_file: PlanFile,
    payload: Mapping[str, Sequence[PayloadEntry]],
    project: Project,
    tree: GitTree,
) -> tuple[str, ...]:
    """Return probable reasons, in sentences.

    Args:
        payload: Staging label to the files that the commit gives.
        project: Of the laid out tree.
    """
    now = {(label, one.path): one for label, entries in payload.items() for one in entries}
    found: dict[str, list[str]] = {}
    different = {}
    for label, name, entry in planned_files(plan_file, project, tree):
        here = now.get((label, entry.path))
        if here is None:
            found.setdefault(_absent(name, tree), []).append(name)
        elif here != entry:
            different[name] = entry
    filters = tree.filters_of(different) if different else {}
    for name, entry in different.items():
        if _only_line_ends(tree.folder / name, entry):
            why = "differ in line ends only: git's settings for them are others here, or were there"
            found.setdefault(why, []).append(name)
        elif name in filters:
            why = f"go through git's filter {filters[name]!r}, which is not run here"
            found.setdefault(why, []).append(name)
    return tuple(f"{_listed(names)} {why}" for why, names in found.items())


def _absent(name: str, tree: GitTree) -> str:
    for folder in _above(name):
        if folder in tree.entries and tree.entries[folder].is_submodule:
            return f"are in the submodule {folder}, whose files the commit does not hold"
    if name in tree.entries:
        return "are in the commit, whose rules leave them behind"
    return (
        "are not in the commit, were not kept beside the plan, and are not in the work tree as they "
        "were planned"
    )


def _above(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def _only_line_ends(place: Path, entry: PayloadEntry) -> bool:
    if entry.type != "file" or place.is_symlink() or not place.is_file():
        return False
    if place.stat().st_size > _LARGEST_TEXT:
        return False
    plain = place.read_bytes().replace(b"\r\n", b"\n")
    forms = (plain, plain.replace(b"\n", b"\r\n"))
    return entry.sha256 in {hashlib.sha256(form).hexdigest() for form in forms}


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown

"""Files that Git LFS keeps elsewhere: a commit holds a pointer, which tells their digest and size."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.facts.git_tree import GitTree

_FILTER = "lfs"
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*"
    rb"oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,18})\n"
)
_LONGEST_POINTER = 1024


def without_pointers(
    tree: GitTree,
    source: Path,
    entries: Sequence[PayloadEntry],
    planned: Mapping[str, PayloadEntry] | None = None,
) -> tuple[PayloadEntry, ...]:
    """Return entries with those of Git LFS as the files they stand for, where LFS is set up.

    Args:
        source: Where the entries' files are laid out.
        planned: By path; what is a pointer there stays one, and what is none does not, whether LFS
            is set up here or not.
    """
    if planned is None and not tree.has_lfs:
        return tuple(entries)
    stands_for: dict[str, PayloadEntry] = {}
    places: dict[str, str] = {}
    for entry in entries:
        if entry.type == "file" and entry.size <= _LONGEST_POINTER:
            place = source / entry.path if entry.path else source
            pointer = _POINTER.fullmatch(place.read_bytes())
            if pointer is not None:
                content = replace(entry, sha256=pointer[1].decode(), size=int(pointer[2]))
                stands_for[entry.path] = content
                places[entry.path] = place.relative_to(tree.folder).as_posix()
    filters = tree.filters_of(places.values()) if places else {}
    return tuple(
        stands_for[one.path]
        if filters.get(places.get(one.path, "")) == _FILTER
        and (planned is None or planned.get(one.path) != one)
        else one
        for one in entries
    )

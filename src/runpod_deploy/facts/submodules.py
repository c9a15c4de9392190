"""Submodules of a laid out revision: their files too, where this clone has the commit that is meant.

A superproject's revision names a commit of each submodule. It is laid out from the submodule's own
repository, as the superproject is from its: by an index of its own, with nothing executed. Where the
submodule is not checked out, or lacks the commit, its files are absent, as after a plain clone.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from runpod_deploy.errors import InvalidInput
from runpod_deploy.facts.git_tree import GitTree, open_tree
from runpod_deploy.facts.project import git_toplevel


def lay_out_submodules(
    tree: GitTree,
    toplevel: Path,
    sources: Collection[str],
    environ: Mapping[str, str],
    above: str = "",
) -> Iterator[str]:
    """Lay out what is needed of the submodules of `tree`; yields what could not be, in sentences.

    Args:
        toplevel: The work tree that `tree` is a revision of, links resolved.
        sources: The paths that are needed, relative to the outermost tree; an empty one is all.
        environ: For git.
        above: The path of `tree` in the outermost one, with `/` behind.
    """
    for number, (path, entry) in enumerate(sorted(tree.entries.items())):
        if not entry.is_submodule or not _touches(above + path, sources):
            continue
        inner = _opened(tree, toplevel / path, path, entry.sha, number, environ)
        if inner is None:
            yield (
                f"{above}{path} is a submodule whose commit {entry.sha[:12]} is not in this clone: its "
                "files count as absent"
            )
            continue
        inner.lay_out(one for one in inner.entries if _needed(f"{above}{path}/{one}", sources))
        yield from lay_out_submodules(
            inner, toplevel / path, sources, environ, above=f"{above}{path}/"
        )


def _opened(
    tree: GitTree, place: Path, path: str, sha: str, number: int, environ: Mapping[str, str]
) -> GitTree | None:
    # A repository of its own, and no link that leads to another one.
    if os.path.realpath(place) != os.fspath(place) or git_toplevel(place) != place:
        return None
    folder = tree.folder / path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Beside all trees: nothing of ours may lie in what is looked at.
        return open_tree(place, sha, tree.scratch / f"submodule-{number}", environ, folder=folder)
    except (InvalidInput, OSError):
        return None


def _touches(path: str, sources: Collection[str]) -> bool:
    """Return whether something at or below `path` is needed."""
    return _needed(path, sources) or any(one.startswith(f"{path}/") for one in sources)


def _needed(path: str, sources: Collection[str]) -> bool:
    parts = path.split("/")
    return any("/".join(parts[:count]) in sources for count in range(len(parts) + 1))

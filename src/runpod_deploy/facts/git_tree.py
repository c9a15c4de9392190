"""The files of one commit, listed, and laid out on demand in a folder of their own.

The repository's own index and work tree are not touched: another index is used for it.
"""

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runpod_deploy.errors import InvalidInput
from runpod_deploy.facts.git import SETTINGS, safe_environment

_TIMEOUT_SEC = 600.0
_LINK = "120000"
_SUBMODULE = "160000"
_FILTER_PARTS = ("smudge", "clean", "process")
# What would leave files out, or write beside the index that it is told to write.
_PLAIN_INDEX = {
    "core.sparseCheckout": "false",
    "core.splitIndex": "false",
    "core.untrackedCache": "false",
    "index.sparse": "false",
}


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One path of a commit; `mode` as git writes it."""

    mode: str

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return self.mode == _LINK

    @property
    def is_submodule(self) -> bool:
        """Whether it stands for a commit of another repository."""
        return self.mode == _SUBMODULE


@dataclass(frozen=True, kw_only=True)
class GitTree:
    """A commit whose files can be laid out.

    Attributes:
        commit: Its full name.
        folder: Where its files are laid out; absolute, links resolved.
        entries: Every path of it; those that are not UTF-8 hold surrogates.
        has_lfs: Whether a checkout here would replace the pointers of Git LFS.
    """

    commit: str
    folder: Path
    entries: Mapping[str, TreeEntry]
    has_lfs: bool
    environ: Mapping[str, str]

    def lay_out(self, paths: Iterable[str]) -> None:
        """Write files as a clean checkout would; those that are there already stay.

        Raises:
            InvalidInput: git cannot.
        """
        wanted = "".join(f"{path}\0" for path in paths if not self.entries[path].is_submodule)
        if wanted:
            _git(
                self.folder,
                self.environ,
                *("checkout-index", "--force", "-z", "--stdin"),
                fed=wanted.encode("utf-8", "surrogateescape"),
            )

    def with_filter(self, name: str, paths: Iterable[str]) -> frozenset[str]:
        """Return those of `paths` whose attributes name the filter `name`."""
        asked = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
        command = ("check-attr", "--cached", "-z", "--stdin", "filter")
        told = _git(self.folder, self.environ, *command, fed=asked)
        parts = told.decode("utf-8", "surrogateescape").split("\0")
        return frozenset(
            path for path, value in zip(parts[::3], parts[2::3], strict=False) if value == name
        )


def open_tree(toplevel: Path, revision: str, place: Path, environ: Mapping[str, str]) -> GitTree:
    """Return the tree of `revision`, nothing of it laid out yet.

    Args:
        toplevel: The work tree of the repository.
        place: An empty folder that nothing else uses.

    Raises:
        InvalidInput: There is no git, no such commit, or git refuses.
    """
    plain = safe_environment(environ)
    own = _git(toplevel, plain, "rev-parse", "--absolute-git-dir").decode().strip()
    commit = _commit(toplevel, revision, plain)
    keys = _git(toplevel, plain, "config", "--list", "--name-only", "-z").decode(
        "utf-8", "surrogateescape"
    )
    filters = {key.rpartition(".")[0] for key in keys.split("\0") if key.startswith("filter.")}
    folder = place / "tree"
    # An empty one: the boundary of what a job may touch, and nothing to git.
    (folder / ".git").mkdir(parents=True)
    # The settings of the caller's environment do not stay: ours take the places.
    environ = {
        **{key: value for key, value in plain.items() if not key.startswith("GIT_CONFIG")},
        **_settings(_PLAIN_INDEX | _without(filters)),
        "GIT_DIR": own,
        "GIT_WORK_TREE": str(folder),
        "GIT_INDEX_FILE": str(place / "index"),
    }
    _git(folder, environ, "read-tree", commit)
    listed = _git(folder, environ, "ls-files", "-z", "--stage").decode("utf-8", "surrogateescape")
    return GitTree(
        commit=commit,
        folder=folder,
        entries=dict(map(_entry, listed.split("\0")[:-1])),
        has_lfs="filter.lfs" in filters,
        environ=environ,
    )


def _commit(toplevel: Path, revision: str, environ: Mapping[str, str]) -> str:
    name = f"{revision}^{{commit}}"
    command = ("rev-parse", "--verify", "--quiet", "--end-of-options", name)
    try:
        return _git(toplevel, environ, *command).decode().strip()
    except _GitFailed as error:
        raise InvalidInput(
            f"git knows no commit {revision!r} in {toplevel}",
            help="Name a branch, a tag or a commit. A shallow clone lacks most of them; there, "
            "fetch it first:\n  git fetch --depth 1 origin REVISION",
        ) from error


def _without(filters: Iterable[str]) -> dict[str, str]:
    off = {f"{one}.{part}": "" for one in filters for part in _FILTER_PARTS}
    return off | {f"{one}.required": "false" for one in filters}


def _settings(values: Mapping[str, str]) -> dict[str, str]:
    """Return settings as environment, where a name may hold any character."""
    told = {"GIT_CONFIG_COUNT": str(len(values))}
    for number, (key, value) in enumerate(values.items()):
        told |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return told


def _entry(record: str) -> tuple[str, TreeEntry]:
    facts, _, path = record.partition("\t")
    return path, TreeEntry(facts.partition(" ")[0])


class _GitFailed(InvalidInput):
    """git ended with an error."""


def _git(folder: Path, environ: Mapping[str, str], *arguments: str, fed: bytes = b"") -> bytes:
    try:
        done = subprocess.run(
            ["git", *SETTINGS, *arguments],
            cwd=folder,
            env=dict(environ),
            input=fed,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_SEC,
        )
    except FileNotFoundError as error:
        raise InvalidInput(
            "a revision can only be looked up with git, and there is none on PATH"
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InvalidInput(f"git {arguments[0]} did not answer: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise _GitFailed(f"git {arguments[0]} failed: {said[0] if said else done.returncode}")
    return done.stdout

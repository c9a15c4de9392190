"""The files of one commit, listed, and laid out on demand in a folder of their own.

The repository's own index and work tree are not touched: another index is used for it.
"""

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runpod_deploy.errors import InvalidInput
from runpod_deploy.facts.git import SETTINGS, safe_environment

_TIMEOUT_SEC = 600.0
_LINK = "120000"
_SUBMODULE = "160000"
_NO_FILTER = frozenset(("unspecified", "unset", "set"))
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
    """One path of a commit; `mode` as git writes it, `sha` that of the object or the submodule."""

    mode: str
    sha: str = ""

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
        scratch: A folder for what is ours, beside the files.
    """

    commit: str
    folder: Path
    entries: Mapping[str, TreeEntry]
    has_lfs: bool
    scratch: Path
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

    def with_patch(self, patch: bytes) -> "GitTree":
        """Return the tree with what `git diff` wrote laid over it; to be called before `lay_out`.

        The repository gets no new object: they go into a folder of their own beside the tree.

        Raises:
            InvalidInput: The patch does not fit this commit.
        """
        objects = self.scratch / "objects"
        (objects / "info").mkdir(parents=True)
        own = _git(self.folder, self.environ, "rev-parse", "--git-path", "objects").rstrip(b"\n")
        (objects / "info" / "alternates").write_bytes(own + b"\n")
        environ = {**self.environ, "GIT_OBJECT_DIRECTORY": str(objects)}
        command = ("apply", "--cached", "--binary", "--whitespace=nowarn", "--no-ignore-whitespace")
        _git(self.folder, environ, *command, "-", fed=patch)
        return replace(self, environ=environ, entries=_entries(self.folder, environ))

    def filters_of(self, paths: Iterable[str]) -> Mapping[str, str]:
        """Return the filter that the attributes of each of `paths` name, of those that have one."""
        asked = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
        command = ("check-attr", "--cached", "-z", "--stdin", "filter")
        told = _git(self.folder, self.environ, *command, fed=asked)
        parts = told.decode("utf-8", "surrogateescape").split("\0")
        return {
            path: value
            for path, value in zip(parts[::3], parts[2::3], strict=False)
            if value not in _NO_FILTER
        }


def open_tree(
    toplevel: Path,
    revision: str,
    place: Path,
    environ: Mapping[str, str],
    *,
    folder: Path | None = None,
) -> GitTree:
    """Return the tree of `revision`, nothing of it laid out yet.

    Args:
        toplevel: The work tree of the repository.
        place: A folder that nothing else uses; empty, or not there.
        folder: Where files are laid out; by default in `place`.

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
    folder = place / "tree" if folder is None else folder
    place.mkdir(parents=True, exist_ok=True)
    # An empty one: the boundary of what a job may touch, and nothing to git.
    (folder / ".git").mkdir(parents=True)
    # The settings of the caller's environment do not stay: ours take the places.
    environ = {
        **{key: value for key, value in plain.items() if not key.startswith("GIT_CONFIG")},
        **_settings(_PLAIN_INDEX | _without(filters)),
        "GIT_DIR": own,
        "GIT_WORK_TREE": str(folder),
        "GIT_INDEX_FILE": str(place / "index"),
        # A commit is what its name says, whatever this repository puts in its place.
        "GIT_NO_REPLACE_OBJECTS": "1",
    }
    _git(folder, environ, "read-tree", commit)
    return GitTree(
        commit=commit,
        folder=folder,
        entries=_entries(folder, environ),
        has_lfs="filter.lfs" in filters,
        scratch=place,
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


def _entries(folder: Path, environ: Mapping[str, str]) -> dict[str, TreeEntry]:
    listed = _git(folder, environ, "ls-files", "-z", "--stage").decode("utf-8", "surrogateescape")
    return dict(map(_entry, listed.split("\0")[:-1]))


def _entry(record: str) -> tuple[str, TreeEntry]:
    facts, _, path = record.partition("\t")
    mode, sha, *_ = facts.split(" ")
    return path, TreeEntry(mode, sha)


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

"""What git says about the project: one call, and a second one when something was changed.

Nothing of the repository is executed on the way: no hooks, no file system monitor, no external
diff; and nothing is written, not even the index.
"""

import hashlib
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from runpod_deploy.compiler.plan import GitFacts
from runpod_deploy.facts.project import git_toplevel
from runpod_deploy.frozen import frozen

_TIMEOUT_SEC = 60.0
_MISLEADING = frozenset(
    (
        *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"),
        *("GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"),
        *("GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_LITERAL_PATHSPECS", "GIT_TRACE"),
    )
)
SETTINGS = (
    *("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"),
    *("-c", "diff.noprefix=false"),
)
"""Options of every call: nothing that the repository names is executed."""
_USER_INFO = re.compile(rb"(://)[^/@\s]+@")
_NO_COMMIT = "(initial)"
_DETACHED = "(detached)"


@frozen
class GitState:
    """The work tree a project lies in.

    Attributes:
        facts: What a plan file and a manifest hold of it.
        patch: What `git apply` needs to get from the commit to the tracked files as they are.
        untracked: Paths relative to the top level; a folder without tracked files is one path.
    """

    facts: GitFacts
    patch: bytes
    untracked: tuple[str, ...]


def git_state(project_root: Path, environ: Mapping[str, str] | None = None) -> GitState | None:
    """Return the state of the work tree around `project_root`.

    None without a work tree, without git, or when git refuses to speak about the tree.
    """
    root = project_root.resolve()
    toplevel = git_toplevel(root)
    if toplevel is None:
        return None
    environ = safe_environment(os.environ if environ is None else environ)
    told = _git(toplevel, environ, "status", "--porcelain=v2", "--branch", "-z", "--no-renames")
    if told is None:
        return None
    headers, changed, untracked = _read_status(told)
    sha = headers.get("branch.oid", _NO_COMMIT)
    sha_or_none = None if sha == _NO_COMMIT else sha
    branch = headers.get("branch.head", _DETACHED)
    patch = _patch(toplevel, environ, born=sha_or_none is not None) if changed else b""
    return GitState(
        facts=GitFacts(
            sha=sha_or_none,
            branch=None if branch == _DETACHED else branch,
            dirty=changed or bool(untracked),
            prefix="" if root == toplevel else root.relative_to(toplevel).as_posix(),
            patch_sha256=hashlib.sha256(patch).hexdigest() if patch else None,
        ),
        patch=patch,
        untracked=untracked,
    )


def tracked_files(toplevel: Path, environ: Mapping[str, str] | None = None) -> frozenset[str]:
    """Return the paths that the index of a work tree holds, relative to it; none without git."""
    environ = safe_environment(os.environ if environ is None else environ)
    told = _git(toplevel, environ, "ls-files", "-z") or b""
    return frozenset(told.decode("utf-8", "surrogateescape").split("\0")[:-1])


def publishable(patch: bytes) -> bytes:
    """Return a patch for others to see: without user and password in addresses."""
    return _USER_INFO.sub(rb"\1", patch)


def _patch(toplevel: Path, environ: Mapping[str, str], *, born: bool) -> bytes:
    against = "HEAD" if born else "--cached"
    plain = ("--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames")
    shape = ("--full-index", "--src-prefix=a/", "--dst-prefix=b/")
    return _git(toplevel, environ, "diff", against, *plain, *shape) or b""


def _read_status(told: bytes) -> tuple[dict[str, str], bool, tuple[str, ...]]:
    headers: dict[str, str] = {}
    changed = False
    untracked: list[str] = []
    for record in told.decode("utf-8", "surrogateescape").split("\0"):
        kind, _, rest = record.partition(" ")
        if kind == "#":
            name, _, value = rest.partition(" ")
            headers[name] = value
        elif kind == "?":
            untracked.append(rest)
        elif kind in ("1", "2", "u"):
            changed = True
    return headers, changed, tuple(untracked)


def safe_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` without what would send git elsewhere, as inside of a hook."""
    kept = {name: value for name, value in environ.items() if name not in _MISLEADING}
    return kept | {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "LC_ALL": "C",
    }


def _git(toplevel: Path, environ: Mapping[str, str], *arguments: str) -> bytes | None:
    try:
        done = subprocess.run(
            ["git", *SETTINGS, *arguments],
            cwd=toplevel,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_SEC,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None

"""What a run knows of this machine when it begins, kept in its folder for whoever carries it on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from runpod_deploy.compiler.plan import GitFacts, LockfileFacts
from runpod_deploy.facts.git import GitState, publishable
from runpod_deploy.facts.lockfile import find_lockfile
from runpod_deploy.facts.project import git_toplevel
from runpod_deploy.record import tolerant
from runpod_deploy.record.atomic import dump_json, write_atomic
from runpod_deploy.record.masking import Masker

APPLIED_NAME = ".apply.json"
PATCH_NAME = "source.patch"


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """The project as it was when its plan was applied.

    Attributes:
        patch_file: Name of the file in the run folder; None for a clean work tree.
        public_key: The run's own, derived from API key and salt: another one tells another API key.
        late_bound: What stood for the late-bound tokens then, on the machine that began the run.
    """

    git: GitFacts | None = None
    lockfile: LockfileFacts | None = None
    patch_file: str | None = None
    public_key: str | None = None
    late_bound: Mapping[str, str] = field(default_factory=dict)


def note_applied(
    folder: Path,
    project_root: Path,
    git: GitState | None,
    masker: Masker,
    *,
    public_key: str,
    late_bound: Mapping[str, str],
) -> Applied:
    """Write down the state of the project, the patch of its work tree beside it.

    Raises:
        OSError: The folder cannot be written.
    """
    patch_file = None
    if git is not None and git.patch:
        text = masker.text(publishable(git.patch).decode("utf-8", "surrogateescape"))
        write_atomic(folder / PATCH_NAME, text.encode("utf-8", "surrogateescape"))
        patch_file = PATCH_NAME
    applied = Applied(
        git=None if git is None else git.facts,
        lockfile=find_lockfile(project_root, git_toplevel(project_root)),
        patch_file=patch_file,
        public_key=public_key,
        late_bound=dict(late_bound),
    )
    write_atomic(folder / APPLIED_NAME, dump_json(asdict(applied)))
    return applied


def read_applied(folder: Path) -> Applied:
    """Return what was written down; of a file that is missing or spoilt, nothing is known."""
    try:
        data = json.loads((folder / APPLIED_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        return Applied()
    return Applied(
        git=_git(data.get("git")),
        lockfile=_lockfile(data.get("lockfile")),
        patch_file=PATCH_NAME if data.get("patch_file") and _has_patch(folder) else None,
        public_key=tolerant.text(data, "public_key"),
        late_bound=_texts(data.get("late_bound")),
    )


def _has_patch(folder: Path) -> bool:
    return (folder / PATCH_NAME).is_file()


def _texts(data: Any) -> dict[str, str]:
    pairs = data.items() if isinstance(data, dict) else ()
    return {key: value for key, value in pairs if isinstance(value, str)}


def _git(data: Any) -> GitFacts | None:
    if not isinstance(data, dict):
        return None
    return GitFacts(
        sha=tolerant.text(data, "sha"),
        branch=tolerant.text(data, "branch"),
        dirty=tolerant.boolean(data, "dirty") is not False,
        prefix=tolerant.text(data, "prefix") or "",
        patch_sha256=tolerant.text(data, "patch_sha256"),
    )


def _lockfile(data: Any) -> LockfileFacts | None:
    if not isinstance(data, dict):
        return None
    name, digest = tolerant.text(data, "name"), tolerant.text(data, "sha256")
    return LockfileFacts(name=name, sha256=digest) if name and digest else None

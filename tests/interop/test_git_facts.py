"""What is told of the repository, against real git."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from runpod_deploy.facts import git
from runpod_deploy.facts.git import git_state
from runpod_deploy.facts.observe import observe

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git"),
]


def run(folder: Path, *arguments: str) -> str:
    """Run git in `folder` with an identity, and return what it prints."""
    identity = (
        "-c",
        "user.name=n",
        "-c",
        "user.email=e@example.org",
        "-c",
        "init.defaultBranch=main",
    )
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with one commit."""
    root = tmp_path / "repo"
    root.mkdir()
    run(root, "init", "-q")
    (root / "a").write_text("one\n")
    (root / "deep").mkdir()
    (root / "deep" / "b").write_text("b\n")
    run(root, "add", ".")
    run(root, "commit", "-qm", "first")
    return root


def test_clean(repository: Path) -> None:
    """A clean tree has a commit, a branch and no patch."""
    state = git_state(repository / "deep")

    assert state is not None
    assert run(repository, "rev-parse", "HEAD") == state.facts.sha
    assert ("main", False, "deep", None) == (
        state.facts.branch,
        state.facts.dirty,
        state.facts.prefix,
        state.facts.patch_sha256,
    )


def test_the_patch_restores_what_was_changed(repository: Path, tmp_path: Path) -> None:
    """The patch, applied to the commit in a fresh clone, gives the tracked files as they were."""
    (repository / "a").write_bytes(b"two\r\n\x00binary")
    (repository / "deep" / "b").unlink()
    (repository / "new é").write_text("staged\n")
    run(repository, "add", "new é")
    state = git_state(repository)
    assert state is not None
    run(tmp_path, "clone", "-q", str(repository), "clone")
    subprocess.run(["git", "apply"], cwd=tmp_path / "clone", input=state.patch, check=True)

    assert hashlib.sha256(state.patch).hexdigest() == state.facts.patch_sha256
    assert state.facts.dirty
    assert b"two\r\n\x00binary" == (tmp_path / "clone" / "a").read_bytes()
    assert "staged\n" == (tmp_path / "clone" / "new é").read_text()
    assert not (tmp_path / "clone" / "deep" / "b").exists()


def test_untracked_files_make_dirty_and_are_named(repository: Path) -> None:
    """What git does not know is no part of the patch, so it is told by name."""
    (repository / "new\nfile").write_text("")
    (repository / ".gitignore").write_text("*.log\n")
    (repository / "x.log").write_text("")
    state = git_state(repository)

    assert state is not None
    assert {".gitignore", "new\nfile"} == set(state.untracked)
    assert (True, None) == (state.facts.dirty, state.facts.patch_sha256)


def test_users_settings_do_not_change_the_patch(repository: Path) -> None:
    """Colours, prefixes and other tastes leave the patch, and its digest, as they are."""
    (repository / "a").write_text("two\n")
    before = git_state(repository)
    for setting in ("color.ui=always", "diff.mnemonicPrefix=true", "diff.noprefix=true"):
        run(repository, "config", *setting.split("="))
    run(repository, "config", "diff.external", "false")

    assert before == git_state(repository)


def test_nothing_of_the_repository_is_executed(repository: Path, tmp_path: Path) -> None:
    """A repository's own settings cannot make planning run a program."""
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    for name in ("core.fsmonitor", "diff.external", "diff.x.textconv", "diff.x.command"):
        run(repository, "config", name, str(trap))
    (repository / ".gitattributes").write_text("* diff=x\n")
    (repository / "a").write_text("two\n")

    state = git_state(repository)

    assert state is not None
    assert b"+two" in state.patch
    assert not (tmp_path / "sprung").exists()


def test_without_commits(tmp_path: Path) -> None:
    """A repository without commits has no commit, and what is staged is its patch."""
    run(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("x\n")
    run(tmp_path, "add", "a")
    state = git_state(tmp_path)

    assert state is not None
    assert (None, "main", True) == (state.facts.sha, state.facts.branch, state.facts.dirty)
    assert b"+x" in state.patch


def test_detached_head_and_worktree(repository: Path, tmp_path: Path) -> None:
    """A second work tree, whose `.git` is a file, is a work tree like any other."""
    tree = tmp_path / "tree"
    run(repository, "worktree", "add", "-q", "--detach", str(tree))
    state = git_state(tree)

    assert (tree / ".git").is_file()
    assert state is not None
    assert (None, False) == (state.facts.branch, state.facts.dirty)
    assert run(repository, "rev-parse", "HEAD") == state.facts.sha


def test_inside_of_a_hook(repository: Path, tmp_path: Path) -> None:
    """The environment of a hook of another repository does not mislead."""
    other = dict(os.environ) | {"GIT_DIR": str(tmp_path / "none"), "GIT_INDEX_FILE": "/none"}

    state = git_state(repository, other)

    assert state is not None
    assert not state.facts.dirty


def test_no_repository_no_git_or_a_broken_one(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be said, nothing is said."""
    (tmp_path / "plain").mkdir()
    (tmp_path / "broken" / ".git").mkdir(parents=True)

    assert None is git_state(tmp_path / "plain")
    assert None is git_state(tmp_path / "broken")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert None is git_state(repository)


def test_the_index_is_not_written(repository: Path) -> None:
    """Looking changes nothing, not even git's own cache of time stamps."""
    os.utime(repository / "a", (1, 1))
    before = (repository / ".git" / "index").stat().st_mtime_ns

    git_state(repository)

    assert before == (repository / ".git" / "index").stat().st_mtime_ns


def test_two_calls_of_git_at_most(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clean tree costs one call, a changed one two."""
    calls: list[list[str]] = []
    real = subprocess.run

    def counted(command: list[str], **options: object) -> object:
        calls.append(command)
        return real(command, **options)

    monkeypatch.setattr(git.subprocess, "run", counted)
    git_state(repository)
    assert 1 == len(calls)
    (repository / "a").write_text("two\n")
    git_state(repository)
    assert 3 == len(calls)


def test_observed(repository: Path) -> None:
    """A plan file tells the hour, the tool, git and the lock file."""
    (repository / "uv.lock").write_text("")
    observed = observe(repository)

    assert observed.git is not None
    assert observed.lockfile is not None
    assert "uv.lock" == observed.lockfile.name
    assert observed.compiled_at.endswith("Z")
    assert 20 == len(observed.compiled_at)

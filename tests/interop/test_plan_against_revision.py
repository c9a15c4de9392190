"""`plan --against REV`, as a command in a real repository."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runpod_deploy.cli.app import build

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git"),
]
JOB = """\
schema_version: 3
name: small
pod:
  image: runpod/pytorch:1.0.7-cu1281-torch291-ubuntu2204
  gpu_order: [NVIDIA L4]
  min_cuda: "12.8"
staging:
  - {label: code, source: src, destination: /root/src}
run:
  body: echo one
"""
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """A repository with a committed job, whose work tree has moved on; and a way to call."""
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("a\n")
    (tmp_path / "job.yaml").write_text(JOB)
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run(["git", *identity, *command], check=True)
    (tmp_path / "job.yaml").write_text(JOB.replace("echo one", "echo two"))
    (tmp_path / "src" / "b.py").write_text("b\n")
    (tmp_path / "new.yaml").write_text(JOB)

    def run(*args: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(build(), list(args))
        return result.exit_code, result.stdout, result.stderr

    return run


def test_what_changed_since_a_branch(call: Call) -> None:
    """The script and the new file are told, and the branch with its commit is named."""
    status, out, err = call("plan", "job.yaml", "--against", "main", "--detailed-exitcode")
    assert (2, "") == (status, err)
    assert "against main (" in out
    assert "-echo one" in out
    assert "+ b.py  2 B" in out


def test_nothing_changed(call: Call) -> None:
    """The committed state against itself is the same."""
    subprocess.run(["git", "stash", "-q", "-u"], check=True)
    ask = ("plan", "job.yaml", "--against", "HEAD", "--detailed-exitcode")
    status, out, _ = call(*ask)
    assert 0 == status
    assert "No change" in out


def test_a_saved_plan_is_compared_with_a_revision_too(call: Call) -> None:
    """Its job file is looked up in the project."""
    call("plan", "job.yaml", "-o", "plan.json")
    status, out, _ = call("plan", "plan.json", "--against", "main", "--format", "json")
    assert 0 == status
    assert ["b.py"] == [one["path"] for one in json.loads(out)["files"]]


def test_a_new_job_is_shown_whole(call: Call) -> None:
    """A job file that the revision lacks is new, which counts as a change."""
    status, out, _ = call("plan", "new.yaml", "--against", "main", "--detailed-exitcode")
    assert 2 == status
    assert "has no such job file" in out.splitlines()[-1]
    _, markdown, _ = call("plan", "new.yaml", "--against", "main", "--format", "markdown")
    assert "**New**: `main (" in markdown
    _, document, _ = call("plan", "new.yaml", "--against", "main", "--format", "json")
    assert None is json.loads(document)["before"]


def test_a_name_that_is_nothing(call: Call) -> None:
    """Neither file nor folder nor commit: told, with what to do in a shallow clone."""
    status, out, err = call("plan", "job.yaml", "--against", "nope")
    assert (4, "") == (status, out)
    assert "no commit 'nope'" in err
    assert "git fetch" in err


def test_a_sweep_is_compared_run_by_run_with_a_revision(call: Call) -> None:
    """Runs whose stagings lie in each other, an axis that is no variable, and a single run of it."""
    sweep = JOB.replace("source: src", "source: '{{ where }}'").replace("one", "{{ where }}")
    sweep += "matrix:\n  axes:\n    where: [src, src/sub]\n"
    Path("src/sub").mkdir()
    Path("src/sub/c.py").write_text("c\n")
    Path("job.yaml").write_text(sweep)
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
    for command in (["add", "."], ["commit", "-qm", "sweep"]):
        subprocess.run(["git", *identity, *command], check=True)

    assert (0, "same\n") == call("plan", "job.yaml", "--against", "HEAD", "-q")[:2]
    Path("src/a.py").write_text("other\n")
    status, out, _ = call("plan", "job.yaml", "--against", "HEAD", "--detailed-exitcode")
    assert 2 == status
    assert "1 changed, 1 the same" in out
    assert "In the run where=src\n" in out
    one = ("--var", "where=src/sub", "--detailed-exitcode", "-q")
    assert (0, "same\n") == call("plan", "job.yaml", "--against", "HEAD", *one)[:2]

    status, out, _ = call("plan", "job.yaml", "--against", "main~1", "--format", "markdown")
    assert (0, True) == (status, "matrix" in out)
    assert "one run became a sweep of 2 runs: 2 new, 1 gone" in out

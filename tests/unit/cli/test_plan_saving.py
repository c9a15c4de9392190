"""`plan -o`: what is said when the saved plan would travel with its own job."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Call = Callable[..., tuple[int, str, str]]
STAGING = "staging:\n  - {label: all, source: ., destination: /root/all}\n"


@pytest.fixture
def staged(project: Path) -> Path:
    """A job that sends its whole folder."""
    job = project / "job.yaml"
    job.write_text(f"{job.read_text()}{STAGING}")
    (project / "sub").mkdir()
    return project


@pytest.mark.parametrize("out", ["big.json", "sub/plan.json"])
def test_a_plan_in_its_own_payload_is_warned_of(call: Call, staged: Path, out: str) -> None:
    """It would be stale at once, and the message says how to leave it behind."""
    status, _, errors = call("plan", "job.yaml", "-o", out, "-q")
    assert 0 == status
    assert "lies in what the staging 'all' sends" in errors
    (staged / ".runpodignore").write_text("plan.json*\nbig.json*\n")
    assert "staging" not in call("plan", "job.yaml", "-o", out, "-q")[2]


def test_a_plan_elsewhere_is_not(call: Call, staged: Path) -> None:
    """Outside of the source, in a folder that stays behind, or excluded by the job."""
    (staged / ".gitignore").write_text("/sub/\n")
    assert "staging" not in call("plan", "job.yaml", "-o", "sub/plan.json", "-q")[2]
    outside = staged.parent / f"{staged.name}.plan.json"
    assert "staging" not in call("plan", "job.yaml", "-o", str(outside), "-q")[2]
    assert "staging" not in call("plan", "job.yaml", "-o", "plan.json", "-q")[2]
    assert "staging" not in call("plan", "job.yaml", "-o", "night.plan.json", "-q")[2]
    job = staged / "job.yaml"
    job.write_text(job.read_text().replace("/root/all}", "/root/all, excludes: ['*.json']}"))
    assert "staging" not in call("plan", "job.yaml", "-o", "big.json", "-q")[2]


def test_a_plan_beside_its_job_is_fresh(call: Call, staged: Path) -> None:
    """Without any ignore file: planning again finds what was planned."""
    first = call("plan", "job.yaml", "-o", "plan.json", "--format", "json")[1]
    (staged / "artifacts").mkdir()
    (staged / "artifacts" / "report.html").write_text("later")
    again = call("plan", "job.yaml", "--format", "json")[1]
    assert json.loads(first)["plan_hash"] == json.loads(again)["plan_hash"]

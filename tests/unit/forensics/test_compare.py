"""What differed between two runs."""

import json
from pathlib import Path
from typing import Any

from forensic_cases import MANIFEST_2, OURS, line, make_run
from runpod_deploy.forensics import compare
from runpod_deploy.forensics.compare import read_packages


def differing(left: Path, right: Path) -> dict[str, tuple[Any, Any]]:
    """Return what differs, by section and name."""
    rows = compare(left, right)
    return {f"{row.section}/{row.name}": (row.left, row.right) for row in rows if not row.same}


def test_runs_of_different_versions_compare(tmp_path: Path) -> None:
    """What only one of them knows stands against None."""
    told = differing(
        make_run(tmp_path, "20260514T120000Z", MANIFEST_2),
        make_run(tmp_path, "20260601T000000Z", OURS),
    )

    assert told["outcome/state"] == ("FAILED", "SUCCEEDED")
    assert told["cost/cost_usd"] == (0.6, 0.07)
    assert told["source/plan_hash"] == (None, "sha256:" + "0f" * 32)
    assert told["artifacts/model"] == (None, "aa" * 32)


def test_a_run_equals_itself(tmp_path: Path) -> None:
    """Nothing differs, and what is the same is told with both values."""
    run = make_run(tmp_path, "20260601T000000Z", OURS, [line("step_completed", step="check")])

    assert differing(run, run) == {}
    assert any(row.name == "gpu_id" and row.left == "NVIDIA A40" for row in compare(run, run))


def test_plans_are_compared_by_name_where_there_are_names(tmp_path: Path) -> None:
    """A script that was added does not make the later ones look changed."""
    left, right = make_run(tmp_path, "20260601T000000Z"), make_run(tmp_path, "20260601T000001Z")
    one = {"name": "run", "text": "a"}
    setup = {"name": "setup-1", "text": "s"}
    (left / "plan.json").write_text(json.dumps({"plan": {"scripts": [one], "gpus": ["a", "b"]}}))
    (right / "plan.json").write_text(
        json.dumps({"plan": {"scripts": [setup, {**one, "text": "b"}], "gpus": ["a", "c"]}})
    )

    assert differing(left, right) == {
        "plan/scripts[run].text": ("a", "b"),
        "plan/scripts[setup-1]": (None, setup),
        "plan/gpus[1]": ("b", "c"),
    }


def test_packages_are_compared_by_version(tmp_path: Path) -> None:
    """Names are normalised, lines that pin nothing are passed over."""
    left, right = make_run(tmp_path, "20260601T000000Z"), make_run(tmp_path, "20260601T000001Z")
    (left / "pip_freeze.txt").write_text("torch==2.9.0\nNum_Py==2.1\n# note\n-e .\nold==1\n")
    (right / "pip_freeze.txt").write_text("torch==2.9.1\nnum-py==2.1\nmine @ file:///x\n")

    assert differing(left, right) == {
        "packages/mine": (None, "file:///x"),
        "packages/old": ("1", None),
        "packages/torch": ("2.9.0", "2.9.1"),
    }
    assert read_packages(tmp_path) is None

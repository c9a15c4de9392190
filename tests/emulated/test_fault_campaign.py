"""A part of the fault campaign with every run of the tests; `make campaign` has all of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.command import Bench
from support.faulting import CASES, run_under

pytestmark = pytest.mark.emulated

SCHEDULES = Path(__file__).parents[1] / "campaign" / "schedules.py"
# Real pods and real SSH: cut while sending, killed under the job.
HERE = ("stage/ssh-cut:during=upload,kib=200,dark=2", "execute/pod-killed:seconds=8,then=gone")


@pytest.mark.parametrize("name", HERE)
def test_what_must_hold_holds_under_a_fault(bench: Bench, name: str) -> None:
    """No pod is left, the exit status is right, no result is lost, and the ledger covers the bill."""
    (case,) = [case for case in CASES if case.name == name]

    assert run_under(bench, case).problems == []


def test_what_must_hold_holds_under_schedules_of_faults_and_kills() -> None:
    """Forty random schedules of a fixed seed: nothing leaked untold, lost, doubled or overspent."""
    done = subprocess.run(
        [sys.executable, str(SCHEDULES), "--count", "40", "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=360,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "40 schedules" in done.stdout
    assert ", 0 wrong ends" in done.stdout

"""A few cases of the fault campaign with every run of the tests; `make campaign` has them all."""

import pytest

from support.command import Bench
from support.faulting import CASES, run_under

pytestmark = pytest.mark.emulated

# One for each kind of end: found again, cut while sending, killed under the job, a delete that lies.
HERE = (
    "provision/create-5xx-after",
    "stage/ssh-cut:during=upload,kib=200,dark=2",
    "execute/pod-killed:seconds=8,then=gone",
    "release/delete-lies:times=3",
)


@pytest.mark.parametrize("name", HERE)
def test_what_must_hold_holds_under_a_fault(bench: Bench, name: str) -> None:
    """No pod is left, the exit status is right, no result is lost, and the ledger covers the bill."""
    (case,) = [case for case in CASES if case.name == name]

    assert run_under(bench, case).problems == []

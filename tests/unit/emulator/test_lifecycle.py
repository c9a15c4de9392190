"""A pod's status follows its power, its start and the profile."""

import pytest

from runpod_deploy.emulator.lifecycle import (
    ACTIONS,
    Boot,
    Observation,
    Power,
    Readiness,
    observe,
)
from runpod_deploy.emulator.options import Profile

ONE_POLL = Readiness(polls=1, seconds=0.0)


@pytest.mark.parametrize(
    ("profile", "boot", "status", "ready"),
    [
        ("live", Boot(), "RUNNING", False),
        ("live", Boot(up=True, polls=1), "RUNNING", False),
        ("live", Boot(up=False, polls=9), "RUNNING", False),
        ("live", Boot(up=True, polls=2), "RUNNING", True),
        ("live", Boot(up=True, polls=9, held_back=True), "RUNNING", False),
        ("spec", Boot(), "PROVISIONING", False),
        ("spec", Boot(up=True, polls=1), "STARTING", False),
        ("spec", Boot(up=False, polls=5), "STARTING", False),
        ("spec", Boot(up=True, polls=2), "RUNNING", True),
        ("spec", Boot(up=True, polls=9, held_back=True), "STARTING", False),
    ],
)
def test_starting_pod(profile: Profile, boot: Boot, status: str, ready: bool) -> None:
    """`live` says RUNNING from the first moment, `spec` only when the pod can be reached."""
    assert Observation(status=status, ready=ready) == observe(profile, "on", boot, ONE_POLL)


def test_least_time() -> None:
    """A pod can be held back by time, however often it is polled."""
    readiness = Readiness(polls=0, seconds=5.0)
    early, late = (Boot(up=True, polls=9, seconds=s) for s in (4.9, 5.0))
    assert not observe("live", "on", early, readiness).ready
    assert observe("live", "on", late, readiness).ready


@pytest.mark.parametrize(("power", "status"), [("off", "EXITED"), ("error", "ERROR")])
@pytest.mark.parametrize("profile", ["live", "spec"])
def test_pod_that_is_not_on(profile: Profile, power: Power, status: str) -> None:
    """A pod that is off or given up says so in both profiles."""
    seen = observe(profile, power, Boot(up=True, polls=9), ONE_POLL)
    assert (status, False) == (seen.status, seen.ready)


def test_actions_by_status() -> None:
    """The table of allowed transitions is RunPod's."""
    expected = {
        "PROVISIONING": ("stop", "terminate"),
        "STARTING": ("stop", "terminate"),
        "RUNNING": ("stop", "restart", "terminate"),
        "EXITED": ("start", "terminate"),
        "ERROR": ("start", "terminate"),
    }
    assert expected == ACTIONS

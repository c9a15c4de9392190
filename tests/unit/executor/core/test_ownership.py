"""Whose a pod is and whether anybody can still want it, by the pod's own words."""

import json
from typing import Any

import pytest

from runpod_deploy.executor.ownership import judge, look_at
from runpod_deploy.executor.ports import Pod

NOW = 1_800_000_000.0
NAME = "rd-1a2b3c4d-hello-20270115T080000Z-1abcd"


def pod(status: str = "RUNNING", name: str = NAME, **meta: Any) -> Pod:
    """Return a pod that says `meta` about itself; nothing at all without any."""
    env = {"RUNPOD_DEPLOY_META": json.dumps(meta)} if meta else {}
    raw = {
        "env": env,
        "startedAt": "2027-01-15T08:00:00Z",
        "mounts": {"persistent": {"size": 50, "path": "/workspace"}},
    }
    return Pod(
        id="p1",
        name=name,
        status=status,
        gpu="NVIDIA L4",
        gpu_count=1,
        cloud="SECURE",
        datacenter="EU-RO-1",
        cost=0.5,
        image="x",
        ssh=None,
        raw=raw,
    )


def verdict(of: Pod, owner: str = "1a2b3c4d") -> str:
    """Return what is thought of a pod."""
    return judge(look_at(of, owner), NOW)[0]


@pytest.mark.parametrize(
    ("status", "dead_after", "keep_hours", "expected"),
    [
        ("RUNNING", NOW + 60, 72, "wanted"),
        ("RUNNING", NOW - 60, 72, "over"),
        ("PROVISIONING", NOW - 60, 72, "over"),
        ("ERROR", NOW - 60, 72, "over"),
        ("EXITED", NOW - 60, 72, "wanted"),
        ("EXITED", NOW - 72 * 3600 - 60, 72, "over"),
        ("EXITED", NOW - 60, 0, "over"),
        ("EXITED", NOW + 60, 0, "wanted"),
    ],
)
def test_a_pod_is_over_when_its_own_deadline_is(
    status: str, dead_after: float, keep_hours: float, expected: str
) -> None:
    """A running one by `dead_after`, a stopped one `keep_hours` later: it was kept for its results."""
    one = pod(status, owner="1a2b3c4d", dead_after=dead_after, keep_hours=keep_hours, run="r")

    assert verdict(one) == expected


def test_what_belongs_to_others_is_never_over() -> None:
    """By its word, whatever it is called; by its name where it says nothing; or made by hand."""
    dead = NOW - 10**6

    assert verdict(pod(owner="someone", dead_after=dead)) == "foreign"
    assert verdict(pod(owner="1a2b3c4d9", dead_after=dead)) == "foreign"
    assert verdict(pod(name="rd-00000000-x-20270115T080000Z-1abcd")) == "foreign"
    assert verdict(pod(name="my pod")) == "foreign"
    assert verdict(pod(name="rd-1a2b3c4d")) == "foreign"


def test_a_pod_that_does_not_say_its_deadline_is_not_over() -> None:
    """Ours by its name alone, or with a damaged word: told, and left alone."""
    assert verdict(pod()) == "unknown"
    assert verdict(pod(owner="1a2b3c4d", dead_after="soon")) == "unknown"


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "[" * 5000, '{"owner": 1}'])
def test_a_damaged_word_is_none(text: str) -> None:
    """Whatever stands in the variable, nothing breaks, and the name decides whose it is."""
    one = pod()
    one.raw["env"]["RUNPOD_DEPLOY_META"] = text

    assert verdict(one) == "unknown"


def test_the_disk_that_goes_on_costing_is_known() -> None:
    """Size of the persistent disk, and when the pod was last known to run."""
    owned = look_at(pod("EXITED", owner="1a2b3c4d", dead_after=NOW), "1a2b3c4d")

    assert owned.persistent_gb == 50
    assert owned.last_seen_running() == 1_800_000_000.0

"""The lease in a plan: who ends the pod when nobody comes back, from which moment on, and what it spares."""

import shlex
from typing import Any

import pytest

from compiler_cases import codes, job, plan_of
from runpod_deploy.compiler.lease import BOOT_ENV
from runpod_deploy.errors import Severity

DISK = {"mode": "ephemeral", "volume_gb": 10}


def boots(**pod: Any) -> bool:
    """Return whether a pod is watched from its start on, held against scripts and warnings."""
    config = job({"pod": pod})
    plan = plan_of(config)
    assert plan.lease.at_boot is ("boot" in {script.name for script in plan.scripts})
    assert plan.lease.at_boot is ("lease-after-login" not in codes(config, Severity.WARNING))
    return plan.lease.at_boot


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        ({"image": "runpod/base:0.7.0"}, True),
        ({"image": "docker.io/runpod/pytorch:1-cu128"}, True),
        ({"image": "runpod/pytorch@sha256:00"}, True),
        ({"image": "runpod/pytorch-like:1"}, False),
        ({"image": "me/runpod/base:1"}, False),
        ({"image": "ubuntu:24.04"}, False),
        ({"image": "ubuntu:24.04", "start_command": "bash -c 'service ssh start; sleep 1d'"}, True),
        ({"image": "runpod/base:1", "start_command": "--flag of-the-entry-point"}, False),
        ({"image": "runpod/base:1", "start_command": "bash -c 'unclosed"}, False),
        ({"template_id": "t1"}, False),
        ({"template_id": "t1", "start_command": "/start.sh"}, True),
    ],
)
def test_watched_from_the_start_where_the_command_is_known(
    pod: dict[str, Any], expected: bool
) -> None:
    """RunPod's images and a command that is given can have a watchdog beside it; else a warning tells."""
    assert expected is boots(**pod)


def test_command_is_handed_on_as_it_was_given() -> None:
    """The words of `start_command` reach RunPod unchanged, behind a shell that begins the watch."""
    given = "bash -c 'a \"b\" $c; exec d' tail"
    words = shlex.split(plan_of(job({"pod": {"start_command": given}})).pod.args or "")

    assert ["sh", "-c"] == words[:2]
    assert ["sh", *shlex.split(given)] == words[3:]
    assert f'sh -c "${BOOT_ENV}" </dev/null & exec "$@"' == words[2]


def test_official_image_goes_on_with_its_own_command() -> None:
    """Without a `start_command` RunPod's start script runs."""
    assert (plan_of(job({})).pod.args or "").endswith(" sh /start.sh")


def test_unknown_image_keeps_its_own_command() -> None:
    """Nothing is put in the place of a command that is not known."""
    assert None is plan_of(job({"pod": {"image": "ubuntu:24.04"}})).pod.args


def test_preserve_is_no_lease() -> None:
    """A pod that is to stay when nobody comes back has no watchdog, and nobody is warned of that."""
    config = job({"pod": {"image": "ubuntu"}, "lifecycle": {"on_orphaned": "preserve"}})

    assert False is plan_of(config).lease.at_boot
    assert "lease-after-login" not in codes(config, Severity.WARNING)


@pytest.mark.parametrize(
    ("over", "spared"),
    [
        ({}, True),
        ({"lifecycle": {"on_orphaned": "delete"}}, False),
        ({"storage": DISK}, False),
        ({"storage": DISK, "lifecycle": {"on_orphaned": "delete"}}, False),
        ({"lease": {"while_running": "stop"}}, False),
    ],
)
def test_results_are_spared_unless_the_job_file_says_otherwise(
    over: dict[str, Any], spared: bool
) -> None:
    """Where silence would wipe results by default, the lease waits for the end of the money."""
    assert spared is plan_of(job(over)).lease.spares_results


@pytest.mark.parametrize(
    ("over", "action"),
    [
        ({}, "terminate"),
        ({"storage": DISK}, "stop"),
        ({"lifecycle": {"on_orphaned": "delete"}}, "terminate"),
    ],
)
def test_scripts_hold_terms_and_deadlines(over: dict[str, Any], action: str) -> None:
    """What the watchdog will do and when stands in the plan's scripts, in seconds."""
    lease = {"silence_minutes": 1.5, "boot_grace_minutes": 2}
    plan = plan_of(job({**over, "lease": lease}))

    assert "\nsilence=90\n" in plan.script("lease").text
    assert "\nlimit=120\n" in plan.script("boot").text
    for name in ("lease", "boot"):
        assert f"\naction='{action}'\n" in plan.script(name).text


def test_required_lease_is_part_of_the_plan() -> None:
    """`lease.required` is no longer refused."""
    assert True is plan_of(job({"lease": {"required": True}})).lease.required

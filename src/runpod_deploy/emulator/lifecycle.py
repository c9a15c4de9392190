"""The states of a pod, as two profiles report them."""

from dataclasses import dataclass
from typing import Literal

from runpod_deploy.emulator.options import Profile

Power = Literal["on", "off", "error"]
"""What the cloud wants of a pod: its container up, stopped, or given up."""

Status = Literal["PROVISIONING", "STARTING", "RUNNING", "EXITED", "ERROR"]
Action = Literal["start", "stop", "restart", "terminate"]

ACTIONS: dict[Status, tuple[Action, ...]] = {
    "PROVISIONING": ("stop", "terminate"),
    "STARTING": ("stop", "terminate"),
    "RUNNING": ("stop", "restart", "terminate"),
    "EXITED": ("start", "terminate"),
    "ERROR": ("start", "terminate"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Boot:
    """How far a pod that is on has come since its last start.

    Attributes:
        up: Its processes run.
        held_back: A fault keeps it from ever getting ready.
        polls: How often it was read since.
        seconds: How long ago that was.
    """

    up: bool = False
    held_back: bool = False
    polls: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """How many reads and seconds a pod stays without `runtime` and `ssh.direct`."""

    polls: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What the API reports; `ready` means that `runtime` and `ssh.direct` are filled."""

    status: Status
    ready: bool


def observe(profile: Profile, power: Power, boot: Boot, readiness: Readiness) -> Observation:
    """Say what a pod looks like from outside."""
    if power == "off":
        return Observation(status="EXITED", ready=False)
    if power == "error":
        return Observation(status="ERROR", ready=False)
    ready = (
        boot.up
        and not boot.held_back
        and boot.polls > readiness.polls
        and boot.seconds >= readiness.seconds
    )
    if profile == "live" or ready:
        return Observation(status="RUNNING", ready=ready)
    return Observation(status="PROVISIONING" if boot.polls == 0 else "STARTING", ready=False)

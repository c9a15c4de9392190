"""How an emulator is started: one value that the client writes as flags and the daemon reads."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Profile = Literal["live", "spec"]
PROFILES: tuple[Profile, ...] = ("live", "spec")
PodsKind = Literal["isolated", "none"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RateLimits:
    """Requests per fixed window; RunPod's own numbers are not public."""

    minute: int = 6_000
    hour: int = 200_000
    day: int = 2_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class EmulatorOptions:
    """Everything that can be set at start.

    Attributes:
        profile: `live` reports RUNNING at once, as was observed; `spec` goes through
            PROVISIONING and STARTING, and costs nothing when EXITED, as is specified.
        faults: Faults in the command line's form, `kind:key=value,…`.
        scenario: YAML or JSON file with more of them.
        billing_speed: How many seconds of billing pass per real second.
        idle_seconds: Ends after so long without pods and clients; 0 never ends.
        ready_polls: How many reads of a pod still show it without `runtime` and `ssh.direct`.
        ready_seconds: The least time until it shows them.
        capacity: GPUs of each type in each data center and cloud.
        log_suffix: Whether ids of log events carry `/000000000001` after the time.
        rate_limits: Requests per window.
        pod_shell: Program that is `sh` inside the pods; empty for this machine's.
        pods: `none` answers the API without any process or SSH behind it.
        port: TCP port on 127.0.0.1, 0 for any.
    """

    profile: Profile = "live"
    faults: tuple[str, ...] = ()
    scenario: Path | None = None
    billing_speed: float = 1.0
    idle_seconds: float = 60.0
    ready_polls: int = 1
    ready_seconds: float = 0.0
    capacity: int = 1024
    log_suffix: bool = True
    rate_limits: RateLimits = RateLimits()
    pods: PodsKind = "isolated"
    pod_shell: str = ""
    port: int = 0

    def to_argv(self) -> list[str]:
        """Write the options as arguments of `python -m runpod_deploy.emulator`."""
        limits = self.rate_limits
        argv = [
            f"--profile={self.profile}",
            f"--billing-speed={self.billing_speed}",
            f"--idle-seconds={self.idle_seconds}",
            f"--ready-polls={self.ready_polls}",
            f"--ready-seconds={self.ready_seconds}",
            f"--capacity={self.capacity}",
            f"--log-ids={'suffix' if self.log_suffix else 'plain'}",
            f"--rate-limit=minute={limits.minute},hour={limits.hour},day={limits.day}",
            f"--pods={self.pods}",
            f"--pod-shell={self.pod_shell}",
            f"--port={self.port}",
        ]
        argv += [f"--fault={fault}" for fault in self.faults]
        if self.scenario is not None:
            argv.append(f"--scenario={self.scenario.resolve()}")
        return argv

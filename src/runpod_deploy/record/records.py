"""What is known of a run: its pods, steps, artifacts and end, as its events told them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runpod_deploy.record.events import Event
from runpod_deploy.record.states import RunState


@dataclass(frozen=True, kw_only=True, slots=True)
class PodRecord:
    """A pod this run made or tried to make.

    Attributes:
        name: Unique per create attempt; the identity when `pod_id` is unknown.
        gpu_id: Empty when only the pod's id is known.
        status: `intended`, `alive`, `stopped`, `gone`; `refused`: it never was; `leaked`: it may
            still be there and bill.
        created_at: `ts_utc` of the create's intent, or of its last start's: billing may have begun then.
        ended_at: `ts_utc` when the API confirmed stop or deletion: compute was billed until then.
        gone_at: `ts_utc` when it confirmed the deletion: the disk of a stopped pod bills until then.
        claimed: Whether an earlier run made it and kept it.
        ran_sec: Seconds that it ran before its last start.
        rested_sec: Seconds that it was stopped before its last start.
    """

    name: str
    gpu_id: str
    datacenter_id: str | None
    cloud_type: str
    status: str = "intended"
    pod_id: str | None = None
    cost_per_hour_usd: float | None = None
    created_at: str = ""
    ended_at: str | None = None
    gone_at: str | None = None
    claimed: bool = False
    ran_sec: float = 0.0
    rested_sec: float = 0.0

    def before_this_start(self) -> PodRecord:
        """Return the pod as it was before it was started last: what it cost until then is in it."""
        return replace(self, ended_at=self.created_at, gone_at=self.created_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class StepRecord:
    """A step that was begun; `state` is `started`, `completed` or `failed`.

    Attributes:
        started_at: When it was begun, by the first executor of those that were at it.
    """

    name: str
    state: str
    duration_sec: float | None = None
    error: str | None = None
    started_at: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactRecord:
    """What came back under one label; `status` is `pulling`, `success` or `failed`."""

    label: str
    status: str
    duration_sec: float | None = None
    files: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadRecord:
    """What a bucket was asked to hold; `status` is `sending`, `verified` or `failed`.

    Attributes:
        to: The place in a bucket, tokens filled.
        sha256: Digest over the files of the artifact that was sent.
    """

    label: str
    status: str
    to: str | None = None
    duration_sec: float | None = None
    files: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class JobEnd:
    """How the job on the pod ended; `outcome` is `succeeded`, `failed` or `unknown`."""

    outcome: str
    exit_code: int | None
    cause: str | None
    log_bytes: int
    success_marker_seen: bool | None
    failure_markers_seen: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LostAttempt:
    """An attempt of the run whose pod was lost; `state` is what the API said of the pod.

    Attributes:
        number: Counts from 1.
        at: `ts_utc` when it was seen.
    """

    number: int
    pod_id: str | None
    state: str | None
    error: str | None
    at: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """The state of a run after its events so far.

    Attributes:
        started: Fields of `run_started`.
        started_at: `ts_utc` of the first start, also when the run was resumed.
        ended_at: `ts_utc` of the change to a final state; None while the run goes on.
        pods: Pod name to record, in the order of the attempts.
        pod_resumed: Whether a pod of an earlier run was used again.
        steps: In the order of their first start; a step begun again replaces its record.
        lost: The attempts before this one, each ended by the loss of its pod.
        host_key_confirmed: Whether the pod's own log named the host key that it showed.
        log_offset: Bytes of the remote log known to lie in `run.log`.
        open_intents: op_id to the intended event whose outcome is not known.
    """

    state: RunState = RunState.NEW
    cause: str | None = None
    started: Mapping[str, Any] = field(default_factory=dict)
    started_at: str | None = None
    ended_at: str | None = None
    pods: Mapping[str, PodRecord] = field(default_factory=dict)
    pod_resumed: bool = False
    steps: tuple[StepRecord, ...] = ()
    artifacts: Mapping[str, ArtifactRecord] = field(default_factory=dict)
    uploads: Mapping[str, UploadRecord] = field(default_factory=dict)
    lost: tuple[LostAttempt, ...] = ()
    job_end: JobEnd | None = None
    log_offset: int = 0
    host_key_fingerprint: str | None = None
    host_key_confirmed: bool = False
    secrets_delivered: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    open_intents: Mapping[str, Event] = field(default_factory=dict)

    @property
    def pod(self) -> PodRecord | None:
        """The pod the job ran or runs on: the last one that was really had."""
        had = [pod for pod in self.pods.values() if pod.pod_id is not None]
        return had[-1] if had else None

    @property
    def leaked(self) -> tuple[PodRecord, ...]:
        """Pods that may still be there and bill; one that never answered has no `pod_id`."""
        return tuple(pod for pod in self.pods.values() if pod.status == "leaked")

"""The closed list of events a run can write, and one event as data.

An event line is `{v, seq, ts_utc, event, …fields}`. Effects on the outside world come in pairs,
`<effect>_intended` before and `<effect>_settled` after, joined by `op_id`; those and the changes of
state are durable: on disk before anything else happens. Readers skip events they do not know. The
eleven events of the predecessor keep their names and fields. `schema/event.schema.json` describes
every field.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runpod_deploy.record.states import RunState

EVENT_VERSION = 1
HEAD = ("v", "seq", "ts_utc", "event")


_VERBATIM = frozenset(
    {
        *("op_id", "pod_id", "volume_id", "run_id", "plan_id", "plan_hash", "owner"),
        *("state", "outcome", "step", "action", "label", "gpu_id", "datacenter_id", "cloud_type"),
        *("sha256", "tree_sha256", "fingerprint", "shard", "run_dir"),
    }
)
_NAMED = _VERBATIM | {"name"}  # for events whose `name` is ours, not read from a log


@dataclass(frozen=True, slots=True)
class EventType:
    """What an event carries: field names to the JSON types they may have.

    Attributes:
        durable: Fsynced before the run goes on.
        values: Field to the only values it may have.
        verbatim: Fields that are never masked: names that join events and pods. Masking one,
            because a secret happens to be a part of it, would lose a pod.
    """

    fields: Mapping[str, str]
    durable: bool = False
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    verbatim: frozenset[str] = _VERBATIM


_POD = {"pod_id": "string"}
_PLACE = {"gpu_id": "string", "datacenter_id": "string|null"}
_OFFER = {**_PLACE, "cloud_type": "string"}


def _pair(intended: Mapping[str, str], settled: Mapping[str, str]) -> tuple[EventType, EventType]:
    return (
        EventType({"op_id": "string", **intended}, durable=True, verbatim=_NAMED),
        EventType({"op_id": "string", "outcome": "string", **settled}, durable=True),
    )


_create = _pair(
    {"name": "string", **_OFFER},
    {"pod_id": "string|null", "cost_per_hour_usd": "number|null", "error": "string|null"},
)
_delete = _pair({**_POD, "reason": "string"}, {**_POD, "error": "string|null"})
_action = _pair({**_POD, "action": "string"}, {**_POD, "error": "string|null"})
_volume = _pair({"name": "string", "datacenter_id": "string"}, {"volume_id": "string|null"})
_exec = _pair({"script": "string", "sha256": "string"}, {"error": "string|null"})
_pull = _pair({"label": "string"}, {"label": "string", "error": "string|null"})
_upload = _pair(
    {"label": "string", "to": "string"},
    {
        "label": "string",
        "duration_sec": "number",
        "files": "integer|null",
        "bytes": "integer|null",
        "sent_files": "integer|null",
        "sent_bytes": "integer|null",
        "sha256": "string|null",
        "error": "string|null",
    },
)

EVENT_TYPES: Mapping[str, EventType] = {
    # the run and its steps
    "run_started": EventType(
        {
            "run_id": "string",
            "job_name": "string",
            "plan_hash": "string",
            "plan_id": "string",
            "tool_version": "string",
            "cloud": "string",
            "api_url": "string",
            "owner": "string",
            "pid": "integer",
        },
        durable=True,
    ),
    "plan_approved": EventType(
        {"principals": "string|null", "key": "string", "expires": "string|null"}
    ),
    # a sweep and its runs, in the sweep's own journal
    "sweep_started": EventType(
        {
            "job_name": "string",
            "plan_hash": "string",
            "plan_id": "string",
            "shards": "integer",
            "only": "array|null",
            "max_parallel": "integer|null",
            "saved": "boolean",
            "tool_version": "string",
            "cloud": "string",
            "api_url": "string",
            "owner": "string",
            "pid": "integer",
        },
        durable=True,
    ),
    "shard_started": EventType({"shard": "string"}, durable=True),
    "shard_opened": EventType({"shard": "string", "run_dir": "string"}, durable=True),
    "shard_ended": EventType(
        {
            "shard": "string",
            "state": "string",
            "cause": "string|null",
            "error": "string|null",
            "cost_usd": "number",
            "again": "boolean",
        },
        durable=True,
        values={"state": tuple(RunState)},
    ),
    "shard_queued": EventType({"shard": "string", "cause": "string"}, durable=True),
    "shard_skipped": EventType({"shard": "string", "cause": "string"}, durable=True),
    "sweep_ended": EventType({"state": "string", "cause": "string|null"}, durable=True),
    "plan_drift": EventType(
        {"field": "string", "planned": "string|null", "now": "string|null", "verdict": "string"},
        values={"verdict": ("allowed", "note")},
    ),
    "account_checked": EventType(
        {
            "balance_usd": "number|null",
            "spend_limit_per_hour_usd": "number|null",
            "spend_per_hour_usd": "number|null",
            "unknown": "string|null",
        }
    ),
    "state_changed": EventType(
        {"state": "string", "cause": "string|null"},
        durable=True,
        values={"state": tuple(RunState)},
    ),
    "notified": EventType(
        {"via": "string", "outcome": "string", "error": "string|null"},
        durable=True,
        values={"via": ("webhook", "command"), "outcome": ("told", "failed")},
    ),
    "step_started": EventType({"step": "string"}, durable=True),
    "step_completed": EventType({"step": "string", "duration_sec": "number"}, durable=True),
    "step_failed": EventType(
        {"step": "string", "duration_sec": "number", "cause": "string", "error": "string"},
        durable=True,
    ),
    "signal_received": EventType({"signal": "string"}),
    "warning": EventType({"code": "string", "message": "string"}),
    # effects
    "pod_create_intended": _create[0],
    "pod_create_settled": _create[1],
    "pod_delete_intended": _delete[0],
    "pod_delete_settled": _delete[1],
    "pod_claimed": EventType(
        {**_POD, "name": "string", **_OFFER, "state_file": "string"}, durable=True, verbatim=_NAMED
    ),
    "pod_found_stopped": EventType({**_POD, "stopped_at": "string"}, durable=True),
    "pod_action_intended": _action[0],
    "pod_action_settled": _action[1],
    "volume_create_intended": _volume[0],
    "volume_create_settled": _volume[1],
    "exec_start_intended": _exec[0],
    "exec_start_settled": _exec[1],
    "pull_intended": _pull[0],
    "pull_settled": _pull[1],
    "upload_intended": _upload[0],
    "upload_settled": _upload[1],
    # where it runs
    "candidate_refused": EventType({**_OFFER, "reason": "string", "status": "integer"}),
    "datacenter_failover": EventType(
        {"from": "string|null", "to": "string|null", "reason": "string"}
    ),
    "cloud_type_fallback": EventType(
        {"from_cloud_type": "string", "to_cloud_type": "string", **_PLACE}
    ),
    "gpu_selected": EventType(_PLACE),
    "pod_resumed": EventType(
        {**_POD, **_PLACE, "cost_per_hour_usd": "number|null", "since": "string|null"}
    ),
    "node_joined": EventType({**_POD, "rank": "integer"}, durable=True),
    "pod_ready": EventType({**_POD, "host": "string", "port": "integer", "duration_sec": "number"}),
    "host_key_enrolled": EventType({**_POD, "fingerprint": "string"}),
    "host_key_confirmed": EventType({**_POD, "fingerprint": "string"}),
    "lease_armed": EventType({"verified": "boolean", "via": "string|null"}),
    "admission_checked": EventType({"gpus": "array", "driver": "string|null", "problems": "array"}),
    "connection_lost": EventType({"error": "string"}),
    "connection_restored": EventType({"duration_sec": "number"}),
    "attempt_lost": EventType(
        {
            "attempt": "integer",
            "left": "integer",
            **_POD,
            **_OFFER,
            "state": "string",
            "error": "string",
        },
        durable=True,
    ),
    "checkpoint_restored": EventType(
        {
            "label": "string",
            "files": "integer",
            "bytes": "integer",
            "sent_bytes": "integer",
            "duration_sec": "number",
        }
    ),
    "pod_killed_unexpected": EventType({"state": "string", "note": "string"}),
    # what is done there
    "command_started": EventType({"name": "string"}, verbatim=_NAMED),
    "command_completed": EventType(
        {"name": "string", "exit_code": "integer|null", "duration_sec": "number"}, verbatim=_NAMED
    ),
    "staging_completed": EventType(
        {
            "label": "string",
            "files": "integer",
            "bytes": "integer",
            "tree_sha256": "string",
            "duration_sec": "number",
            "sent_files": "integer",
            "sent_bytes": "integer",
        }
    ),
    "secret_delivered": EventType({"name": "string"}, verbatim=_NAMED),
    "remote_step_started": EventType({"name": "string", "log_offset": "integer"}),
    "remote_step_completed": EventType({"name": "string", "log_offset": "integer"}),
    "log_progress": EventType(
        {
            "log_offset": "integer",
            "local_bytes": "integer",
            "success_marker_seen": "boolean",
            "failure_markers_seen": "array",
        }
    ),
    "budget_reached": EventType({"limit": "string", "accrued_usd": "number", "cap_usd": "number"}),
    "job_ended": EventType(
        {
            "outcome": "string",
            "exit_code": "integer|null",
            "cause": "string|null",
            "log_bytes": "integer",
            "success_marker_seen": "boolean|null",
            "failure_markers_seen": "array",
        },
        durable=True,
        values={"outcome": ("succeeded", "failed", "unknown")},
    ),
    # what comes back
    "artifact_pull_started": EventType({"label": "string"}),
    "artifact_pull_completed": EventType(
        {
            "label": "string",
            "duration_sec": "number",
            "files": "integer",
            "bytes": "integer",
            "sha256": "string",
            "fetched_files": "integer",
            "fetched_bytes": "integer",
        }
    ),
    "artifact_synced": EventType(
        {
            "label": "string",
            "duration_sec": "number",
            "files": "integer",
            "bytes": "integer",
            "fetched_files": "integer",
            "fetched_bytes": "integer",
            "error": "string|null",
        }
    ),
    "artifact_pull_failed": EventType(
        {"label": "string", "duration_sec": "number", "error": "string"}
    ),
    "capture_failed": EventType({"file": "string", "reason": "string"}),
    "remote_log_pull_failed": EventType({"path": "string", "error": "string"}),
}

DURABLE = frozenset(name for name, kind in EVENT_TYPES.items() if kind.durable)


@dataclass(frozen=True, slots=True)
class Event(Mapping[str, Any]):
    """One line of the journal; also a mapping over that line, as the predecessor's readers expect.

    Attributes:
        seq: Counts from 1 within a run; 0 for lines of the predecessor, which have none.
        ts_utc: `YYYY-MM-DDTHH:MM:SS.ffffffZ`.
    """

    event: str
    ts_utc: str
    seq: int = 0
    fields: Mapping[str, Any] = field(default_factory=dict)
    v: int = EVENT_VERSION

    def line(self) -> dict[str, Any]:
        """Return the event as it is written, keys in file order."""
        head = {"v": self.v, "seq": self.seq, "ts_utc": self.ts_utc, "event": self.event}
        return {**head, **self.fields}

    @classmethod
    def from_line(cls, line: Mapping[str, Any]) -> Event:
        """Build an event from a parsed line; the predecessor's lines have neither `v` nor `seq`.

        Raises:
            ValueError: The line does not name an event.
        """
        name, stamp = line.get("event"), line.get("ts_utc")
        if not isinstance(name, str):
            raise ValueError(f"not an event: {name!r}")
        return cls(
            event=name,
            ts_utc=stamp if isinstance(stamp, str) else "",
            seq=_count(line.get("seq")),
            fields={k: v for k, v in line.items() if k not in HEAD},
            v=_count(line.get("v")),
        )

    def __getitem__(self, key: str) -> Any:
        return self.line()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.line())

    def __len__(self) -> int:
        return len(HEAD) + len(self.fields)


def _count(value: object) -> int:
    return value if type(value) is int and value > 0 else 0


_IS: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) is int or (type(value) is float and math.isfinite(value)),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, (list, tuple)),
    "null": lambda value: value is None,
}


def check_event(name: str, fields: Mapping[str, Any]) -> None:
    """Hold an event about to be written against the closed list.

    Raises:
        ValueError: Unknown event, or other fields, types or values than the list says.
    """
    kind = EVENT_TYPES.get(name)
    if kind is None:
        raise ValueError(f"unknown event {name!r}")
    if set(fields) != set(kind.fields):
        odd = sorted(set(fields) ^ set(kind.fields))
        raise ValueError(f"event {name!r}: fields {odd} do not match the list")
    for key, value in fields.items():
        types = kind.fields[key]
        if not any(_IS[one](value) for one in types.split("|")):
            raise ValueError(f"event {name!r}: {key} must be {types}, not {value!r}")
        if key in kind.values and value not in kind.values[key]:
            raise ValueError(f"event {name!r}: {key} must be one of {kind.values[key]}")

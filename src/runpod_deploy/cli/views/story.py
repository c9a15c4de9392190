"""Events as sentences: what a person watching a run wants to be told, one line each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runpod_deploy.cli.amounts import count, duration, size, usd
from runpod_deploy.record.events import Event
from runpod_deploy.record.states import RunState

Tone = Literal["plain", "good", "warn", "bad", "dim"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of the story; `step` is the step it belongs to."""

    step: str
    text: str
    tone: Tone = "plain"


class Story:
    """Turns the events of one run into lines; knows which step is on."""

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._told = 0
        self._ours = False
        self._left: str | None = None
        self.step = "run"

    def tell(self, event: Event) -> Line | None:
        """Return what is said about `event`, None for nothing.

        What a foreign or broken writer left in place of a field is shown as it stands.
        """
        try:
            return self._tell(event)
        except (TypeError, ValueError, ArithmeticError, AttributeError):
            return Line(step=self.step, text=_as_it_stands(event), tone="dim")

    def _tell(self, event: Event) -> Line | None:
        fields = event.fields
        if event.event == "step_started":
            return self._begun(fields)
        if event.event == "step_completed":
            return self._completed(fields)
        if event.event == "state_changed":
            return self._state(fields)
        if event.event == "run_started":
            return self._started(fields)
        teller = _TELLERS.get(event.event)
        if teller is None and not self._ours:
            teller = _PREDECESSORS.get(event.event)
        said = teller(fields) if teller else None
        if said is None and self._verbose and event.event not in _TELLERS:
            said = _as_it_stands(event), "dim"
        if said is None:
            return None
        self._told += 1
        text, tone = said
        # Who was told of the end is no part of the step that ended last.
        step = "run" if event.event == "notified" else self.step
        return Line(step=step, text=text, tone=tone)

    def _begun(self, fields: Mapping[str, Any]) -> Line | None:
        before, self.step, self._told = self.step, str(fields.get("step")), 0
        begun = _BEGINNINGS.get(self.step)
        if begun is None:
            return None
        if self.step == "execute" and before in {"run", "execute"}:
            begun = "going on with the job"  # another executor got this far
        self._told = 1
        return Line(step=self.step, text=begun, tone="dim")

    def _completed(self, fields: Mapping[str, Any]) -> Line | None:
        seconds = fields.get("duration_sec") or 0.0
        if seconds < (_SOON_SEC if self._told else _NOTHING_TO_DO_SEC):
            return None
        return Line(step=self.step, text=f"done in {duration(seconds)}", tone="good")

    def _started(self, fields: Mapping[str, Any]) -> Line | None:
        """Say that another command goes on with the run, and what became of the one before."""
        first, self._ours = not self._ours, True
        before, self._left = self._left, "lost"
        if first:
            return None
        by = f"carried on by process {fields.get('pid')}"
        if before != "lost":
            return Line(step="run", text=by)
        lost = (
            "the command that carried it on ended without a word (killed, or its machine went down)"
        )
        return Line(step="run", text=f"{lost}; {by}", tone="warn")

    def _state(self, fields: Mapping[str, Any]) -> Line | None:
        state = fields.get("state")
        if state == "DETACHED":
            self._left = state
            return Line(step="run", text="detached: the job goes on, on its pod", tone="dim")
        if state in _OVER:
            self._left = str(state)
        if state != "UNDOING":
            return None
        self.step = "undo"
        cause = str(fields.get("cause") or "")
        why = f" ({cause.replace('_', ' ')})" if cause.islower() else ""
        return Line(step="undo", text=f"the run did not succeed{why}; cleaning up", tone="warn")


def _as_it_stands(event: Event) -> str:
    fields = " ".join(f"{key}={value}" for key, value in event.fields.items())
    return f"{event.event} {fields}"


_OVER = frozenset(one.value for one in RunState if one.final)
_NOTHING_TO_DO_SEC = 0.05
_SOON_SEC = 1.0
_BEGINNINGS = {
    "connect": "waiting for a login over SSH",
    "execute": "starting the job",
    "collect": "bringing the results home",
}

Said = tuple[str, Tone]
Teller = Callable[[Mapping[str, Any]], Said | None]


def _place(fields: Mapping[str, Any]) -> str:
    parts = (fields.get("gpu_id"), fields.get("datacenter_id") or "any datacenter")
    return " · ".join(str(one) for one in (*parts, fields.get("cloud_type")) if one)


def _failed(fields: Mapping[str, Any]) -> Said:
    spent = duration(fields.get("duration_sec") or 0.0)
    if fields.get("cause") == "cancelled":
        return f"interrupted after {spent}", "warn"
    # The whole text comes at the end of the run, when this is what ended it.
    error, *_ = str(fields.get("error")).splitlines() or [""]
    return f"failed after {spent}: {error}", "bad"


def _created(fields: Mapping[str, Any]) -> Said | None:
    rate = fields.get("cost_per_hour_usd")
    price = "at a price that is not known" if rate is None else f"for {usd(rate)}/h"
    match fields.get("outcome"):
        case "created":
            return f"pod {fields.get('pod_id')} {price}", "plain"
        case "adopted":
            text = f"pod {fields.get('pod_id')} {price}; the answer was lost, the pod was found"
            return text, "warn"
        case "unknown":
            return f"it is not known whether a pod was made: {fields.get('error')}", "bad"
    return None


def _resumed(fields: Mapping[str, Any]) -> Said:
    rate = fields.get("cost_per_hour_usd")
    price = "" if rate is None else f" for {usd(rate)}/h"
    return f"pod {fields.get('pod_id')} is used again{price}", "plain"


def _deleted(fields: Mapping[str, Any]) -> Said:
    if fields.get("outcome") == "gone":
        return f"pod {fields.get('pod_id')} is gone", "good"
    return f"pod {fields.get('pod_id')} could NOT be confirmed gone: {fields.get('error')}", "bad"


def _acted(fields: Mapping[str, Any]) -> Said | None:
    outcome = fields.get("outcome")
    if outcome == "leaked":
        text = f"pod {fields.get('pod_id')} could NOT be confirmed stopped: {fields.get('error')}"
        return text, "bad"
    if outcome == "refused":
        return None  # what is done about it is a warning of its own
    return f"pod {fields.get('pod_id')} is {outcome}", "plain"


def _ready(fields: Mapping[str, Any]) -> Said:
    spent = duration(fields.get("duration_sec") or 0.0)
    return f"SSH is open at {fields.get('host')}:{fields.get('port')} after {spent}", "plain"


def _lease(fields: Mapping[str, Any]) -> Said | None:
    if fields.get("verified"):
        return f"lease armed and tested (by {fields.get('via')})", "plain"
    # A warning beside it says what that means.
    return None


def _admission(fields: Mapping[str, Any]) -> Said:
    gpus, problems = fields.get("gpus") or [], fields.get("problems") or []
    names = ", ".join(dict.fromkeys(map(str, gpus))) or "no GPU"
    several = f"{len(gpus)} × " if len(gpus) > 1 else ""
    seen = f"{several}{names}, driver {fields.get('driver') or 'unknown'}"
    return (f"{seen}: {'; '.join(map(str, problems))}", "warn") if problems else (seen, "plain")


def _command(fields: Mapping[str, Any]) -> Said:
    name, spent = fields.get("name"), duration(fields.get("duration_sec") or 0.0)
    code = fields.get("exit_code")
    if code == 0:
        return f"{name} done in {spent}", "plain"
    how = "did not end" if code is None else f"ended with exit code {code}"
    return f"{name} {how} after {spent}", "bad"


def _staged(fields: Mapping[str, Any]) -> Said:
    amount = f"{count(fields.get('files') or 0, 'file')}, {size(fields.get('bytes') or 0)}"
    spent = duration(fields.get("duration_sec") or 0.0)
    sent = fields.get("sent_files")
    if sent == 0:
        return f"{fields.get('label')}: nothing to send, {amount} in place already", "plain"
    travelled = f", {size(fields.get('sent_bytes') or 0)} sent" if sent else ""
    return f"{fields.get('label')}: {amount}{travelled} in {spent}", "plain"


def _job_ended(fields: Mapping[str, Any]) -> Said:
    code, outcome = fields.get("exit_code"), fields.get("outcome")
    ended = "the job left no exit code" if code is None else f"the job ended with exit code {code}"
    cause = fields.get("cause")
    told = (
        f"{ended} ({str(cause).replace('_', ' ')})" if cause not in {None, "exit_code"} else ended
    )
    return told, {"succeeded": "good", "failed": "bad"}.get(str(outcome), "warn")  # type: ignore[return-value]  # mypy widens the dict's values to str


def _pulled(fields: Mapping[str, Any]) -> Said:
    files, fetched = fields.get("files") or 0, fields.get("fetched_files")
    amount = f"{count(files, 'file')}, {size(fields.get('bytes') or 0)}"
    if fetched == 0 and files:
        return f"{fields.get('label')}: {amount}, all here already, verified", "plain"
    if fetched is not None and fetched < files:
        amount += f", {count(fetched, 'file')} of them new or changed"
    return f"{fields.get('label')}: {amount}, verified", "plain"


def _synced(fields: Mapping[str, Any]) -> Said:
    label, error = fields.get("label"), fields.get("error")
    if error is not None:
        return f"{label}: not brought home this time: {error}", "warn"
    amount = count(fields.get("fetched_files") or 0, "file")
    return f"{label}: {amount} new or changed, {size(fields.get('fetched_bytes') or 0)}", "plain"


def _uploaded(fields: Mapping[str, Any]) -> Said:
    label, error = fields.get("label"), fields.get("error")
    if error is not None:
        return f"{label}: not in its bucket: {error}", "warn"
    files, sent = fields.get("files") or 0, fields.get("sent_files")
    amount = f"{count(files, 'file')}, {size(fields.get('bytes') or 0)}"
    if sent == 0 and files:
        return f"{label}: {amount} in its bucket already, verified", "plain"
    return f"{label}: {amount} in its bucket, verified", "plain"


def _budget(fields: Mapping[str, Any]) -> Said:
    accrued, cap = fields.get("accrued_usd") or 0.0, fields.get("cap_usd") or 0.0
    limit = {"soft_cap": "soft limit", "cost_cap": "limit"}.get(str(fields.get("limit")), "limit")
    return f"{limit} of the money reached: {usd(accrued)} of {usd(cap)}", "warn"


def _drift(fields: Mapping[str, Any]) -> Said:
    before, after = fields.get("planned") or "nothing", fields.get("now") or "nothing"
    allowed = fields.get("verdict") == "allowed"
    text = f"not as planned: {fields.get('field')}: planned {before}, now {after}"
    return text + (" (allowed)" if allowed else ""), "warn" if allowed else "dim"


def _notified(fields: Mapping[str, Any]) -> Said | None:
    if fields.get("outcome") != "told":
        return None  # a warning beside it says why
    return f"the {fields.get('via')} was told of the end", "plain"


def _account(fields: Mapping[str, Any]) -> Said | None:
    if fields.get("unknown"):
        return f"the account's balance is not known: {fields.get('unknown')}", "dim"
    parts = []
    if isinstance(fields.get("balance_usd"), int | float):
        parts.append(f"the account has {usd(fields['balance_usd'])}")
    if isinstance(fields.get("spend_per_hour_usd"), int | float):
        parts.append(f"spends {usd(fields['spend_per_hour_usd'])}/h")
    if isinstance(fields.get("spend_limit_per_hour_usd"), int | float):
        parts.append(f"may spend {usd(fields['spend_limit_per_hour_usd'])}/h")
    return (", ".join(parts), "dim") if parts else None


_TELLERS: Mapping[str, Teller] = {
    "run_started": lambda _: None,
    "plan_approved": lambda f: (f"approved by {f.get('principals') or f.get('key')}", "plain"),
    "plan_drift": _drift,
    "account_checked": _account,
    "step_failed": _failed,
    "signal_received": lambda f: (f"{f.get('signal')} received", "warn"),
    "warning": lambda f: (f"warning: {f.get('message')}", "warn"),
    "notified": _notified,
    "pod_create_intended": lambda f: (f"asking for {_place(f)}", "dim"),
    "pod_create_settled": _created,
    "pod_delete_intended": lambda _: None,
    "pod_delete_settled": _deleted,
    "pod_action_intended": lambda _: None,
    "pod_action_settled": _acted,
    "volume_create_settled": lambda f: (f"volume {f.get('volume_id')}", "plain"),
    "candidate_refused": lambda f: (f"{_place(f)}: {f.get('reason')}", "warn"),
    "pod_claimed": lambda f: (f"pod {f.get('pod_id')} was kept by an earlier run", "dim"),
    "pod_found_stopped": lambda f: (f"pod {f.get('pod_id')} was stopped meanwhile", "warn"),
    "pod_resumed": _resumed,
    "pod_ready": _ready,
    "lease_armed": _lease,
    "admission_checked": _admission,
    "connection_lost": lambda f: (f"connection lost, the job goes on: {f.get('error')}", "warn"),
    "connection_restored": lambda f: (
        f"connected again after {duration(f.get('duration_sec') or 0.0)}",
        "plain",
    ),
    "attempt_lost": lambda f: (
        f"attempt {f.get('attempt')} lost its pod ({f.get('state')}); trying again",
        "warn",
    ),
    "checkpoint_restored": lambda f: (
        f"{f.get('label')}: {count(f.get('files') or 0, 'file')} of the last attempt put back",
        "plain",
    ),
    "pod_killed_unexpected": lambda f: (f"the pod is {f.get('state')}: {f.get('note')}", "bad"),
    "command_completed": _command,
    "staging_completed": _staged,
    "secret_delivered": lambda f: (f"{f.get('name')} delivered", "plain"),
    "remote_step_started": lambda f: (f"{f.get('name')} …", "dim"),
    "remote_step_completed": lambda f: (f"{f.get('name')} done", "plain"),
    "budget_reached": _budget,
    "job_ended": _job_ended,
    "artifact_pull_completed": _pulled,
    "artifact_synced": _synced,
    "artifact_pull_failed": lambda f: (f"{f.get('label')}: {f.get('error')}", "warn"),
    "upload_settled": _uploaded,
    "remote_log_pull_failed": lambda f: (f"the end of the log was lost: {f.get('error')}", "warn"),
}

_PREDECESSORS: Mapping[str, Teller] = {
    "gpu_selected": lambda f: (_place(f), "plain"),
    "datacenter_failover": lambda f: (
        f"{f.get('from')} → {f.get('to')}: {f.get('reason')}",
        "warn",
    ),
    "cloud_type_fallback": lambda f: (
        f"{f.get('from_cloud_type')} → {f.get('to_cloud_type')} for {_place(f)}",
        "warn",
    ),
}
"""What journals of the predecessor tell; in ours, other events say the same and more."""

"""A run's status as text and as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runpod_deploy.cli.amounts import duration, limit, size, usd
from runpod_deploy.cli.layout import INDENT, Row, labelled
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.run_cloud import is_emulated
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.views.log_text import LogText
from runpod_deploy.cli.views.watch import shown

if TYPE_CHECKING:
    from runpod_deploy.executor.ports import Pod
    from runpod_deploy.forensics.status import RunStatus
    from runpod_deploy.record.records import PodRecord

_BECAUSE = {
    "max_runtime": "budget.max_runtime_minutes",
    "cost_cap": "budget.cost_cap_usd",
    "silence": "lease.silence_minutes",
    "boot_grace": "lease.boot_grace_minutes",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Clouded:
    """What the cloud said of the pods that are left.

    Attributes:
        pods: Name of a pod to what it is, None for one that is gone; None when nobody was asked.
        unasked: Why the cloud was not asked, or gave no answer.
    """

    pods: Mapping[str, Pod | None] | None = None
    unasked: str | None = None


def last_lines(status: RunStatus, wanted: int) -> list[str]:
    """Return the last lines of the log as it lies here, fit for a terminal."""
    from runpod_deploy.forensics.log import log_of, offset_of_last  # noqa: PLC0415 - with the data

    file = log_of(status.folder)
    try:
        start = offset_of_last(file, wanted)
        with file.open("rb") as stream:
            stream.seek(start)
            text = LogText()
            # What grows meanwhile is for the next look.
            lines = [
                one for piece in iter(lambda: stream.read(1 << 16), b"") for one in text.feed(piece)
            ]
            return [*lines, *text.flush()][-wanted:] if wanted > 0 else []
    except OSError:
        return []


def render(
    status: RunStatus, seen: Clouded, tail: Sequence[str], now: float, terminal: Terminal
) -> str:
    """Return the status as text, without a line break at its end."""
    style = terminal.out
    tones = {"SUCCEEDED": style.good, "WORKING": style.accent, "DETACHED": style.warn}
    tone = tones.get(
        status.state, style.warn if status.goes_on or status.state == "KEPT" else style.bad
    )
    head = (
        f"{style.bold(line(status.run_id or status.folder.name))}  {tone(_headline(status, now))}"
    )
    lines = [head, *labelled(_rows(status, seen, now), style, terminal.width)]
    if tail:
        lines += [f"{INDENT}last lines", *(style.dim(f"{INDENT}{INDENT}{one}") for one in tail)]
    told = "\n".join(f"{INDENT}{one}" for one in next_commands(status))
    return "\n".join([*lines, f"next:\n{told}"] if told else lines)


def next_commands(status: RunStatus) -> list[str]:
    """Return what one would do next, the likeliest first."""
    run = shown(status.folder)
    if status.goes_on and status.executor is not None:
        return [f"runpod-deploy logs -f {run}", f"runpod-deploy cancel {run}"]
    if status.goes_on:
        return [f"runpod-deploy resume {run}", f"runpod-deploy cancel {run}"]
    if status.pods_left and status.state == "KEPT":
        return [f"runpod-deploy resume {run}", f"runpod-deploy cleanup {run}"]
    if status.pods_left:
        return [f"runpod-deploy cleanup {run}"]
    return [f"runpod-deploy manifest-summary {run}"] if status.manifest is not None else []


def as_data(status: RunStatus, seen: Clouded, tail: Sequence[str], now: float) -> dict[str, Any]:
    """Return the status as JSON-like data."""
    end = status.run.job_end
    ends = status.ends
    return {
        "run_dir": str(status.folder),
        "run_id": status.run_id,
        "job_name": status.job_name,
        "state": status.state,
        "cause": status.run.cause,
        "goes_on": status.goes_on,
        "step": status.step,
        "step_since": _stamp(status.step_since),
        "job": status.job,
        "job_exit_code": end.exit_code if end else None,
        "executor": _holder(status, now),
        "cloud": status.run.started.get("cloud"),
        "cloud_asked": seen.pods is not None,
        "cloud_not_asked_because": seen.unasked,
        "pods": [_pod(pod, seen) for pod in status.run.pods.values()],
        "cost_usd": None if status.cost_usd is None else round(status.cost_usd, 6),
        "cost_cap_usd": status.plan.budget.cost_cap_usd if status.plan else None,
        "wall_time_sec": status.wall_time_sec,
        "job_ends_by": _stamp(ends.job_at),
        "job_ends_because": ends.job_because,
        "pod_ends_by": _stamp(ends.pod_at),
        "pod_ends_because": ends.pod_because,
        "lease_verified": ends.verified,
        "log_bytes": status.log_bytes,
        "last_event_at": _stamp(status.last_event_at),
        "last_lines": list(tail),
        "warnings": list(status.warnings),
        "next": next_commands(status),
    }


def _headline(status: RunStatus, now: float) -> str:
    spent = "" if status.wall_time_sec is None else f" after {duration(status.wall_time_sec)}"
    if not status.goes_on:
        cause = f" ({line(status.run.cause)})" if status.run.cause else ""
        return f"{status.state}{cause}{spent}"
    since = (
        "" if status.step_since is None else f", for {duration(max(0.0, now - status.step_since))}"
    )
    step = f": {line(status.step)}{since}" if status.step else ""
    return f"{status.state}{step}"


def _rows(status: RunStatus, seen: Clouded, now: float) -> Iterator[Row]:
    yield Row(label="run folder", text=shown(status.folder))
    if status.goes_on:
        yield Row(label="executor", text=_executor(status, now))
    if status.run.started_at:
        yield Row(label="job", text=_job(status))
    yield from _pod_rows(status, seen)
    yield Row(label="cost", text=_cost(status))
    yield from _end_rows(status, now)
    if status.warnings:
        yield Row(label="warnings", text="\n".join(status.warnings[-3:]))


def _executor(status: RunStatus, now: float) -> str:
    if status.executor is not None:
        return status.executor.named(now)
    ago = "" if status.last_event_at is None else f" (last word {_ago(now - status.last_event_at)})"
    return f"nobody carries this run on{ago}"


def _job(status: RunStatus) -> str:
    end = status.run.job_end
    log = "" if status.log_bytes is None else f"; {size(status.log_bytes)} of log here"
    if end is None:
        known = (
            ""
            if status.executor is not None or status.job == "not begun"
            else ", as far as is known"
        )
        return f"{status.job}{known}{log}"
    code = "without an exit code" if end.exit_code is None else f"with exit code {end.exit_code}"
    return f"ended {code}, {end.outcome}{log}"


def _pod_rows(status: RunStatus, seen: Clouded) -> Iterator[Row]:
    pods = status.pods_left or tuple(pod for pod in (status.run.pod,) if pod is not None)
    for pod in pods:
        rate = "" if pod.cost_per_hour_usd is None else f"{usd(pod.cost_per_hour_usd)}/h"
        parts = (pod.gpu_id, pod.datacenter_id, pod.cloud_type, rate)
        place = " · ".join(part for part in parts if part)
        name = pod.pod_id or f"named {pod.name}"
        yield Row(label="pod", text=f"{name}  {_standing(pod, seen)}\n{place}".rstrip())


def _standing(pod: PodRecord, seen: Clouded) -> str:
    """Return how a pod is by the cloud's word, else by the journal's, and which of them it is."""
    told = _JOURNAL.get(pod.status, pod.status)
    if pod.status in {"gone", "refused"}:
        return told
    if seen.pods is None:
        return f"{told} by the journal; the cloud was not asked ({seen.unasked})"
    if pod.name not in seen.pods:
        return f"{told} by the journal"
    found = seen.pods[pod.name]
    return "gone, says the cloud" if found is None else f"{found.status}, says the cloud"


_JOURNAL = {
    "alive": "running",
    "intended": "asked for",
    "leaked": "NOT confirmed gone",
    "refused": "never made",
}


def _cost(status: RunStatus) -> str:
    cap = "" if status.plan is None else f" of at most {usd(status.plan.budget.cost_cap_usd)}"
    if status.cost_usd is None:
        return f"not known: the price of a pod is not{cap}"
    spent = f"{usd(status.cost_usd)}{' (emulated)' if is_emulated(status.run) else ''}"
    disk = any(pod.status == "stopped" for pod in status.run.pods.values())
    return f"{spent}{cap}{'; the disk of the stopped pod comes on top' if disk else ''}"


def _end_rows(status: RunStatus, now: float) -> Iterator[Row]:
    if not status.goes_on or status.run.pod is None:
        return
    if status.plan is None:
        yield Row(label="ends by", text="not known: plan.json cannot be read")
        return
    ends = status.ends
    if ends.job_at is not None:
        yield Row(label="job ends by", text=_moment(ends.job_at, ends.job_because, now))
    if status.run.pod.status != "alive":
        return
    nobody = "" if status.executor is None else ", if this executor is lost"
    if ends.pod_at is not None:
        text = f"{_moment(ends.pod_at, ends.pod_because, now)}{nobody}"
    elif ends.verified is False:
        text = "never by itself: its watchdog cannot reach the API"
    else:
        text = "never by itself"
    yield Row(label="pod ends by", text=text)


def _moment(at: float, because: str | None, now: float) -> str:
    when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    left = at - now
    away = f"in {limit(round(left / 60) * 60 or 60)}" if left > 0 else f"{_ago(-left)}"
    return f"{when}, {away} ({_BECAUSE.get(because or '', because)})"


def _ago(seconds: float) -> str:
    return f"{duration(max(0.0, seconds))} ago"


def _holder(status: RunStatus, now: float) -> dict[str, Any] | None:
    holder = status.executor
    if holder is None:
        return None
    return {
        "pid": holder.pid,
        "host": holder.host,
        "here": holder.here,
        "last_seen_sec": round(max(0.0, now - holder.beat), 1),
    }


def _pod(pod: PodRecord, seen: Clouded) -> dict[str, Any]:
    found = (seen.pods or {}).get(pod.name)
    asked = seen.pods is not None and pod.name in seen.pods
    return {
        "pod_id": pod.pod_id,
        "name": pod.name,
        "status": pod.status,
        "cloud_status": (found.status if found else "gone") if asked else None,
        "gpu_id": pod.gpu_id or None,
        "datacenter_id": pod.datacenter_id,
        "cloud_type": pod.cloud_type or None,
        "cost_per_hour_usd": pod.cost_per_hour_usd,
        "created_at": pod.created_at or None,
        "ended_at": pod.ended_at,
    }


def _stamp(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""The end of a run in a few lines, and the same as data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runpod_deploy.cli.amounts import count, duration, size, usd
from runpod_deploy.cli.layout import INDENT, Row, labelled, table
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.style import Style
from runpod_deploy.cli.target import CloudName
from runpod_deploy.cli.views import remains
from runpod_deploy.cli.views.watch import Watch, shown
from runpod_deploy.record.manifest import MANIFEST_NAME, wall_time

_MOST_WARNINGS = 3
_TOLD_BY_THE_LOG = frozenset({"exit_code", "killed"})
MARKS = {True: "✓", False: "✗"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How a run ended, all that views need.

    Attributes:
        status: The tool's exit status.
        cost_usd: What the run has cost.
        signal: Name of the signal that ended it.
        failure: Why it failed, as the manifest says it.
        log_tail: The last lines of the log of a job that failed.
    """

    watch: Watch
    status: int
    cost_usd: float
    now: str
    signal: str | None = None
    error: str | None = None
    failure: Mapping[str, Any] | None = None
    log_tail: tuple[str, ...] = ()


def headline(ending: Ending) -> str:
    """Return the one line that is left with --quiet."""
    run = ending.watch.run
    spent = wall_time(run, ending.now)
    code = run.job_end.exit_code if run.job_end else None
    by = f" by {ending.signal}" if ending.signal and run.state.value == "CANCELLED" else ""
    after = "" if spent is None else f" after {duration(spent)}"
    told = "" if code is None else f", job exit code {code}"
    cost = usd(ending.cost_usd)
    if ending.watch.target.label == CloudName.EMULATOR:
        cost += " (emulated)"
    return f"{run.state.value}{by}{after}, {cost}{told}"


def render(ending: Ending, style: Style, *, width: int, unicode: bool = True) -> str:
    """Return the summary as text, without a line break at its end."""
    watch = ending.watch
    tone = {"SUCCEEDED": style.good, "DETACHED": style.warn, "KEPT": style.warn}
    head = tone.get(watch.run.state.value, style.bad)(headline(ending))
    lines = ["", style.bold(head), *labelled(_facts(ending), style, width)]
    lines += _artifacts(watch, style, unicode=unicode)
    if watch.folder is not None:
        lines.append(f"{INDENT}{'run folder':<16}{line(shown(watch.folder))}")
    return "\n".join(lines)


def _facts(ending: Ending) -> Iterable[Row]:
    watch = ending.watch
    proof = (ending.failure or {}).get("evidence")
    kind = (ending.failure or {}).get("kind")
    if ending.failure and (proof or kind == "killed"):
        shown = f"\n{proof['file']}:{proof['line']}: {proof['text']}" if proof else ""
        yield Row(label="because", text=f"{ending.failure['text']}{shown}")
    # A cause that is proved needs no more; what only failed may be understood by what was said last.
    if ending.log_tail and (not proof or kind in _TOLD_BY_THE_LOG):
        yield Row(label="its log ends", text="\n".join(ending.log_tail))
    pod = watch.run.pod
    if pod is not None:
        rate = "" if pod.cost_per_hour_usd is None else f"{usd(pod.cost_per_hour_usd)}/h"
        place = pod.datacenter_id or "any datacenter"
        parts = [one for one in (pod.gpu_id, place, pod.cloud_type, rate) if one]
        yield Row(label="ran on", text=" · ".join(parts))
        yield Row(label="pod", text=f"{pod.pod_id}, {_STATUS.get(pod.status, pod.status)}")
    told = watch.run.warnings
    if told:
        more = [f"and {len(told) - _MOST_WARNINGS} more"] if len(told) > _MOST_WARNINGS else []
        yield Row(label="warnings", text="\n".join([*told[:_MOST_WARNINGS], *more]))


def _artifacts(watch: Watch, style: Style, *, unicode: bool) -> list[str]:
    if watch.run.pod is None:
        return []
    rows = []
    for planned in watch.plan_file.plan.artifacts:
        record = watch.run.artifacts.get(planned.label)
        if record is not None and record.status == "success":
            amount = [count(record.files or 0, "file"), size(record.bytes or 0)]
            rows.append([_mark(good=True, unicode=unicode), planned.label, *amount, "verified"])
        else:
            waits = watch.run.state.value == "DETACHED"
            why = (record.error if record else None) or f"not pulled{' yet' * waits}"
            optional = "" if planned.required else " (optional)"
            missing = planned.required and not waits
            mark = _mark(good=False, unicode=unicode) if missing else "-"
            rows.append([mark, planned.label, "", "", f"{why.splitlines()[0]}{optional}"])
    if not rows:
        return []
    lines = table(rows, style, right="..rr")
    return [f"{INDENT}{'artifacts':<16}{lines[0].lstrip()}"] + [
        f"{INDENT}{'':<16}{one.removeprefix(INDENT)}" for one in lines[1:]
    ]


def _mark(*, good: bool, unicode: bool) -> str:
    return MARKS[good] if unicode else ("+" if good else "x")


_STATUS = {
    "alive": "still running",
    "stopped": "stopped; its disk is still billed",
    "leaked": "NOT confirmed gone",
}


def result(ending: Ending) -> Mapping[str, Any]:
    """Return the last line of `--json`."""
    watch = ending.watch
    run, folder = watch.run, watch.folder
    pod = run.pod
    return {
        "event": "result",
        "state": run.state.value if folder is not None else None,
        "exit_code": ending.status,
        "job_exit_code": run.job_end.exit_code if run.job_end else None,
        "cause": run.cause,
        "error": ending.error,
        "failure": ending.failure,
        "signal": ending.signal,
        "run_id": watch.run_id or None,
        "run_dir": None if folder is None else str(folder),
        "manifest": None if folder is None else str(folder / MANIFEST_NAME),
        "plan_hash": watch.plan_file.plan_hash,
        "cloud": watch.target.label,
        "pod_id": pod.pod_id if pod else None,
        "gpu_id": pod.gpu_id if pod else None,
        "datacenter_id": pod.datacenter_id if pod else None,
        "cost_usd": round(ending.cost_usd, 6),
        "pods_left": [one.pod_id or one.name for one in watch.left],
        "artifacts": {
            label: {"status": one.status, "files": one.files, "bytes": one.bytes}
            for label, one in run.artifacts.items()
        },
    }


def remaining(ending: Ending, style: Style) -> str | None:
    """Return what to know about pods that are still there; None when there are none."""
    watch = ending.watch
    if watch.run.leaked:
        return remains.leaked(watch.run.leaked, watch.target, style)
    if not watch.left:
        return None
    succeeded = watch.run.state.value == "SUCCEEDED"
    kept = succeeded and watch.plan_file.plan.lifecycle.on_success == "recycle"
    text = remains.left(watch.left, watch.target, style, for_next=kept)
    run = "last" if watch.folder is None else line(shown(watch.folder))
    if watch.run.state.value == "KEPT":
        return f"{text}\nTo try again to bring its results home:\n  runpod-deploy resume {run}"
    if watch.run.state.value != "DETACHED":
        return text
    cap = usd(watch.plan_file.plan.budget.cost_cap_usd)
    return (
        f"The job goes on without you, for at most {cap} in all (the cost cap).\n"
        f"Come back for its results:\n  runpod-deploy attach {run}\n{text}"
    )

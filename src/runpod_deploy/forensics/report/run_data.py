"""Everything the page about one run shows, as JSON-like data."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from runpod_deploy.forensics.load import iter_events, iter_metrics, load_manifest
from runpod_deploy.forensics.log import log_of
from runpod_deploy.forensics.report.series import chart_series
from runpod_deploy.forensics.summary import RunSummary, summarise
from runpod_deploy.record import tolerant
from runpod_deploy.record.events import Event
from runpod_deploy.record.manifest import Manifest
from runpod_deploy.record.reading import open_regular, read_whole
from runpod_deploy.record.run import Run, step
from runpod_deploy.schema.plain import to_plain

LOG_TAIL_BYTES = 512 * 1024
MOST_MARKS = 2000
MOST_STEPS = 200
UNDO = "undo"
MOST_FILES = 5000
MOST_EVENTS = 2000


def run_data(folder: Path) -> dict[str, Any]:
    """Return what is known of the run in `folder`; never raises for what lies in it."""
    summary = summarise(folder)
    manifest = load_manifest(folder)
    told = _Told()
    try:
        for event in iter_events(folder):
            told.take(event)
    except OSError:
        told.cut = True
    return {
        "kind": "run",
        "title": summary.job_name or folder.name,
        "summary": {**to_plain(summary), "folder": folder.name},
        "cause": _cause(manifest, told.run),
        "steps": told.steps,
        "marks": told.marks,
        "marks_count": told.marks_count,
        "events": told.events,
        "events_cut": told.cut,
        "pods": [_pod(record) for record in told.run.pods.values() if record.pod_id],
        "metrics": _metrics(folder),
        "log": log_tail(log_of(folder)),
        "artifacts": _artifacts(manifest, summary),
        "plan": _plan(folder),
        "drift": list(_drift(folder, summary)),
        "warnings": list(told.run.warnings),
        "telemetry": _texts(folder),
    }


class _Told:
    """What the events say, with times, in bounded memory."""

    def __init__(self) -> None:
        self.run = Run()
        self.steps: list[dict[str, Any]] = []
        self.marks: list[dict[str, Any]] = []
        self.marks_count = 0
        self.job_failed = False
        self.events: list[dict[str, Any]] = []
        self.cut = False

    def take(self, event: Event) -> None:
        self.run = step(self.run, event)
        at = tolerant.seconds(event.ts_utc)
        name = tolerant.text(event.fields, "step")
        if name is not None and event.event.startswith("step_"):
            self._step(event, name, at)
        elif event.event.startswith("remote_step_"):
            self._mark(event, at)
        else:
            self._other(event, at)

    def _other(self, event: Event, at: float | None) -> None:
        if event.event == "state_changed" and (self.run.state.final or self.run.state == "UNDOING"):
            self._over(at)
        if event.event == "job_ended" and self.run.job_end and self.run.job_end.outcome == "failed":
            # The step that watches the job did its work; what it is looked at for is the job.
            self.job_failed = True
        if len(self.events) < MOST_EVENTS:
            self.events.append({"t": at, "event": event.event, "fields": dict(event.fields)})
        else:
            self.cut = True

    def _over(self, at: float | None) -> None:
        """End what nobody told the end of: its executor was ended. What follows is the undoing."""
        for row in self.steps:
            if row["end"] is None:
                undone = row["name"] == UNDO and self.run.state not in {"LEAKED", "UNKNOWN"}
                row.update(end=at, state="completed" if undone else "failed")
        if self.run.state == "UNDOING" and len(self.steps) < MOST_STEPS:
            self.steps.append({"name": UNDO, "start": at, "end": None, "state": "started"})

    def _step(self, event: Event, name: str, at: float | None) -> None:
        if event.event == "step_started":
            if any(row["name"] == name and row["end"] is None for row in self.steps):
                return  # another executor goes on with it
            if len(self.steps) < MOST_STEPS:
                self.steps.append({"name": name, "start": at, "end": None, "state": "started"})
            return
        state = event.event.removeprefix("step_")
        if name == "execute" and self.job_failed:
            state = "failed"
        error = tolerant.text(event.fields, "error")
        for row in reversed(self.steps):
            if row["name"] == name and row["end"] is None:
                row.update(end=at, state=state, error=error)
                return

    def _mark(self, event: Event, at: float | None) -> None:
        name = tolerant.text(event.fields, "name") or "?"
        if event.event == "remote_step_started":
            self.marks_count += 1
            if len(self.marks) < MOST_MARKS:
                self.marks.append({"name": name, "start": at, "end": None})
            return
        for row in reversed(self.marks):
            if row["name"] == name and row["end"] is None:
                row["end"] = at
                return


def _pod(record: Any) -> dict[str, Any]:
    return {
        **to_plain(record),
        "start": tolerant.seconds(record.created_at),
        "end": tolerant.seconds(record.ended_at),
    }


def _cause(manifest: Manifest | None, run: Run) -> dict[str, Any] | None:
    """Return why the run failed, with the line that proves it where one was found."""
    failure = manifest.get("failure") if manifest is not None else None
    if isinstance(failure, Mapping):
        return dict(failure)
    error = next((one.error for one in reversed(run.steps) if one.error), None)
    if run.cause is None and error is None:
        return None
    return {"cause": run.cause, "text": error, "evidence": None}


def _metrics(folder: Path) -> dict[str, Any]:
    try:
        return chart_series(iter_metrics(folder))
    except OSError:
        return {"t": []}


def log_tail(path: Path) -> dict[str, Any]:
    """Return the end of a log in whole lines: `{text, bytes, cut}`; a missing one is empty."""
    try:
        with open_regular(path) as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - LOG_TAIL_BYTES))
            raw = stream.read(LOG_TAIL_BYTES)
    except OSError:
        return {"text": "", "bytes": 0, "cut": False}
    cut = size > LOG_TAIL_BYTES
    if cut and b"\n" in raw:
        raw = raw.partition(b"\n")[2]
    return {"text": raw.decode("utf-8", "replace"), "bytes": size, "cut": cut}


def _artifacts(manifest: Manifest | None, summary: RunSummary) -> list[dict[str, Any]]:
    rows = manifest.get("artifacts") if manifest is not None else None
    files: dict[str, list[Any]] = {}
    refused: dict[str, list[Any]] = {}
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping):
            label = str(row.get("label"))
            files[label] = _rows(row.get("entries"))
            refused[label] = _rows(row.get("refused"))
    return [
        {
            **to_plain(one),
            "entries": files.get(one.label, [])[:MOST_FILES],
            "entries_cut": len(files.get(one.label, [])) > MOST_FILES,
            "refused": refused.get(one.label, [])[:MOST_FILES],
        }
        for one in summary.artifacts
    ]


def _rows(value: Any) -> list[Any]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(read_whole(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _plan(folder: Path) -> dict[str, Any] | None:
    file = _read_json(folder / "plan.json")
    plan = file.get("plan")
    if not isinstance(plan, Mapping):
        return None
    scripts = [
        {"name": str(row.get("name")), "text": str(row.get("text") or "")[:100_000]}
        for row in _rows(plan.get("scripts"))
        if row.get("phase") != "pod"
    ]
    shown = {
        key: plan.get(key)
        for key in (
            "job",
            "candidates",
            "pod",
            "storage",
            "budget",
            "lifecycle",
            "lease",
            "staging",
        )
    }
    return {"hash": file.get("plan_hash"), "sections": shown, "scripts": scripts}


def _drift(folder: Path, summary: RunSummary) -> Iterator[dict[str, Any]]:
    """Yield what the plan saw or wanted and what the run had, where the two differ."""
    file = _read_json(folder / "plan.json")
    observed = _section(file, "observed")
    git, lock = _section(observed, "git"), _section(observed, "lockfile")
    candidates = _rows(_section(file, "plan").get("candidates"))
    first = candidates[0] if candidates else {}
    for field, planned, had in (
        ("git commit", git.get("sha"), summary.git_sha),
        ("uncommitted changes", git.get("dirty"), summary.git_dirty),
        ("lock file sha256", lock.get("sha256"), summary.lockfile_sha256),
        ("GPU (first choice)", first.get("gpu"), summary.gpu_id),
        ("data center", first.get("datacenter"), summary.datacenter_id),
        ("cloud type", first.get("cloud"), summary.cloud_type),
    ):
        wanted_any = field == "data center" and (planned is None or planned == "@volume")
        if planned is not None and had is not None and planned != had and not wanted_any:
            yield {"field": field, "planned": planned, "had": had}


def _section(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


_TEXTS = ("nvidia_smi_start.txt", "nvidia_smi_end.txt", "dmesg_tail.txt", "pip_freeze.txt")


def _texts(folder: Path) -> list[dict[str, str]]:
    found = []
    for name in _names(folder, _TEXTS):
        tail = log_tail(folder / name)
        if tail["text"]:
            found.append({"name": name, "text": tail["text"][-60_000:]})
    return found


def _names(folder: Path, names: Iterable[str]) -> Iterator[str]:
    return (name for name in names if (folder / name).is_file())

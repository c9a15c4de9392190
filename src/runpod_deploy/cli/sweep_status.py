"""`status` of a sweep: each of its runs, by the sweep's journal and by the run's own folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runpod_deploy.cli.amounts import usd
from runpod_deploy.cli.layout import Row, labelled
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.target import CloudName
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.views.sweep_end import shard_lines
from runpod_deploy.cli.views.watch import shown
from runpod_deploy.forensics.status import RunStatus, read_status
from runpod_deploy.forensics.sweeps import SweepRecord, read_sweep, shard_folder
from runpod_deploy.record.run_lock import Holder, living_holder
from runpod_deploy.record.sweep import WAITING, WORKING, ShardRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepStatus:
    """A sweep at this moment.

    Attributes:
        shards: As they stand now: of one that goes on, its own folder knows more than the sweep's.
        runs: What the run folders tell, by the names of those that have one.
        executor: Who carries the sweep on; None when nobody does.
    """

    sweep: SweepRecord
    shards: tuple[ShardRecord, ...]
    runs: dict[str, RunStatus]
    executor: Holder | None

    @property
    def goes_on(self) -> bool:
        """Whether any of its runs has begun and not ended."""
        return any(one.goes_on for one in self.runs.values())

    @property
    def cost_usd(self) -> float:
        """What all have cost until now."""
        return sum(one.cost_usd for one in self.shards)


def sweep_status(folder: Path, now: float) -> SweepStatus:
    """Return how the sweep in `folder` stands at `now`, seconds since the epoch.

    Raises:
        OSError: A journal is there and cannot be read.
    """
    sweep = read_sweep(folder)
    runs = {}
    for name in sweep.run.shards:
        place = shard_folder(sweep, name)
        if place is not None:
            runs[name] = read_status(place, now)
    shards = tuple(_now(one, runs.get(one.name)) for one in sweep.run.shards.values())
    holder = living_holder(folder, now)
    return SweepStatus(sweep=sweep, shards=shards, runs=runs, executor=holder)


def _now(shard: ShardRecord, run: RunStatus | None) -> ShardRecord:
    """Return a run as its own folder tells it, where that is not what the sweep saw last."""
    if run is None or shard.state == WAITING or run.run.started_at is None:
        return shard
    cause = run.run.cause if run.state != shard.state else shard.reason
    last = replace(shard.tries[-1], cost_usd=run.cost_usd or shard.tries[-1].cost_usd)
    tries = (*shard.tries[:-1], last)
    return replace(shard, state=run.state, reason=cause, tries=tries)


def show_sweep(folder: Path, terminal: Terminal, *, as_json: bool) -> None:
    """Print how a sweep stands."""
    now = time.time()
    status = sweep_status(folder, now)
    if as_json:
        terminal.document(as_data(status, now))
    else:
        terminal.print("\n".join(render(status, now, terminal)))


def render(status: SweepStatus, now: float, terminal: Terminal) -> Iterator[str]:
    """Yield the lines of a sweep's status."""
    style = terminal.out
    state = _state(status)
    tone = {"SUCCEEDED": style.good, WORKING: style.accent, "DETACHED": style.warn}
    yield (
        f"{style.bold(line(status.sweep.job_name or 'a sweep'))}  "
        f"{tone.get(state, style.bad)(line(state))}"
    )
    yield from labelled(_rows(status, now), style, terminal.width)
    yield from shard_lines(
        status.shards, status.sweep.project_root, style, terminal.width, steps=_steps(status)
    )
    commands = next_commands(status)
    if commands:
        yield "next:"
        yield from (f"  {one}" for one in commands)


def next_commands(status: SweepStatus) -> list[str]:
    """Return what one would do next, the likeliest first."""
    where = shown(status.sweep.folder)
    if status.executor is not None:
        return [f"runpod-deploy cancel {where}"]
    if status.goes_on:
        return [f"runpod-deploy resume {where}", f"runpod-deploy cancel {where}"]
    if any(one.state == WAITING for one in status.shards):
        return [f"runpod-deploy resume {where}"]
    if any(one.state != "SUCCEEDED" for one in status.shards):
        return [f"runpod-deploy apply {where} --retry-failed"]
    return [f"runpod-deploy manifest-summary --root {where}"]


def as_data(status: SweepStatus, now: float) -> dict[str, Any]:
    """Return a sweep's status as JSON-like data."""
    holder = status.executor
    return {
        "sweep_dir": str(status.sweep.folder),
        "job_name": status.sweep.job_name,
        "state": _state(status),
        "cause": status.sweep.run.cause,
        "goes_on": status.goes_on,
        "executor": None
        if holder is None
        else {
            "pid": holder.pid,
            "host": holder.host,
            "here": holder.here,
            "last_seen_sec": round(max(0.0, now - holder.beat), 1),
        },
        "cloud": status.sweep.cloud,
        "cost_usd": round(status.cost_usd, 6),
        "shards": [
            {
                "shard": one.name,
                "state": one.state,
                "reason": one.reason,
                "step": _steps(status).get(one.name),
                "run_dir": one.run_dir,
                "cost_usd": round(one.cost_usd, 6),
            }
            for one in status.shards
        ],
        "next": next_commands(status),
    }


def _state(status: SweepStatus) -> str:
    """Return the sweep's state: as its journal says, unless its runs went on since by themselves."""
    told = status.sweep.run.state
    states = {one.state for one in status.shards}
    if told == "DETACHED" and states == {"SUCCEEDED"}:
        return "SUCCEEDED"
    return told


def _rows(status: SweepStatus, now: float) -> Iterator[Row]:
    yield Row(label="sweep folder", text=shown(status.sweep.folder))
    holder = status.executor
    if holder is not None:
        yield Row(label="executor", text=holder.named(now))
    elif status.goes_on or status.sweep.run.state == WORKING:
        yield Row(label="executor", text="nobody carries this sweep on")
    counts: dict[str, int] = {}
    for one in status.shards:
        counts[one.state] = counts.get(one.state, 0) + 1
    told = ", ".join(f"{number} {state.lower()}" for state, number in counts.items())
    yield Row(label="runs", text=f"{len(status.shards)}: {told}" if told else "none is known")
    emulated = " (emulated)" if status.sweep.cloud == CloudName.EMULATOR else ""
    yield Row(label="cost", text=f"{usd(status.cost_usd)}{emulated}")


def _steps(status: SweepStatus) -> dict[str, str]:
    """Return the step of each run that goes on."""
    return {name: one.step for name, one in status.runs.items() if one.goes_on and one.step}

"""How a sweep is told: its question, its summary, what each of its runs came to and cost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from runpod_deploy.cli.style import Style
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.views.sweep import PlainSweepView, SweepWatch
from runpod_deploy.cli.views.sweep_end import headline, shard_lines
from runpod_deploy.cli.views.sweep_question import SweepQuestion
from runpod_deploy.cli.views.watch import Watch
from runpod_deploy.executor.endings import Detached, cause_of
from runpod_deploy.executor.interrupts import Interrupts
from runpod_deploy.record.manifest import MANIFEST_NAME
from runpod_deploy.record.run import JobEnd, Run, RunState, StepRecord
from runpod_deploy.record.sweep import ShardRecord, ShardTry, SweepRun

STYLE = Style(color=False)


def one(name: str, state: str, cost: float = 0.0, reason: str | None = None) -> ShardRecord:
    """Return a run of a sweep that was begun once."""
    run_dir = f"artifacts/runpod/20261126T034643Z-{name}"
    tries = (ShardTry(run_dir=run_dir, state=state, cause=reason, cost_usd=cost),)
    return ShardRecord(name=name, state=state, reason=reason, tries=tries)


def sweep_of(*shards: ShardRecord, state: str = "WORKING") -> SweepRun:
    """Return a sweep of these runs."""
    return SweepRun(shards={shard.name: shard for shard in shards}, state=state)


def at(watch: Watch, state: RunState, *steps: str) -> Watch:
    """Return a run that began these steps."""
    run = Run(state=state, steps=tuple(StepRecord(name=name, state="started") for name in steps))
    return replace(watch, run=run)


def test_the_question_says_what_becomes_of_each_run(watch: Watch, terminal: Terminal) -> None:
    """Jobs that run go on; what is still being set up is ended, said before anybody answers.

    That a step has begun is not enough: only the executor knows whether the job was begun on the pod.
    """
    narrow = replace(terminal, width=60)
    names = ("a", "b", "c")
    sweep = SweepWatch(
        sweep=sweep_of(*(one(name, "WORKING") for name in names), ShardRecord(name="d"))
    )
    sweep.watches = {name: at(watch, RunState.WORKING, "execute") for name in names}
    sweep.mailboxes = {name: Interrupts() for name in names}
    sweep.mailboxes["a"].can_detach = True
    end = JobEnd(
        outcome="succeeded",
        exit_code=0,
        cause=None,
        log_bytes=0,
        success_marker_seen=None,
        failure_markers_seen=(),
    )
    sweep.watches["c"] = replace(watch, run=Run(state=RunState.WORKING, job_end=end))
    view = PlainSweepView(narrow, sweep, write=narrow.print)
    text = SweepQuestion(narrow, view, sweep).text()
    whole = " ".join(text.split())
    assert "1 job goes on without you" in whole
    assert "1 run is still being set up: it is cancelled, its pod released" in whole
    assert "1 run is bringing results home" in whole
    assert "1 run will wait" in whole
    assert max(map(len, text.splitlines())) <= 60


def test_a_failed_run_is_told_with_its_code_and_in_words(tmp_path: Path) -> None:
    """The summary says of a failure what the run's own manifest says."""
    failed = one("b", "FAILED", 0.002, "exit_code")
    assert failed.run_dir is not None
    folder = tmp_path / failed.run_dir
    folder.mkdir(parents=True)
    failure = {"kind": "out_of_memory", "text": "The GPU ran out of memory.", "evidence": None}
    manifest = {"schema_version": "v2", "failed": True, "state": "FAILED", "exit_code": 3}
    (folder / MANIFEST_NAME).write_text(json.dumps({**manifest, "failure": failure}))
    text = "\n".join(shard_lines([one("a", "SUCCEEDED"), failed], tmp_path, STYLE, 100))
    assert "exit code 3: The GPU ran out of memory." in text
    assert "its exit code" not in text


def test_folders_are_never_broken_and_words_are(tmp_path: Path) -> None:
    """At 80 columns every line fits, and each folder stands whole on one."""
    name = "model=large_learning-rate=0.0001"
    shards = [one(name, "FAILED", 0.01, "PlanRefused"), one("b", "SUCCEEDED", 0.01)]
    lines = list(shard_lines(shards, tmp_path, STYLE, 80))
    assert all(len(line) <= 80 for line in lines)
    assert all(any(str(shard.run_dir) in line for line in lines) for shard in shards)


def test_runs_that_nobody_asked_for_do_not_wait() -> None:
    """With --only the others are no part of what is told."""
    sweep = sweep_of(one("a", "SUCCEEDED", 0.5), ShardRecord(name="b"), state="SUCCEEDED")
    watch = SweepWatch(sweep=sweep, only=frozenset(["a"]), emulated=True)
    told = headline(watch.asked(sweep), emulated=watch.emulated)
    assert told == "SUCCEEDED: 1 run, 1 succeeded, $0.50 (emulated)"


@pytest.mark.parametrize("watched", [True, False])
def test_a_run_that_is_over_keeps_its_cost(watch: Watch, *, watched: bool) -> None:
    """What a run cost stands in the sweep's journal, whoever watched it."""
    sweep = SweepWatch(sweep=sweep_of(one("a", "SUCCEEDED", 0.5)))
    if watched:
        sweep.watches = {"a": at(watch, RunState.SUCCEEDED)}
    assert sweep.spent_usd() == pytest.approx(0.5)


def test_leaving_is_no_error_of_ours() -> None:
    """A run that was detached from has the cause that its own journal says."""
    assert cause_of(Detached()) == "asked"

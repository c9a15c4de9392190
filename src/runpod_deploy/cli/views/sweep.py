"""A sweep while it works: what is known of it, and the view with one line for each thing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from runpod_deploy.cli.amounts import usd
from runpod_deploy.cli.layout import pad
from runpod_deploy.cli.printable import block, line
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.views.plain import toned
from runpod_deploy.cli.views.story import Story, Tone
from runpod_deploy.cli.views.watch import Watch, shown
from runpod_deploy.executor.interrupts import Interrupts
from runpod_deploy.record.events import Event
from runpod_deploy.record.journal import utc_stamp
from runpod_deploy.record.sweep import SKIPPED, WAITING, WORKING, ShardRecord, SweepRun

_TONES: Mapping[str, Tone] = {
    "SUCCEEDED": "good",
    WAITING: "dim",
    WORKING: "plain",
    "KEPT": "warn",
    "DETACHED": "warn",
    "CANCELLED": "warn",
    SKIPPED: "warn",
}
REASONS = {
    "StockOut": "no GPU was free",
    "exit_code": "its exit code",
    "asked": "left alone, its job goes on",
    "fail_fast": "another run failed",
    "sweep_cap": "the sweep's cap leaves too little",
    "cancelled": "cancelled",
    "cost_cap": "its cost cap",
    "max_runtime": "its time was up",
    "idle_gpu": "its GPUs did nothing",
    "marker_missing": "its success marker never came",
    "PlanRefused": "the project changed since it was planned",
    "AccountError": "API key or balance",
}


_TOLD_IN_FULL = frozenset(("PlanRefused", "AccountError", "StockOut"))


@dataclass(kw_only=True)
class SweepWatch:
    """A sweep as its events told it so far.

    Attributes:
        watches: The runs that were begun here, by their names.
        mailboxes: Those of the same runs, which say whether they can be left alone.
        only: Names of the runs that were asked for; None: all.
        emulated: Whether it is a rehearsal, whose costs nobody pays.
    """

    sweep: SweepRun
    only: frozenset[str] | None = None
    emulated: bool = False
    watches: dict[str, Watch] = field(default_factory=dict)
    mailboxes: dict[str, Interrupts] = field(default_factory=dict)
    folder: Path | None = None

    def asked(self, sweep: SweepRun) -> SweepRun:
        """Return the sweep without the runs that nobody asked for this time and that did nothing yet."""
        if self.only is None:
            return sweep
        shards = {
            name: one
            for name, one in sweep.shards.items()
            if name in self.only or one.state != WAITING
        }
        return replace(sweep, shards=shards)

    def spent_usd(self) -> float:
        """Return what all runs have cost until now."""
        return sum(self.cost_usd(one) for one in self.sweep.shards.values())

    def cost_usd(self, shard: ShardRecord) -> float:
        """Return what one run has cost until now, all its tries together."""
        watch = self.watches.get(shard.name)
        if shard.state != WORKING or watch is None or not shard.tries:
            return shard.cost_usd
        # What was known of the try that goes on now is in what its own events tell.
        before = shard.cost_usd - shard.tries[-1].cost_usd
        return before + watch.spent_usd(utc_stamp(time.time()))


def reason(shard: ShardRecord) -> str:
    """Return why a run waits or did not succeed, as people say it."""
    return "" if shard.reason is None else REASONS.get(shard.reason, shard.reason)


def step_of(watch: Watch | None) -> str:
    """Return the step that a run is in."""
    if watch is None:
        return ""
    started = [one.name for one in watch.run.steps if one.state == "started"]
    return started[-1] if started else ""


class PlainSweepView:
    """Writes `HH:MM:SS  run  text` when a run is begun, gets its pod, works, or ends."""

    def __init__(
        self, terminal: Terminal, watch: SweepWatch, *, write: Callable[[str], None]
    ) -> None:
        self._style = terminal.out
        self._quiet = terminal.quiet
        self._write = write
        self._watch = watch
        shown_names = watch.asked(watch.sweep).shards
        self._width = min(max((len(name) for name in shown_names), default=0), 40)
        self._stories: dict[str, Story] = {}
        self._told: set[str] = set()
        self._before: set[str | None] = set()

    def opened(self, folder: Path) -> None:
        """Say where the sweep is."""
        shards = self._watch.sweep.shards.values()
        self._before = {one.run_dir for shard in shards for one in shard.tries}
        runs, whole = (
            len(self._watch.asked(self._watch.sweep).shards),
            len(self._watch.sweep.shards),
        )
        of = "" if runs == whole else f" of {whole}"
        self._say(
            "sweep", f"{runs}{of} {'run' if whole == 1 else 'runs'}, in {shown(folder)}", "dim"
        )

    def event(self, event: Event) -> None:
        """Say what became of a run."""
        name = str(event.fields.get("shard", ""))
        shard = self._watch.sweep.shards.get(name)
        match event.event:
            case "plan_approved":
                who = event.fields.get("principals") or event.fields.get("key")
                self._say("sweep", f"approved by {who}", "plain")
            case "shard_opened":
                run_dir = event.fields["run_dir"]
                how = "taken up again" if run_dir in self._before else "begun"
                self._say(name, f"{how} in {run_dir}", "plain")
            case "shard_ended" if shard is not None:
                again = ", is tried again" if event.fields["again"] else ""
                why = "" if shard.reason is None else f": {reason(shard)}"
                cost = usd(float(event.fields["cost_usd"]))
                state = str(event.fields["state"])
                tone = "warn" if event.fields["again"] else _TONES.get(state, "bad")
                self._say(name, f"{state}{why}{again}, {cost}", tone)
                if shard.reason not in REASONS or shard.reason in _TOLD_IN_FULL:
                    self._more(str(event.fields["error"] or ""), tone)
            case "shard_skipped" if shard is not None:
                self._say(name, f"left out: {reason(shard)}", "warn")

    def run_event(self, name: str, event: Event) -> None:
        """Say what matters of one run's own story: its pod, its start, what goes wrong."""
        told = self._stories.setdefault(name, Story(verbose=False)).tell(event)
        if told is None:
            return
        if told.tone in {"warn", "bad"} or event.event in {"gpu_selected", "exec_start_settled"}:
            self._say(name, told.text, told.tone)

    async def live(self) -> None:
        """Do nothing: lines stay as they were written."""

    def pause(self) -> None:
        """Do nothing."""

    def resume(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def _more(self, text: str, tone: Tone) -> None:
        """Say in full what is not clear from a word, once for all runs that it befell."""
        if not text or text in self._told or (self._quiet and tone not in {"warn", "bad"}):
            return
        self._told.add(text)
        for one in block(text).split("\n"):
            self._write(f"{' ' * 10}{one}".rstrip())

    def _say(self, name: str, text: str, tone: Tone) -> None:
        if self._quiet and tone not in {"warn", "bad"}:
            return
        head = f"{datetime.now().astimezone():%H:%M:%S}  {pad(line(name), self._width)}  "
        first = line(text.splitlines()[0] if text else "")
        self._write(self._style.dim(head) + toned(self._style, tone, first))

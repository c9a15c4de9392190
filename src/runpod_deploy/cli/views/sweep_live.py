"""A sweep on a terminal: the table of its runs, redrawn in place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from runpod_deploy.cli.amounts import duration, usd
from runpod_deploy.cli.layout import pad
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.unhurried import behind
from runpod_deploy.cli.views.sweep import SweepWatch, reason, step_of
from runpod_deploy.record.events import Event
from runpod_deploy.record.sweep import WAITING, WORKING, ShardRecord

FRAMES_PER_SEC = 4


class LiveSweepView:
    """Draws the table of the runs; every frame is made from scratch."""

    def __init__(self, terminal: Terminal, watch: SweepWatch) -> None:
        self._console = Console(
            file=terminal.stdout,
            no_color=not terminal.out.color,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._stdout = terminal.stdout
        self._unicode = terminal.unicode
        self._style = terminal.out
        self._watch = watch
        self._began = time.monotonic()
        self._picture: Live | None = None

    def opened(self, folder: Path) -> None:
        """Begin to count the time."""
        del folder
        self._began = time.monotonic()

    def event(self, event: Event) -> None:
        """Do nothing: every frame is drawn from what is known."""

    def run_event(self, name: str, event: Event) -> None:
        """Do nothing."""

    async def live(self) -> None:
        """Draw until cancelled."""
        self.resume()
        while True:
            await asyncio.sleep(1 / FRAMES_PER_SEC)
            # A terminal that was stopped gets the next picture once it has had the last one.
            if self._picture is not None and not behind(self._stdout):
                self._picture.update(self._frame(), refresh=True)

    def pause(self) -> None:
        """Take the picture away."""
        if self._picture is not None:
            self._picture.stop()
            self._picture = None

    def resume(self) -> None:
        """Draw the picture again."""
        if self._picture is None:
            picture = Live(self._frame(), console=self._console, auto_refresh=False, transient=True)
            picture.start(refresh=True)
            self._picture = picture

    def close(self) -> None:
        """Take the picture away; the summary says how it ended."""
        self.pause()

    def _frame(self) -> Text:
        lines = list(self._lines())
        room = max(self._console.height - 5, 5)
        if len(lines) > room:
            lines = [*lines[: room - 1], f"… and {len(lines) - room + 1} more"]
        return Text("\n".join(["", *lines, "", self._foot()]), no_wrap=True, overflow="ellipsis")

    def _lines(self) -> Iterator[str]:
        """Yield a line for each run, those under way first."""
        order = {WORKING: 0, "FAILED": 1, WAITING: 2}
        asked = self._watch.asked(self._watch.sweep).shards.values()
        shards = sorted(asked, key=lambda one: order.get(one.state, 3))
        width = min(max((len(one.name) for one in shards), default=0), 40)
        for one in shards:
            watch = self._watch.watches.get(one.name)
            pod = watch.run.pod if watch else None
            place = "" if pod is None or one.state != WORKING else f"{pod.gpu_id or ''}"
            state = one.state if one.state != WORKING else step_of(watch) or "begins"
            spent = usd(self._watch.cost_usd(one)) if one.tries else ""
            yield (
                f" {self._mark(one)} {pad(line(one.name), width)}  {pad(state, 10)} "
                f"{pad(spent, 8, flush_right=True)}  {line(place or reason(one))}".rstrip()
            )

    def _mark(self, shard: ShardRecord) -> str:
        marks = {"SUCCEEDED": ("✓", "+"), WORKING: ("●", "*"), WAITING: ("·", ".")}
        return marks.get(shard.state, ("✗", "x"))[0 if self._unicode else 1]

    def _foot(self) -> str:
        sweep = self._watch.asked(self._watch.sweep)
        done, runs = sweep.count("SUCCEEDED"), len(sweep.shards)
        failed = sum(one.over and one.state != "SUCCEEDED" for one in sweep.shards.values())
        spent = f"{usd(self._watch.spent_usd())}{' (emulated)' if self._watch.emulated else ''}"
        told = f" {duration(time.monotonic() - self._began)} · {spent}"
        told += f" · {done} of {runs} succeeded, {sweep.count(WORKING)} under way"
        told += f", {failed} not" if failed else ""
        hint = "Ctrl-C: detach or cancel"
        fits = len(told) + len(hint) + 3 <= self._console.width
        return f"{told} · {hint}" if fits else f"{told}\n {hint}"

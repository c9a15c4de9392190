"""The live view: steps, transfer, the end of the log, time and money, redrawn in place."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from runpod_deploy.cli.amounts import duration, usd
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.unhurried import behind
from runpod_deploy.cli.views.log_text import OUTPUT_ENDS, LogText
from runpod_deploy.cli.views.story import Line, Story, Tone
from runpod_deploy.cli.views.transfer_rate import TransferRate
from runpod_deploy.cli.views.watch import Watch
from runpod_deploy.record import tolerant
from runpod_deploy.record.events import Event
from runpod_deploy.record.journal import utc_stamp

LOG_LINES = 10
NOTES = 5
FRAMES_PER_SEC = 8
_STYLES: dict[Tone, str] = {
    "plain": "",
    "good": "green",
    "warn": "yellow",
    "bad": "bold red",
    "dim": "dim",
}
_MARKS = {
    "completed": ("✓", "+", "green"),
    "failed": ("✗", "x", "bold red"),
    "started": ("●", "*", "cyan"),
    "pending": ("·", ".", "dim"),
}


class LiveView:
    """Draws the run; every frame is made from scratch out of what was told so far."""

    def __init__(self, terminal: Terminal, watch: Watch) -> None:
        self._console = Console(
            file=terminal.stdout,
            no_color=not terminal.out.color,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._stdout = terminal.stdout
        self._unicode = terminal.unicode
        self._watch = watch
        self._story = Story(verbose=terminal.verbose)
        self._said: dict[str, Line] = {}
        self._notes: deque[Line] = deque(maxlen=NOTES)
        self._logs: dict[str, LogText] = {}
        self._source = ""
        self._tail: deque[str] = deque(maxlen=LOG_LINES)
        self._transfer: TransferRate | None = None
        self._began = self._step_began = time.monotonic()
        self._picture: Live | None = None

    def opened(self, folder: Path, run_id: str) -> None:  # noqa: ARG002 - the watch keeps them
        """Begin to count the time; of a run that another executor began, from its beginning."""
        self._began = _since(self._watch.run.started_at)

    def event(self, event: Event) -> None:
        """Take what is to be seen of an event into the picture."""
        told = self._story.tell(event)
        if event.event in OUTPUT_ENDS:
            self._tail.extend(one for log in self._logs.values() for one in log.flush())
        if event.event in {"step_started", "state_changed"}:
            self._step_began, self._transfer = self._begun(event), None
        if event.event in {"staging_completed", "artifact_pull_completed", "artifact_synced"}:
            self._transfer = None
        if event.event == "step_completed":
            self._forget_beginning(str(event.fields.get("step")))
        if told is None or event.event == "step_completed":
            return
        self._said[told.step] = told
        if told.tone in {"warn", "bad"} and told.step != "undo":
            self._notes.append(told)

    def _begun(self, event: Event) -> float:
        name = event.fields.get("step")
        of = next((one for one in self._watch.run.steps if one.name == name), None)
        return _since(None if of is None else of.started_at)

    def _forget_beginning(self, step: str) -> None:
        said = self._said.get(step)
        if said is not None and said.tone == "dim":
            del self._said[step]

    def message(self, text: str) -> None:
        """Show it among the notes."""
        self._notes.append(Line(step=self._story.step, text=text))

    def output(self, source: str, text: bytes) -> None:
        """Move the end of the log on."""
        self._source = source
        self._tail.extend(self._logs.setdefault(source, LogText()).feed(text))

    def transfer(self, label: str, done: int, total: int) -> None:
        """Move the bar on."""
        if self._transfer is None or self._transfer.label != label:
            self._transfer = TransferRate(label, time.monotonic())
        self._transfer.moved(done, total, time.monotonic())

    def spent(self, accrued_usd: float, cap_usd: float) -> None:
        """Do nothing: every frame counts the money anew."""

    async def live(self) -> None:
        """Draw until cancelled."""
        self.resume()
        while True:
            await asyncio.sleep(1 / FRAMES_PER_SEC)
            # A terminal that was stopped gets the next picture once it has had the last one.
            if self._picture is not None and not behind(self._stdout):
                self._picture.update(self.frame(), refresh=True)

    def pause(self) -> None:
        """Take the picture away."""
        if self._picture is not None:
            self._picture.stop()
            self._picture = None

    def resume(self) -> None:
        """Draw the picture again."""
        if self._picture is None:
            self._picture = Live(
                self.frame(), console=self._console, auto_refresh=False, transient=True
            )
            self._picture.start(refresh=True)

    def close(self) -> None:
        """Leave the steps on the screen as they ended."""
        self.pause()
        if self._watch.folder is not None:
            self._console.print(Group(*self._head(), *self._steps(ended=True), *self._note_lines()))

    def frame(self) -> Group:
        """Return the whole picture as it is now."""
        above = [*self._head(), *self._steps(ended=False), *self._note_lines()]
        bar, foot = list(self._bar()), self._foot()
        room = self._console.height - len(above) - len(bar) - 4
        return Group(*above, *bar, *self._log_lines(min(LOG_LINES, room)), Text(""), foot)

    def _head(self) -> Iterator[Text]:
        watch, pod = self._watch, self._watch.run.pod
        parts = [watch.target.label]
        if pod is not None:
            place = pod.datacenter_id or "any datacenter"
            rate = "" if pod.cost_per_hour_usd is None else f"{usd(pod.cost_per_hour_usd)}/h"
            parts += [one for one in (pod.gpu_id, place, rate, f"pod {pod.pod_id}") if one]
        yield Text("")
        title = line(watch.run_id or watch.plan_file.plan.job.name)
        yield _text((title, "bold"), (f"  {line(' · '.join(parts))}", "dim"))
        yield Text("")

    def _steps(self, *, ended: bool) -> Iterator[Text]:
        known = {one.name: one for one in self._watch.run.steps}
        for planned in self._watch.plan_file.plan.steps:
            record = known.get(planned.name)
            state = record.state if record else "pending"
            spent = ""
            if record is not None and record.duration_sec is not None:
                spent = duration(record.duration_sec)
            elif state == "started" and not ended:
                spent = duration(time.monotonic() - self._step_began)
            if planned.name == "execute" and self._job_failed():
                state = "failed"
            yield self._step(planned.name, state, spent)
        if "undo" in self._said:
            state = "completed" if ended else "started"
            yield self._step("undo", state, "")

    def _job_failed(self) -> bool:
        """Say whether the job ended badly, although the step that watched it did its work."""
        end = self._watch.run.job_end
        return end is not None and end.outcome == "failed"

    def _step(self, name: str, state: str, spent: str) -> Text:
        mark, ascii_mark, style = _MARKS.get(state, _MARKS["pending"])
        said = self._said.get(name)
        return _text(
            (f" {mark if self._unicode else ascii_mark} ", style),
            (f"{name:<10}", "bold" if state == "started" else style if state == "pending" else ""),
            (f"{spent:>8}  ", "dim"),
            (line(said.text.splitlines()[0]) if said else "", _STYLES[said.tone] if said else ""),
        )

    def _note_lines(self) -> Iterator[Text]:
        # What stands beside its step already is not said twice.
        notes = [note for note in self._notes if self._said.get(note.step) is not note]
        if notes:
            yield Text("")
        for note in notes:
            first, *_ = note.text.splitlines() or [""]
            mark = "!" if note.tone in {"warn", "bad"} else "·" if self._unicode else "-"
            yield _text((f" {mark} {note.step}: ", "dim"), (line(first), _STYLES[note.tone]))

    def _bar(self) -> Iterator[Text]:
        if self._transfer is not None:
            yield Text("")
            yield _text((f"   {line(self._transfer.told(unicode=self._unicode))}", "cyan"))

    def _log_lines(self, room: int) -> Iterator[Text]:
        partial = self._logs[self._source].partial if self._source in self._logs else ""
        lines = [*self._tail, partial] if partial else list(self._tail)
        shown = lines[-room:] if room > 0 else []
        if shown:
            yield Text("")
        for one in shown:
            yield _text((" │ " if self._unicode else " | ", "dim"), (one, ""))

    def _foot(self) -> Text:
        cap = usd(self._watch.plan_file.plan.budget.cost_cap_usd)
        spent = usd(self._watch.spent_usd(utc_stamp(time.time())))
        elapsed = duration(time.monotonic() - self._began)
        undoing = "undo" in self._said
        hint = "Ctrl-C: release the pod at once" if undoing else "Ctrl-C: detach or cancel"
        return _text((f" {elapsed} · {spent} of {cap}", "bold"), (f" · {hint}", "dim"))


def _since(stamp: str | None) -> float:
    """Return a moment by the monotonic clock; now where its time is not known or still to come."""
    at, now = tolerant.seconds(stamp), time.time()
    return time.monotonic() - (0.0 if at is None else max(0.0, now - at))


def _text(*parts: tuple[str, str]) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    for content, style in parts:
        text.append(content, style=style or None)
    return text

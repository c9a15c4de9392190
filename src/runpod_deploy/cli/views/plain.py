"""The plain view: one line for each thing that happens, for pipes, files and CI."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from runpod_deploy.cli.amounts import usd
from runpod_deploy.cli.layout import pad
from runpod_deploy.cli.printable import block, line
from runpod_deploy.cli.style import Style
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.views.log_text import OUTPUT_ENDS, LogText
from runpod_deploy.cli.views.story import Line, Story, Tone
from runpod_deploy.cli.views.transfer_rate import TransferRate
from runpod_deploy.cli.views.watch import shown
from runpod_deploy.record.events import Event

STEP = 9
EVERY_SEC = 10.0


class PlainView:
    """Writes `HH:MM:SS  step  text` for events and `| text` for the log."""

    def __init__(
        self, terminal: Terminal, *, now: Callable[[], datetime], write: Callable[[str], None]
    ) -> None:
        """Prepare a view.

        Args:
            now: The hour, in the zone that the reader lives in.
            write: Takes each line.
        """
        self._style = terminal.out
        self._quiet = terminal.quiet
        self._write = write
        self._now = now
        self._story = Story(verbose=terminal.verbose)
        self._logs: dict[str, LogText] = {}
        self._last: dict[str, float] = {}
        self._rates: dict[str, TransferRate] = {}

    def opened(self, folder: Path, run_id: str) -> None:
        """Say which run this is."""
        self._say(Line(step="run", text=f"{run_id} in {shown(folder)}", tone="dim"))

    def event(self, event: Event) -> None:
        """Say what happened."""
        if event.event in OUTPUT_ENDS:
            self.close()
        told = self._story.tell(event)
        if told is not None:
            self._say(told)

    def message(self, text: str) -> None:
        """Say it."""
        self._say(Line(step=self._story.step, text=text))

    def output(self, source: str, text: bytes) -> None:
        """Write the lines that are complete; of one that draws itself again, a form now and then."""
        if self._quiet:
            return
        log = self._logs.setdefault(source, LogText())
        lines = log.feed(text)
        if not lines and b"\r" in text and self._due(source):
            lines = [log.partial]
        for one in lines:
            self._log(one)

    def transfer(self, label: str, done: int, total: int) -> None:
        """Write how far a long transfer is, how fast, and how long it will take, now and then."""
        now = self._now().timestamp()
        rate = self._rates.get(label)
        if rate is None or not rate.goes_on(done, total):
            rate = self._rates[label] = TransferRate(label, now)
        rate.moved(done, total, now)
        if self._due(f"transfer {label}", at_once=False):
            text = f"{label}: {', '.join(rate.words())}"
            self._say(Line(step=self._story.step, text=text, tone="dim"))

    def spent(self, accrued_usd: float, cap_usd: float) -> None:
        """Write the cost so far, every few minutes."""
        if self._due("spent", every=300.0, at_once=False):
            text = f"{usd(accrued_usd)} of {usd(cap_usd)} spent"
            self._say(Line(step=self._story.step, text=text, tone="dim"))

    async def live(self) -> None:
        """Do nothing: lines stay as they were written."""

    def pause(self) -> None:
        """Do nothing: a question does not disturb lines."""

    def resume(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Write what a program left without a line break."""
        for log in self._logs.values():
            for one in log.flush():
                self._log(one)

    def _log(self, text: str) -> None:
        if not self._quiet:
            self._write(f"{self._style.dim('|')} {text}".rstrip())

    def _say(self, told: Line) -> None:
        if self._quiet and told.tone not in {"warn", "bad"}:
            return
        head = f"{self._now():%H:%M:%S}  {pad(told.step, STEP)}  "
        first, *rest = block(told.text).split("\n")
        self._write(self._style.dim(head) + toned(self._style, told.tone, first))
        for one in rest:
            self._write(f"{' ' * len(head)}{line(one)}")

    def _due(self, key: str, *, every: float = EVERY_SEC, at_once: bool = True) -> bool:
        now = self._now().timestamp()
        last = self._last.setdefault(key, now - every if at_once else now)
        if now - last < every:
            return False
        self._last[key] = now
        return True


def toned(style: Style, tone: Tone, text: str) -> str:
    """Return `text` in the emphasis of its tone."""
    match tone:
        case "good":
            return style.good(text)
        case "warn":
            return style.warn(text)
        case "bad":
            return style.bad(text)
        case "dim":
            return style.dim(text)
    return text

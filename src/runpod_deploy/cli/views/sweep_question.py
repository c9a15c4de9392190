"""What Ctrl-C was to mean, asked while the runs of a sweep go on."""

from __future__ import annotations

from runpod_deploy.cli.amounts import count
from runpod_deploy.cli.layout import choices
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.views.sweep import PlainSweepView, SweepWatch
from runpod_deploy.cli.views.sweep_live import LiveSweepView
from runpod_deploy.record.sweep import WAITING, WORKING


class SweepQuestion:
    """Asks whether to detach, to cancel or to go on; meanwhile no further run begins."""

    def __init__(
        self, terminal: Terminal, view: LiveSweepView | PlainSweepView, watch: SweepWatch
    ) -> None:
        self._terminal = terminal
        self._view = view
        self._watch = watch

    async def __call__(self, can_detach: bool) -> str:
        """Return `d`, `c` or `g`; an end of input goes on."""
        del can_detach  # a sweep can always be left
        from runpod_deploy.cli.signals import read_line  # noqa: PLC0415 - on Ctrl-C

        self._view.pause()
        try:
            self._terminal.alert("\n" + self.text())
            while True:
                self._terminal.stderr.write("[d/c/g] ")
                self._terminal.stderr.flush()
                answer = (await read_line(0)).lower()[:1]
                if answer in {"c", "g", "d", ""}:
                    return answer or "g"
        finally:
            self._view.resume()

    def text(self) -> str:
        """Return what can be answered, and what would become of the runs."""
        return "\n".join(
            choices(
                (
                    ("d", f"detach: {'; '.join(self._when_left())}"),
                    ("c", "cancel: end every run, bring home what there is, release the pods"),
                    ("g", "go on watching; until you answer no further run begins"),
                ),
                self._terminal.err,
                self._terminal.width,
            )
        )

    def _when_left(self) -> list[str]:
        sweep = self._watch.asked(self._watch.sweep)
        names = [one.name for one in sweep.shards.values() if one.state == WORKING]
        jobs = sum(name in self._watch.mailboxes and self._can_be_left(name) for name in names)
        ended = sum(self._has_ended(name) for name in names)
        young, waiting = len(names) - jobs - ended, sweep.count(WAITING)
        told = []
        if jobs:
            told.append(f"{_jobs(jobs)} on without you, and the pods bill until they end")
        if ended:
            told.append(f"{_runs(ended)} bringing results home, which is seen to its end first")
        if young:
            they = "it is cancelled, its pod released" if young == 1 else _THEY
            told.append(f"{_runs(young)} still being set up: {they}, and begun anew later")
        if waiting:
            told.append(f"{count(waiting, 'run')} will wait")
        return [*told, "`resume` takes the sweep up again"]

    def _can_be_left(self, name: str) -> bool:
        """Return whether the run's job goes on its pod, as its executor knows."""
        return self._watch.mailboxes[name].can_detach and not self._has_ended(name)

    def _has_ended(self, name: str) -> bool:
        watch = self._watch.watches.get(name)
        return watch is not None and watch.run.job_end is not None


_THEY = "they are cancelled, their pods released"


def _jobs(number: int) -> str:
    return "1 job goes" if number == 1 else f"{number} jobs go"


def _runs(number: int) -> str:
    return "1 run is" if number == 1 else f"{number} runs are"

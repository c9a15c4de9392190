"""What a person at a terminal is asked: whether to apply, and what Ctrl-C was to mean."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from runpod_deploy.cli.amounts import usd
from runpod_deploy.cli.layout import choices
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.target import CloudName
from runpod_deploy.cli.terminal import Terminal

if TYPE_CHECKING:
    from runpod_deploy.cli.planning import Planned, PlannedSweep
    from runpod_deploy.cli.views.view import View
    from runpod_deploy.cli.views.watch import Watch


def confirm_apply(planned: Planned | PlannedSweep, cloud: CloudName, terminal: Terminal) -> bool:
    """Ask whether the plan is to be carried out; only a yes is one."""
    what, most = _at_stake(planned)
    if cloud is CloudName.EMULATOR:
        question = f"Apply {what} on the emulator, for nothing?"
    else:
        question = f"Apply {what} on RunPod, for at most {usd(most)}?"
    return says_yes(question, terminal)


def says_yes(question: str, terminal: Terminal) -> bool:
    """Ask whether something is to be done; only a yes is one."""
    terminal.stderr.write(f"{terminal.err.bold(question)} [y/N] ")
    terminal.stderr.flush()
    try:
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        terminal.stderr.write("\n")  # what is said next begins a line of its own
        raise
    if not answer.endswith("\n"):
        terminal.stderr.write("\n")
    return answer.strip().lower() in {"y", "yes"}


def _at_stake(planned: Planned | PlannedSweep) -> tuple[str, float]:
    """Return what is to be applied, and what it may cost at most."""
    from runpod_deploy.cli.planning import Planned  # noqa: PLC0415 - loaded already

    if isinstance(planned, Planned):
        return "this plan", planned.plan_file.plan.budget.cost_cap_usd
    shards = [
        one.plan
        for one in planned.sweep_file.shards
        if one.plan.matrix and (planned.only is None or one.plan.matrix.name in planned.only)
    ]
    caps = sum(plan.budget.cost_cap_usd for plan in shards)
    matrix = shards[0].matrix
    cap = matrix.cap_usd if matrix else None
    runs = "1 run" if len(shards) == 1 else f"{len(shards)} runs"
    return f"these {runs}", caps if cap is None else min(caps, cap)


class InterruptQuestion:
    """Asks what Ctrl-C was to mean, while the run goes on."""

    def __init__(self, terminal: Terminal, view: View, watch: Watch) -> None:
        self._terminal = terminal
        self._view = view
        self._watch = watch

    async def __call__(self, can_detach: bool) -> str:
        """Return `d`, `c` or `g`; an end of input goes on."""
        from runpod_deploy.cli.signals import read_line  # noqa: PLC0415 - asyncio comes with it

        self._view.pause()
        try:
            self._terminal.alert("\n" + self._text(can_detach=can_detach))
            while True:
                self._terminal.stderr.write(self._prompt(can_detach=can_detach))
                self._terminal.stderr.flush()
                answer = (await read_line(sys.stdin.fileno())).lower()[:1]
                if answer in {"c", "g", ""} or (answer == "d" and can_detach):
                    return answer or "g"
        finally:
            self._view.resume()

    def _prompt(self, *, can_detach: bool) -> str:
        return "[d/c/g] " if can_detach else "[c/g] "

    def _text(self, *, can_detach: bool) -> str:
        rows = [("d", f"detach: {self._detach()}")] if can_detach else []
        rows += [
            ("c", "cancel: end the job, bring home what there is, release the pod"),
            ("g", "go on watching"),
        ]
        return "\n".join(choices(rows, self._terminal.err, self._terminal.width))

    def _detach(self) -> str:
        from runpod_deploy.cli.views.watch import shown  # noqa: PLC0415 - on a question

        pod = self._watch.run.pod
        pod_id = line(pod.pod_id or "") if pod else ""
        cap = usd(self._watch.plan_file.plan.budget.cost_cap_usd)
        folder = self._watch.folder
        run = "last" if folder is None else line(shown(folder))
        return (
            f"stop watching. The job goes on, on pod {pod_id}, for at most {cap}; "
            f"come back for its results with:\nrunpod-deploy attach {run}"
        )

"""Whether a job may run commands of its own on this machine."""

from __future__ import annotations

from collections.abc import Sequence

from runpod_deploy.cli.printable import line
from runpod_deploy.cli.questions import says_yes
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.executor.local_commands import (
    LocalCommands,
    refuse_commands,
    wanted_commands,
)


def leave_for(plan_files: Sequence[PlanFile], *, given: bool) -> LocalCommands | None:
    """Return the leave to run what the plans want to run here; None where they want nothing.

    Raises:
        InvalidInput: They do, and it was not given.
    """
    plans = [one.plan for one in plan_files]
    if given and any(map(wanted_commands, plans)):
        return LocalCommands()
    refuse_commands(plans, None)
    return None


def leave_again(
    plan_files: Sequence[PlanFile], terminal: Terminal, *, given: bool
) -> LocalCommands | None:
    """Return the leave to run the commands of a run that is carried on; a person is asked for it.

    Without one the executor says whether the run can be carried on all the same.
    """
    wanted = list(dict.fromkeys(text for one in plan_files for text in wanted_commands(one.plan)))
    if not wanted:
        return None
    if given:
        return LocalCommands()
    if not terminal.asks:
        return None
    shown = "\n".join(f"  {line(text)}" for text in wanted)
    terminal.alert(f"It runs commands of its own on this machine:\n{shown}")
    return LocalCommands() if says_yes("Run them again?", terminal) else None

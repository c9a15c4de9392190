"""Runs of the same plan that were begun and did not come to an end: told, and offered to be resumed."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runpod_deploy.cli.amounts import duration
from runpod_deploy.cli.printable import line

if TYPE_CHECKING:
    from runpod_deploy.cli.terminal import Terminal
    from runpod_deploy.record.run import Run

LOOKED_AT = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Unfinished:
    """A run that nobody carries on."""

    folder: Path
    run: Run


def unfinished(project_root: Path, plan_hash: str) -> Unfinished | None:
    """Return the newest run of a plan that has not ended and that no executor carries on.

    Only the newest runs of the project are looked at; what cannot be read is none.
    """
    from runpod_deploy.record.journal import JOURNAL_NAME, read_events  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.record.run import RunState, fold  # noqa: PLC0415 - likewise
    from runpod_deploy.record.run_folder import RUNS  # noqa: PLC0415 - likewise
    from runpod_deploy.record.run_lock import living_holder  # noqa: PLC0415 - likewise

    runs = project_root / RUNS
    try:
        names = sorted(path.name for path in runs.iterdir() if path.name[0] != ".")
    except OSError:
        return None
    for name in reversed(names[-LOOKED_AT:]):
        folder = runs / name
        try:
            run = fold(read_events(folder / JOURNAL_NAME))
        except OSError:
            continue
        if run.started.get("plan_hash") != plan_hash or run.state is RunState.NEW:
            continue
        if not run.state.final and living_holder(folder, time.time()) is None:
            return Unfinished(folder=folder, run=run)
    return None


def offer(found: Unfinished, terminal: Terminal, *, ask: bool) -> str:
    """Tell of an unfinished run; returns `resume`, `new` or `quit`, always `new` without a question."""
    from runpod_deploy.cli.views.watch import shown  # noqa: PLC0415 - only with such a run
    from runpod_deploy.record import tolerant  # noqa: PLC0415 - likewise

    began = tolerant.seconds(found.run.started_at)
    ago = "" if began is None else f", begun {duration(max(0.0, time.time() - began))} ago"
    pod = found.run.pod
    alive = f", with pod {line(pod.pod_id or pod.name)}" if pod and pod.status == "alive" else ""
    where = line(shown(found.folder))
    terminal.alert(f"A run of this plan has not ended: {where} ({found.run.state}{ago}{alive}).")
    if not ask:
        terminal.alert(f"This is a new one. To carry on that one:\n  runpod-deploy resume {where}")
        return "new"
    while True:
        terminal.stderr.write(
            f"{terminal.err.bold('Resume it, or begin a new run?')} [r]esume, [n]ew, [q]uit: "
        )
        terminal.stderr.flush()
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):
            terminal.stderr.write("\n")
            return "quit"
        meant = {"r": "resume", "n": "new", "q": "quit"}.get(answer.strip().lower()[:1])
        if meant is not None:
            return meant

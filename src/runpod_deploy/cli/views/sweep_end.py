"""How a sweep stands, or ended: a line in all, and each of its runs with its cost, its reason, its folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runpod_deploy.cli.amounts import count, usd
from runpod_deploy.cli.diagnostics import cells
from runpod_deploy.cli.layout import INDENT, folded, pad, path_row
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.style import Style
from runpod_deploy.cli.views.sweep import reason
from runpod_deploy.cli.views.watch import shown
from runpod_deploy.record.sweep import SWEEP_MANIFEST_NAME, WORKING, ShardRecord, SweepRun

if TYPE_CHECKING:
    from runpod_deploy.executor.sweep_run import SweepOutcome

_NARROWEST = 24


def headline(run: SweepRun, *, emulated: bool) -> str:
    """Return a sweep in one line."""
    counts: dict[str, int] = {}
    for one in run.shards.values():
        counts[one.state] = counts.get(one.state, 0) + 1
    told = ", ".join(f"{number} {state.lower()}" for state, number in counts.items())
    cost = f"{usd(run.cost_usd)}{' (emulated)' if emulated else ''}"
    return f"{run.state}: {count(len(run.shards), 'run')}, {told}, {cost}"


def shard_lines(
    shards: Iterable[ShardRecord],
    root: Path,
    style: Style,
    width: int,
    *,
    steps: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Yield each run, why it did not succeed in words, and its folder, which is never broken.

    Args:
        root: The project that the run folders lie in.
        steps: The step of runs that go on, by their names.
    """
    shards = list(shards)
    names = max((cells(line(one.name)) for one in shards), default=0)
    states = max((len(one.state) for one in shards), default=0)
    costs = max((len(usd(one.cost_usd)) for one in shards), default=0)
    for one in shards:
        cost = pad(usd(one.cost_usd), costs, flush_right=True)
        head = f"{INDENT}{pad(line(one.name), names)}  {pad(line(one.state), states)}  {cost}"
        room = width - cells(head) - 2
        folder = "" if one.run_dir is None else line(one.run_dir)
        step = (steps or {}).get(one.name)
        told = why(one, root) if step is None else line(step)
        if folder and not told and cells(folder) <= room:
            told, folder = folder, ""
        under = 4 if room < _NARROWEST else cells(head) + 2
        texts = folded(told, max(width - under, _NARROWEST))
        if under == 4 and told:
            yield head.rstrip()
            yield from (" " * under + text for text in texts)
        else:
            yield f"{head}  {texts[0]}".rstrip()
            yield from (" " * under + text for text in texts[1:])
        if folder:
            yield style.dim(f"{INDENT}{INDENT}{folder}")


def why(shard: ShardRecord, root: Path) -> str:
    """Return why a run did not succeed: by what its own folder tells, else by the sweep's word."""
    if shard.state in {"SUCCEEDED", WORKING}:
        return ""
    known = reason(shard)
    if shard.run_dir is None or shard.state not in {"FAILED", "UNKNOWN", "KEPT"}:
        return known
    from runpod_deploy.forensics.summary import summarise  # noqa: PLC0415 - for failures only

    run = summarise(root / shard.run_dir)
    code = None if run.exit_code in {None, 0} else f"exit code {run.exit_code}"
    because = str((run.failure or {}).get("text") or "")
    if code and code in because:
        return line(because)
    return line(": ".join(part for part in (code or known, because) if part) or known)


def after(outcome: SweepOutcome, width: int) -> list[str]:
    """Return where the manifest lies, and how to go on with a sweep that did not succeed."""
    lines = path_row("manifest", shown(outcome.folder / SWEEP_MANIFEST_NAME), width)
    state = outcome.run.state
    if state == "SUCCEEDED":
        return lines
    where = shown(outcome.folder)
    detached = state == "DETACHED"
    command = f"resume {where}" if detached else f"apply {where} --retry-failed"
    lines += path_row("to go on", f"runpod-deploy {command}", width)
    if detached:
        lines += path_row("to end it", f"runpod-deploy cancel {where}", width)
    return lines

"""A sweep that was begun earlier, carried on: what is still to begin is held against the world of now."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.sweepfile import SweepFile
from runpod_deploy.errors import PlanRefused
from runpod_deploy.executor.interrupts import Interrupts
from runpod_deploy.executor.sweep import shard
from runpod_deploy.executor.sweep_freshness import refuse_stale
from runpod_deploy.executor.sweep_run import SweepOutcome, SweepWishes, World, continue_sweep
from runpod_deploy.record.events import Event
from runpod_deploy.record.journal import JOURNAL_NAME, read_events
from runpod_deploy.record.run_request import asked
from runpod_deploy.record.sweep import ShardRecord, fold_sweep


async def carry_on_sweep(
    sweep_file: SweepFile,
    folder: Path,
    *,
    world: World,
    wishes: SweepWishes,
    interrupts: Interrupts,
) -> SweepOutcome:
    """Carry out what is left of the sweep in `folder`, as `continue_sweep`.

    Of a sweep that was saved in a file, the runs that are still to begin must be as they were
    planned, prices and images among it, as when the file was applied. Those of one that is to be
    ended are not looked at: none of them begins.

    Raises:
        PlanRefused: One differs; nothing was done, and what is under way is as it was.
        CloudError: The API that the plans' prices are from cannot be reached.
        AccountError: It refused the key.
        OSError, JournalError: As `continue_sweep`.
    """
    events = list(read_events(folder / JOURNAL_NAME))
    wishes = as_begun(wishes, events)
    ending = not wishes.retry and asked(folder) in {"cancel", "hurry"}
    if wishes.saved and not ending:
        root = await asyncio.to_thread(world.project_root.resolve)
        names = [shard(one).name for one in sweep_file.shards]
        known = fold_sweep(events, names).shards
        try:
            await refuse_stale(
                to_begin(sweep_file, known, wishes, root),
                root,
                target=world.target,
                environ=world.environ,
                allow_paths=world.allow_paths,
            )
        except PlanRefused as error:
            error.help = _help(error, known, root)
            raise
    return await continue_sweep(
        sweep_file, folder, world=world, wishes=wishes, interrupts=interrupts
    )


def to_begin(
    sweep_file: SweepFile, known: Mapping[str, ShardRecord], wishes: SweepWishes, root: Path
) -> Sequence[PlanFile]:
    """Return the plans of the runs that are wished for and still to begin.

    Args:
        known: What became of each run so far.
        root: That of the project, below which the run folders lie.
    """
    return [
        one
        for one in sweep_file.shards
        if (wishes.only is None or shard(one).name in wishes.only)
        and _begins(known[shard(one).name], root, retry=wishes.retry)
    ]


def _begins(record: ShardRecord, root: Path, *, retry: bool) -> bool:
    if record.over:
        return retry and record.state not in {"SUCCEEDED", "LEAKED"}
    return not _under_way(record, root)


def _under_way(record: ShardRecord, root: Path) -> bool:
    """Return whether a run is taken up again; one that ended before its first word is begun."""
    if record.unfinished is None:
        return False
    words = read_events(root / record.unfinished / JOURNAL_NAME)
    return any(one.event == "run_started" for one in words)


def as_begun(wishes: SweepWishes, events: Iterable[Event]) -> SweepWishes:
    """Return wishes with what nobody says anew as the executors before had it.

    Runs that none of them was to carry out stay out. Where it is not told whether a sweep is from a
    file, it is taken for one.
    """
    starts = [one.fields for one in events if one.event == "sweep_started"]
    told = [fields.get("only") for fields in starts]
    only, most = wishes.only, wishes.max_parallel
    if only is None and told and all(isinstance(names, list) for names in told):
        only = frozenset(name for names in told if isinstance(names, list) for name in names)
    if most is None and starts and isinstance(starts[-1].get("max_parallel"), int):
        most = starts[-1]["max_parallel"]
    saved = not starts or starts[0].get("saved") is not False
    return replace(wishes, only=only, max_parallel=most, saved=saved)


def _help(error: PlanRefused, known: Mapping[str, ShardRecord], root: Path) -> str | None:
    left = [one.unfinished for one in known.values() if one.unfinished and _under_way(one, root)]
    if not left:
        return error.help
    lines = [f"  runpod-deploy resume {shlex.quote(str(root / one))}" for one in left]
    said = "\n".join(["What was begun is carried on by itself with:", *lines])
    return f"{error.help}\n{said}" if error.help else said

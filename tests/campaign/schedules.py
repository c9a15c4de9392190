"""The fault campaign: random schedules of faults and kills, each through a run, two, or a sweep, to its end.

    schedules.py [--count N] [--seed S] [--shard I/N] [--only INDEX …] [--write]

Real are the executor's front doors (`execute`, `resume`, and those of a sweep), its HTTP client, and the
emulator's whole API with its faults, stock, lifecycle and bill; journals, ledger, manifests and state file
are real files. Time is virtual, and pods are machines in memory behind the executor's SSH port, each with a
watchdog that goes by the terms of the scripts that were laid there. A kill is one that lets nothing
happen afterwards, after a line of the journal or around a call (`support/virtual_process.py`); real
processes get a real SIGKILL in `crash.py`, and real pods the faults one at a time in `faults.py`.

Prints each schedule whose end is wrong, with the words that repeat it, and exits 1 if there is one.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.schedules import Schedule, draw
from support.virtual_process import rule_the_world

if TYPE_CHECKING:
    from support.scheduled_world import Ending

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "reliability.md"
BEGIN, END = "<!-- schedules -->", "<!-- /schedules -->"
SEED = 20261125


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One schedule and how it ended."""

    index: int
    schedule: Schedule
    ending: Ending


def main() -> int:
    """Run the campaign and return the exit status."""
    options = _options()
    rule_the_world()
    import support.scheduled_run  # noqa: F401, PLC0415 - once for all workers, in virtual time

    indexes = options.only or range(options.count)[options.shard[0] :: options.shard[1]]
    print(f"seed {options.seed}, {len(indexes)} schedules", flush=True)
    began, cpu = time.monotonic(), os.times()
    jobs = [(options.seed, index) for index in indexes]
    context = multiprocessing.get_context("fork")
    gc.disable()  # what was killed must not be collected, which would let it clean up
    with context.Pool(options.workers, maxtasksperchild=20) as pool:
        told = []
        for one in pool.imap(_one, jobs):
            told.append(_tell(one, options))
            if len(told) % 100 == 0:
                print(f"{len(told)} of {len(jobs)}, {time.monotonic() - began:.0f} s", flush=True)
        pool.close()
        pool.join()
    wrong = sum(bool(one.ending.problems) for one in told)
    spent = os.times()
    used = spent.children_user + spent.children_system - cpu.children_user - cpu.children_system
    print(
        f"{len(told)} schedules, {sum(one.ending.kills for one in told)} kills, {wrong} wrong ends, "
        f"{time.monotonic() - began:.0f} s, {used:.0f} CPU-seconds"
    )
    if options.write and not wrong:
        _write(options.seed, told)
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--shard", type=_shard, default=(0, 1), metavar="I/N", help="from 1/N on")
    parser.add_argument("--only", type=int, nargs="*", metavar="INDEX")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", action="store_true", help="write the documentation's table")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="tell each one, with its journal"
    )
    return parser.parse_args()


def _shard(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise argparse.ArgumentTypeError(f"{text} is no shard such as 1/4")
    return int(number) - 1, int(of)


def _one(job: tuple[int, int]) -> Told:
    from support.scheduled_run import run_schedule  # noqa: PLC0415 - loaded already
    from support.scheduled_world import Ending  # noqa: PLC0415 - likewise

    seed, index = job
    schedule = draw(seed, index)
    place = Path(tempfile.mkdtemp(prefix="schedule-"))
    try:
        ending = run_schedule(schedule, place, f"{seed}/{index}")
    except BaseException as error:  # noqa: BLE001 - one broken run must not hide the others
        ending = Ending(problems=[f"{type(error).__name__}: {error}", traceback.format_exc()])
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return Told(index=index, schedule=schedule, ending=ending)


def _tell(told: Told, options: argparse.Namespace) -> Told:
    ending = told.ending
    if not (ending.problems or options.verbose):
        return told
    print(f"{'WRONG' if ending.problems else 'ok'} --seed {options.seed} --only {told.index}")
    print(f"      {told.schedule}")
    print(f"      {ending.state} {ending.cause}, {ending.kills} kills, {ending.tries} executors")
    for problem in ending.problems:
        print(f"      {problem}", flush=True)
    if options.verbose:
        print(ending.journal, flush=True)
    return told


def _write(seed: int, told: list[Told]) -> None:
    states = Counter(one.ending.state for one in told)
    kinds = Counter(kind for one in told for kind in one.schedule.kinds)
    ends = {kind: Counter[str]() for kind in kinds}
    for one in told:
        for kind in one.schedule.kinds:
            ends[kind][one.ending.state] += 1
    names = [name for name, _ in states.most_common()]
    kills = sum(one.ending.kills for one in told)
    watchdogs = sum(one.ending.watchdogs for one in told)
    shapes = Counter(one.schedule.shape for one in told)
    rows = [
        f"{len(told):,} schedules with the seed {seed} ({shapes['run']:,} of one run, "
        f"{shapes['recycle']:,} of two that hand their pod on, {shapes['sweep']:,} of a sweep of three), "
        f"{kills:,} kills, {watchdogs:,} pods that asked for their own end: "
        + ", ".join(f"{states[name]:,} {name}" for name in names)
        + "; nothing that must hold did not.",
        "",
        f"| fault | schedules | {' | '.join(names)} |",
        f"|---|--:|{'--:|' * len(names)}",
        *(
            f"| `{kind}` | {count} | {' | '.join(str(ends[kind][name]) for name in names)} |"
            for kind, count in sorted(kinds.items())
        ),
    ]
    text = PAGE.read_text("utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    PAGE.write_text("\n".join([f"{before}{BEGIN}", *rows, f"{END}{after}"]), "utf-8")


if __name__ == "__main__":
    sys.exit(main())

"""The fault campaign: a whole run under each fault of the emulator, at each step that it can hit.

Prints a line for each case and exits 1 if anything does not hold that must: no pod left that is not
told, the right exit status, no result lost, the ledger never below the emulator's bill. With --write
the table in docs/explanation/reliability.md is written anew. A case is repeated by its name.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.command import Bench
from support.faulting import CASES, Case, Ending, run_under

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "reliability.md"
BEGIN, END = "<!-- campaign -->", "<!-- /campaign -->"


def main() -> int:
    """Run the campaign and return the exit status."""
    options = _options()
    cases = [case for case in CASES if not options.names or case.name in options.names]
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="fault-campaign-") as place,
        concurrent.futures.ThreadPoolExecutor(options.workers) as pool,
    ):
        jobs = [pool.submit(_one, Path(place), *numbered) for numbered in enumerate(cases)]
        endings = [_told(case, job.result()) for case, job in zip(cases, jobs, strict=True)]
    wrong = sum(bool(ending.problems) for ending in endings)
    print(f"{len(cases)} cases, {wrong} wrong ends, {time.monotonic() - began:.0f} s")
    if options.write and not options.names and not wrong:
        _write(cases, endings)
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", action="store_true", help="write the table of the documentation")
    parser.add_argument(
        "names", nargs="*", metavar="CASE", help="only these, such as stage/disk-full"
    )
    return parser.parse_args()


def _one(place: Path, number: int, case: Case) -> Ending:
    bench = Bench(place / str(number))
    try:
        return run_under(bench, case)
    except Exception as error:  # noqa: BLE001 - one broken run must not hide the others
        problem = f"{type(error).__name__}: {error}"
        return Ending(status=-1, state="", problems=[problem], over_sec=0.0)
    finally:
        bench.close()


def _told(case: Case, ending: Ending) -> Ending:
    told = f"exit {ending.status}, ledger {ending.over_sec:+.1f} s"
    print(f"{'WRONG' if ending.problems else 'ok   '} {case.name}: {told}", flush=True)
    for problem in ending.problems:
        print(f"      {problem}", flush=True)
    return ending


def _write(cases: list[Case], endings: list[Ending]) -> None:
    rows = ["| step | fault | exit status | ledger above the bill |", "|---|---|---|---|"]
    for case, ending in zip(cases, endings, strict=True):
        rows.append(f"| {case.step} | `{case.fault}` | {ending.status} | {ending.over_sec:.1f} s |")
    states = ", ".join(
        f"{count} {state}" for state, count in Counter(e.state for e in endings).items()
    )
    head = f"{len(cases)} runs, each under one fault: {states}; nothing that must hold did not."
    text = PAGE.read_text()
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    PAGE.write_text("\n".join([f"{before}{BEGIN}", head, "", *rows, f"{END}{after}"]))


if __name__ == "__main__":
    sys.exit(main())

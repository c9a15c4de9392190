"""The crash campaign: kill the command after every line of a run's journal, resume, compare.

Each run is whole: the command line, the emulator, pods, SSH. Prints a line for each kill and exits 1
if any end differs from that of a run that was not disturbed. Any kill can be repeated by its line.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.command import Bench
from support.crashing import End, killed_and_resumed, undisturbed


def main() -> int:
    """Run the campaign and return the exit status."""
    options = _options()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crash-campaign-") as place:
        bench = Bench(Path(place) / "undisturbed")
        expected = undisturbed(bench)
        bench.close()
        if expected.faults(expected) or expected.status != 0:
            print(f"the run that is not disturbed does not succeed:\n{expected.output}")
            return 1
        lines = options.lines or range(1, expected.lines + 1)
        with concurrent.futures.ThreadPoolExecutor(options.workers) as pool:
            jobs = {line: pool.submit(_one, Path(place), line, expected) for line in lines}
            wrong = sum(not _told(line, job.result()) for line, job in jobs.items())
    spent = time.monotonic() - began
    print(f"{len(jobs)} kills, {wrong} wrong ends, {spent:.0f} s")
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "lines", type=int, nargs="*", metavar="LINE", help="only after these lines of the journal"
    )
    return parser.parse_args()


def _one(place: Path, line: int, expected: End) -> list[str]:
    bench = Bench(place / f"after-{line}")
    try:
        end = killed_and_resumed(bench, line)
        found = end.faults(expected)
        return [*found, end.output] if found else []
    except Exception as error:  # noqa: BLE001 - one broken run must not hide the others
        return [f"{type(error).__name__}: {error}"]
    finally:
        bench.close()


def _told(line: int, faults: list[str]) -> bool:
    print(f"killed after line {line:3}: {'ok' if not faults else 'WRONG'}", flush=True)
    for fault in faults:
        print(f"    {fault}", flush=True)
    return not faults


if __name__ == "__main__":
    sys.exit(main())

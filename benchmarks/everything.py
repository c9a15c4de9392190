"""Every benchmark in turn, whatever one of them finds; the last lines are what each said at its end.

Exits 0 only if every target was met; one that could not be measured here is told, and fails nothing.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent
# How each is run when there are five minutes only; None: not at all.
PROGRAMS: dict[str, tuple[str, ...] | None] = {
    "plan_startup.py": (),
    "plan_payload.py": ("--rounds", "3"),
    "validate_many.py": (),
    "events_query.py": ("--pairs", "1"),
    "many_runs.py": ("--runs", "60", "--seconds", "20"),
    "sync_wire.py": ("--quick",),
    "sync_cuts.py": None,
}
NOT_MEASURED = 2
VERDICTS = {0: "met", 1: "MISSED", NOT_MEASURED: "not measured"}


def run(name: str, arguments: Sequence[str]) -> tuple[int, str]:
    """Run one and pass its output on; returns its exit status and its last line."""
    last = ""
    with subprocess.Popen(
        [sys.executable, str(FOLDER / name), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
    return process.returncode, last


def summary(results: Sequence[tuple[int, str]]) -> tuple[str, int]:
    """Return the closing lines and the exit status."""
    lines = [f"{VERDICTS.get(status, 'BROKEN'):<13} {last}" for status, last in results]
    failed = sum(status not in (0, NOT_MEASURED) for status, _ in results)
    met = sum(status == 0 for status, _ in results)
    lines.append(f"{met} of {len(results)} benchmarks met all their targets, {failed} did not")
    return "\n".join(lines), int(failed > 0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run all; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="five minutes instead of half an hour")
    args = parser.parse_args(argv)
    results = []
    for name, quick in PROGRAMS.items():
        if args.quick and quick is None:
            continue
        print(f"== {name}", flush=True)
        results.append(run(name, (quick or ()) if args.quick else ()))
        print(flush=True)
    said, status = summary(results)
    print(said)
    return status


if __name__ == "__main__":
    sys.exit(main())

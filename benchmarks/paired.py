"""Two commands measured in turn, as whole processes, so that a busy machine slows both alike.

Only ratios of one run mean anything; the seconds are those of this machine, now.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

REPOSITORY = Path(__file__).resolve().parents[1]
FEWEST_PAIRS = 11
WARM_UPS = 2

Command = Sequence[str]
Measure = Callable[[Command], float]


class CommandFailed(Exception):
    """A measured command ended with an error, so its time means nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What is measured: a name, both commands with a label each, and the highest passing median."""

    name: str
    ours: Command
    baseline: Command
    labels: tuple[str, str]
    target: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Pairs of seconds, told as medians and as the ratio within each pair."""

    ours_s: float
    baseline_s: float
    ratio_min: float
    ratio_median: float
    ratio_max: float


def compare(pairs: Sequence[tuple[float, float]]) -> Comparison:
    """Sum up (ours, baseline) pairs of seconds; the ratios are taken pair by pair."""
    ratios = [ours / baseline for ours, baseline in pairs]
    return Comparison(
        ours_s=median(ours for ours, _ in pairs),
        baseline_s=median(baseline for _, baseline in pairs),
        ratio_min=min(ratios),
        ratio_median=median(ratios),
        ratio_max=max(ratios),
    )


def render(subject: Subject, result: Comparison, *, pairs: int, target: float) -> str:
    """Lay the table out; its last line is the summary."""
    rows = [
        ("", "median"),
        (subject.labels[0], f"{result.ours_s:.3f} s"),
        (subject.labels[1], f"{result.baseline_s:.3f} s"),
        (
            f"ratio over {pairs} pairs: min / median / max",
            f"{result.ratio_min:.2f} / {result.ratio_median:.2f} / {result.ratio_max:.2f}",
        ),
    ]
    width = max(len(name) for name, _ in rows)
    table = "\n".join(f"{name:<{width}}  {value}".rstrip() for name, value in rows)
    summary = f"{subject.name}: ratio {result.ratio_median:.2f} (target <= {target:.2f})"
    return f"{table}\n{summary}"


def seconds(command: Command) -> float:
    """Run a command from the repository's root and return how long it took.

    Raises:
        CommandFailed: It ended with an error; carries what it said.
    """
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    took = time.perf_counter() - start
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        message = f"exit status {done.returncode} from: {' '.join(command)[:500]}\n{said}"
        raise CommandFailed(message)
    return took


def processor_seconds(command: Command) -> float:
    """Run a command as `seconds` does and return the processor time it took: for a busy machine.

    Raises:
        CommandFailed: As `seconds`.
    """
    before = os.times()
    seconds(command)
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])


def main(subject: Subject, about: str, argv: Sequence[str] | None, measure: Measure) -> int:
    """Measure, print, and return the exit status: 1 above the target, 2 when not measured."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--pairs", type=int, default=15, help=f"at least {FEWEST_PAIRS}")
    parser.add_argument(
        "--target", type=float, default=subject.target, help="highest passing median"
    )
    parser.add_argument("--cpu", action="store_true", help="count processor time, not the clock's")
    args = parser.parse_args(argv)
    measure = processor_seconds if args.cpu else measure
    if args.pairs < FEWEST_PAIRS:
        parser.error(f"--pairs {args.pairs}: fewer than {FEWEST_PAIRS} say nothing")
    try:
        measured = [
            (measure(subject.ours), measure(subject.baseline)) for _ in range(WARM_UPS + args.pairs)
        ]
    except CommandFailed as error:
        print(f"{subject.name}: not measured, {error}", file=sys.stderr)
        return 2
    result = compare(measured[WARM_UPS:])
    print(render(subject, result, pairs=args.pairs, target=args.target))
    return int(result.ratio_median > args.target)

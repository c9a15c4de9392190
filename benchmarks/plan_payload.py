"""How long planning a large project takes, against hashing the same files with `sha256sum`.

20,000 files, 500 MB. The first plan has no digest kept; the second finds all of them. What a plan takes
in any case, measured with `examples/hello`, is taken off the second. Exits 1 when a median ratio is
above its target, 2 when a command does not work.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import paired

FILES = 20_000
BYTES = 500_000_000
FIRST_TARGET = 1.5
SECOND_TARGET = 0.1
FEWEST_ROUNDS = 3
_YOUNG_SEC = 2.5  # files younger than two seconds are read again each time
_PLAN = (sys.executable, "-m", "runpod_deploy", "plan", "--quiet")
_HELLO = (*_PLAN, "examples/hello/job.yaml")
JOB = {
    "schema_version": 3,
    "name": "large",
    "pod": {"image": "runpod/base:1.0", "gpu_order": ["NVIDIA L4"]},
    "staging": [{"label": "data", "source": "data", "destination": "/workspace/data"}],
    "run": {"body": "true"},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """Seconds of one round, each a whole process."""

    sha256sum: float
    first: float
    second: float
    hello: float

    @property
    def first_ratio(self) -> float:
        """The first plan against `sha256sum`."""
        return self.first / self.sha256sum

    @property
    def second_ratio(self) -> float:
        """What the payload costs the second plan, against the first plan."""
        return max(self.second - self.hello, 0.0) / self.first


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """A project with its payload, and the folder where digests are kept."""

    job: Path
    data: Path
    cache: Path

    def measure(self, measure: paired.Measure) -> Round:
        """Measure once; nothing is kept from the round before."""
        shutil.rmtree(self.cache, ignore_errors=True)
        plan = (*_PLAN, str(self.job))
        find = f"find {self.data} -type f -print0 | xargs -0 sha256sum > /dev/null"
        return Round(
            sha256sum=measure(("sh", "-c", find)),
            first=measure(plan),
            second=measure(plan),
            hello=measure(_HELLO),
        )


def sizes(files: int, total: int) -> Iterator[int]:
    """Yield sizes from small to twice the mean that add up to about `total`, always the same."""
    chance = random.Random(4)
    mean = total // files
    return (chance.randint(1, 2 * mean - 1) for _ in range(files))


def lay_out(root: Path, *, files: int, total: int) -> Bench:
    """Write the project; its files are old enough for their digests to be kept."""
    data = root / "project" / "data"
    block = random.Random(5).randbytes(4 * total // files)
    for number, size in enumerate(sizes(files, total)):
        file = data / f"part_{number // 200:03}" / f"{number:05}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(block[number % 1000 : number % 1000 + size] + b"%d" % number)
    job = root / "project" / "job.yaml"
    job.write_text(json.dumps(JOB))
    time.sleep(_YOUNG_SEC)
    return Bench(job=job, data=data, cache=root / "cache")


def render(rounds: Sequence[Round]) -> str:
    """Lay the table out; its last two lines are the summary."""
    rows = [
        ("find -type f -print0 | xargs -0 sha256sum", [one.sha256sum for one in rounds]),
        ("runpod-deploy plan, first time", [one.first for one in rounds]),
        ("runpod-deploy plan, nothing changed", [one.second for one in rounds]),
        ("runpod-deploy plan examples/hello", [one.hello for one in rounds]),
    ]
    table = [f"{name:<42}  {median(values):7.3f} s" for name, values in rows]
    first, second = ratios(rounds)
    return "\n".join(
        [
            f"median of {len(rounds)} rounds",
            *table,
            f"plan of a payload: ratio {first:.2f} to sha256sum (target <= {FIRST_TARGET:.2f})",
            f"plan of it again: ratio {second:.3f} to the first (target <= {SECOND_TARGET:.2f})",
        ]
    )


def ratios(rounds: Sequence[Round]) -> tuple[float, float]:
    """Return the medians of both ratios, each taken round by round."""
    return median(one.first_ratio for one in rounds), median(one.second_ratio for one in rounds)


def main(argv: Sequence[str] | None = None, measure: paired.Measure = paired.seconds) -> int:
    """Lay out, measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help=f"at least {FEWEST_ROUNDS}")
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--bytes", type=int, default=BYTES)
    parser.add_argument("--cpu", action="store_true", help="count processor time, not the clock's")
    args = parser.parse_args(argv)
    measure = paired.processor_seconds if args.cpu else measure
    if args.rounds < FEWEST_ROUNDS:
        parser.error(f"--rounds {args.rounds}: fewer than {FEWEST_ROUNDS} say nothing")
    with tempfile.TemporaryDirectory(prefix="runpod-deploy-bench-") as folder:
        bench = lay_out(Path(folder), files=args.files, total=args.bytes)
        os.environ["XDG_CACHE_HOME"] = str(bench.cache)
        try:
            rounds = [bench.measure(measure) for _ in range(1 + args.rounds)][1:]
        except paired.CommandFailed as error:
            print(f"plan of a payload: not measured, {error}", file=sys.stderr)
            return 2
    print(render(rounds))
    first, second = ratios(rounds)
    return int(first > FIRST_TARGET or second > SECOND_TARGET)


if __name__ == "__main__":
    sys.exit(main())

"""Connections cut at random moments of an upload and of a pull over a real sshd, and made again.

Prints for each direction what travelled again, in all and for the worst cut; exits 0 only if both
transfers were finished, every digest is equal, and less than 2% travelled twice; 2 when nothing could
be measured.
"""

import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import wire
from wire import MIB, Bench, entries_of, quiet

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.executor.sync.download import download
from runpod_deploy.executor.sync.lanes import Lanes
from runpod_deploy.executor.sync.upload import upload
from support.cut_wire import CountedTransport, Wire, despite_cuts

MOST_AGAIN = 0.02


Work = Callable[[CountedTransport, Lanes], Awaitable[None]]


def measured(what: str, bench: Bench, total: int, count: int, work: Work) -> bool:
    """Cut a transfer `count` times, print what that cost, and tell whether it was little enough."""
    cable = Wire(lambda: bench.connect("loopback"))
    began = time.perf_counter()
    asyncio.run(despite_cuts(cable, total, count, work))
    took = time.perf_counter() - began
    again = max(0, cable.carried - total) / total
    met = again < MOST_AGAIN and cable.broken == count
    print(
        f"{what:<7} {total / MIB:8.0f} MiB, {cable.broken} cuts: {took:6.1f} s, "
        f"{again:6.2%} travelled again ({again / count:.3%} a cut)  < {MOST_AGAIN:.0%}  "
        f"{'met' if met else 'MISSED'}",
        flush=True,
    )
    return met


def both_ways(bench: Bench, root: Path, entries: list[PayloadEntry], count: int) -> list[bool]:
    """Upload the folder and pull it, and tell whether each was well."""
    total = sum(entry.size for entry in entries)
    far, back = bench.folder / "far", bench.folder / "back"

    async def up(control: CountedTransport, lanes: Lanes) -> None:
        if far.exists():
            raise SystemExit("an upload that was cut has put files into place")
        await upload(
            control,
            root=root,
            entries=entries,
            destination=str(far),
            delete=False,
            progress=quiet,
            tag="cuts",
            lanes=lanes,
        )

    async def down(control: CountedTransport, lanes: Lanes) -> None:
        await download(
            control,
            remote_path=str(root),
            local=back,
            keep=lambda _path, _folder: True,
            progress=quiet,
            lanes=lanes,
        )

    results = []
    for what, work, place in (("upload", up, far), ("pull", down, back)):
        met = measured(what, bench, total, count, work)
        equal = entries_of(place) == entries and not list(place.rglob(".rd-*"))
        print(f"{what:<7} every digest equal: {'yes' if equal else 'NO'}", flush=True)
        results.append(met and equal)
        shutil.rmtree(place)
    return results


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048, metavar="MIB", help="of the large file")
    parser.add_argument("--files", type=int, default=10_000, help="small files of up to 8 KiB")
    parser.add_argument("--cuts", type=int, default=20, help="of each transfer")
    args = parser.parse_args(argv)
    if wire.SSHD is None:
        print("cut connections: not measured, needs sshd", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name, wire.bench_in(Path(name)) as bench:
        root = bench.folder / "source"
        rng = random.Random(3)
        for number in range(args.files):
            path = root / f"d{number % 100:02}" / f"f{number:05}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(rng.randrange(8 * 1024)))
        wire.write_random(root / "model.bin", args.size * MIB)
        results = both_ways(bench, root, entries_of(root), args.cuts)
    print(f"cut connections: {sum(results)} of {len(results)} targets met")
    return int(not all(results))


if __name__ == "__main__":
    sys.exit(main())

"""Files over a real sshd, beside `rsync -az`: on loopback, and with 50 ms there and back.

A relay of our own delays every byte, so that no privilege and no netem is needed. Prints each ratio
beside its target; exits 0 only if all are met, 2 when nothing could be measured.
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import wire
from wire import MIB, Bench, entries_of, quiet

from runpod_deploy.errors import TransportError
from runpod_deploy.executor.sync.lanes import Lanes
from runpod_deploy.executor.sync.upload import upload
from support.cut_wire import Wire

Seconds = Callable[[], float]


@dataclass(frozen=True)
class Row:
    """One line of the table: seconds are medians of rounds taken in turn."""

    what: str
    way: str
    theirs_s: float
    ours_s: float
    target: float

    @property
    def ratio(self) -> float:
        """How many times as fast as the peer."""
        return self.theirs_s / self.ours_s

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.ratio >= self.target

    def __str__(self) -> str:
        return (
            f"{self.what:<38} {self.way:<9} {self.theirs_s:8.2f} s {self.ours_s:8.2f} s "
            f"{self.ratio:6.2f}x  >= {self.target:.2f}x  {'met' if self.met else 'MISSED'}"
        )


class Cases:
    """What is measured over one way; a target is given for loopback and for the far way."""

    def __init__(self, bench: Bench, way: str, rounds: int) -> None:
        self.bench = bench
        self.way = way
        self.rounds = rounds

    def row(self, what: str, targets: tuple[float, float], theirs: Seconds, ours: Seconds) -> Row:
        """Measure both in turn."""
        pairs = [(theirs(), ours()) for _ in range(self.rounds)]
        row = Row(
            what,
            self.way,
            median(one for one, _ in pairs),
            median(one for _, one in pairs),
            targets[self.way != "loopback"],
        )
        print(row, flush=True)
        return row

    def small_files(self, count: int) -> Iterator[Row]:
        """Many small files: new, unchanged, and changed a little."""
        bench, root = self.bench, self.bench.folder / "small"
        if not root.exists():
            wire.write_small(root, count)
        entries = entries_of(root)
        theirs = bench.folder / "far-rsync"

        def rsync_new() -> float:
            bench.fresh("far-rsync")
            return self._rsync(root, theirs)

        def ours_new(*, warm: bool) -> float:
            return bench.up(self.way, root, bench.fresh("far-ours"), entries, warm=warm)

        name = f"{count:,} files of 4 KiB"
        yield self.row(f"{name}, cold", (1.5, 1.5), rsync_new, lambda: ours_new(warm=False))
        yield self.row(f"{name}, warm", (1.9, 2.4), rsync_new, lambda: ours_new(warm=True))

        def ours_again() -> float:
            return bench.up(self.way, root, bench.folder / "far-ours", entries_of(root), warm=True)

        def changed(then: Seconds) -> float:
            for entry in entries[::100]:
                path = root / entry.path
                path.write_bytes(os.urandom(4).hex().encode() + path.read_bytes()[8:])
            return then()

        yield self.row(
            "nothing changed, warm", (3.5, 9.0), lambda: self._rsync(root, theirs), ours_again
        )
        yield self.row(
            "1% changed, warm",
            (3.0, 4.5),
            lambda: changed(lambda: self._rsync(root, theirs)),
            lambda: changed(ours_again),
        )

    def large(self, mib: int) -> Iterator[Row]:
        """One file that does not shrink, in both directions."""
        bench, root = self.bench, self.bench.folder / "large"
        wire.write_random(root / "model.bin", mib * MIB)
        entries = entries_of(root)

        def ours() -> float:
            return bench.up(self.way, root, bench.fresh("far-ours-large"), entries, warm=True)

        yield self.row(
            f"one file of {mib} MiB, up, warm",
            (1.5, 3.4),
            lambda: self._rsync(root, bench.fresh("far-rsync-large")),
            ours,
        )
        if self.way == "loopback":
            limit = root / "model.bin"
            yield self.row(
                "the same against OpenSSH cat",
                (1 / 1.3, 0.0),
                lambda: bench.cat(self.way, limit),
                ours,
            )
        yield self._pull(f"one file of {mib} MiB, down, warm", (1.5, 3.4), root)

    def results(self, count: int) -> Iterator[Row]:
        """Results of middle size."""
        root = self.bench.folder / "results"
        for number in range(count):
            wire.write_random(root / f"r{number:04}.bin", 256 * 1024)
        yield self._pull(f"{count:,} files of 256 KiB, down, warm", (1.3, 3.0), root)

    def _pull(self, what: str, targets: tuple[float, float], root: Path) -> Row:
        bench = self.bench
        return self.row(
            what,
            targets,
            lambda: bench.rsync(self.way, f"far:{root}/", f"{bench.fresh('near-rsync')}/"),
            lambda: bench.down(self.way, root, bench.fresh("near-ours")),
        )

    def _rsync(self, root: Path, to: Path) -> float:
        return self.bench.rsync(self.way, f"{root}/", f"far:{to}/")


def resumed(bench: Bench, mib: int) -> bool:
    """Break an upload at 80%, go on with it, and tell whether at most 21% was sent again."""
    root, to = bench.folder / "large", bench.fresh("far-resumed")
    wire.write_random(root / "model.bin", mib * MIB)
    entries = entries_of(root)

    total = mib * MIB
    # All connections break: over one that is left, the upload would go on to its end.
    cable = Wire(lambda: bench.connect("loopback"), cuts=[total * 8 // 10])

    async def once() -> int:
        control = await cable.connect()
        report = await upload(
            control,
            root=root,
            entries=entries,
            destination=str(to),
            delete=False,
            progress=quiet,
            tag="resumed",
            lanes=Lanes(cable.connect),
        )
        await control.close()
        return report.sent

    with suppress(TransportError):
        asyncio.run(once())
    broken = cable.broken == 1
    share = asyncio.run(once()) / total
    met = broken and share <= 0.21 and entries_of(to) == entries
    print(
        f"{f'{mib} MiB broken at 80%, resumed':<38} {'loopback':<9} {share:6.1%} sent again, sha256 "
        f"{'equal' if broken else 'not broken'}  <= 21%  {'met' if met else 'MISSED'}",
        flush=True,
    )
    return met


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, a smaller large file")
    args = parser.parse_args(argv)
    for program in ("ssh", "rsync"):
        if shutil.which(program) is None or wire.SSHD is None:
            print("files on the wire: not measured, needs sshd, ssh and rsync", file=sys.stderr)
            return 2
    rounds, mib, far_mib = (1, 512, 256) if args.quick else (5, 2048, 512)
    print(f"{'':<38} {'':<9} {'rsync -az':>10} {'ours':>10}   ratio  target", flush=True)
    with tempfile.TemporaryDirectory() as name, wire.bench_in(Path(name)) as bench:
        met = [resumed(bench, mib)]
        for way, size in (("loopback", mib), ("50 ms", far_mib)):
            cases = Cases(bench, way, rounds)
            rows = [*cases.small_files(10_000), *cases.large(size), *cases.results(2000)]
            met += [row.met for row in rows]
    print(f"files on the wire: {sum(met)} of {len(met)} targets met")
    return int(not all(met))


if __name__ == "__main__":
    sys.exit(main())

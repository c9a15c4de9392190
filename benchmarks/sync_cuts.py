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
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import wire
from wire import MIB, Bench, entries_of

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.errors import TransportError
from runpod_deploy.executor.ssh.transport import AsyncsshTransport
from runpod_deploy.executor.sync.download import download
from runpod_deploy.executor.sync.lanes import Lanes
from runpod_deploy.executor.sync.upload import upload

MOST_AGAIN = 0.02


@dataclass
class Cable:
    """All connections of a transfer; cut when so many bytes went over them, and made again.

    Attributes:
        cuts: After how many bytes the next cut comes, and after how many more each that follows.
        carried: Bytes that went over all connections so far.
        at_cut: What was carried at each cut.
    """

    bench: Bench
    cuts: list[int]
    carried: int = 0
    at_cut: list[int] = field(default_factory=list)
    _open: list[AsyncsshTransport] = field(default_factory=list)

    async def connect(self) -> "Counted":
        """Open one more connection."""
        transport = await self.bench.connect("loopback")
        self._open.append(transport)
        return Counted(transport, self)

    def carry(self, count: int) -> None:
        """Count, and cut when it is time."""
        self.carried += count
        if not self.cuts:
            return
        self.cuts[0] -= count
        if self.cuts[0] <= 0:
            self.cuts.pop(0)
            self.at_cut.append(self.carried)
            for transport in self._open:
                transport._connection.abort()  # noqa: SLF001 - a cable that is pulled
            self._open.clear()


class Counted:
    """A transport whose streams are counted."""

    def __init__(self, transport: AsyncsshTransport, cable: Cable) -> None:
        self._transport = transport
        self._cable = cable

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    async def stream(
        self, command: str, *, stdin: bytes | AsyncIterator[bytes] | None = None
    ) -> AsyncIterator[bytes]:
        """Stream a command, counted."""

        async def counted(source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
            async for chunk in source:
                self._cable.carry(len(chunk))
                yield chunk

        given = counted(stdin) if isinstance(stdin, AsyncIterator) else stdin
        async for chunk in self._transport.stream(command, stdin=given):
            self._cable.carry(len(chunk))
            yield chunk


Work = Callable[[Counted, Lanes], Awaitable[None]]


async def despite_cuts(cable: Cable, work: Work) -> None:
    """Do something again and again until it comes to its end."""
    while True:
        control = await cable.connect()
        lanes = Lanes(cable.connect)  # type: ignore[arg-type] # it has what a transport has
        try:
            await work(control, lanes)
        except TransportError:
            continue
        else:
            return
        finally:
            await lanes.close()
            await control.close()  # type: ignore[operator] # by `__getattr__`


def measured(what: str, bench: Bench, total: int, count: int, work: Work) -> bool:
    """Cut a transfer `count` times, print what that cost, and tell whether it was little enough."""
    rng = random.Random(5)
    # All cuts come before the last byte: together they wait for less than there is to carry.
    cable = Cable(bench, [rng.randrange(1, total // count) for _ in range(count)])
    began = time.perf_counter()
    asyncio.run(despite_cuts(cable, work))
    took = time.perf_counter() - began
    again = max(0, cable.carried - total) / total
    met = again < MOST_AGAIN and len(cable.at_cut) == count
    print(
        f"{what:<7} {total / MIB:8.0f} MiB, {len(cable.at_cut)} cuts: {took:6.1f} s, "
        f"{again:6.2%} travelled again ({again / count:.3%} a cut)  < {MOST_AGAIN:.0%}  "
        f"{'met' if met else 'MISSED'}",
        flush=True,
    )
    return met


def quiet(_name: str, _done: int, _total: int) -> None:
    """Take progress and say nothing."""


def both_ways(bench: Bench, root: Path, entries: list[PayloadEntry], count: int) -> list[bool]:
    """Upload the folder and pull it, and tell whether each was well."""
    total = sum(entry.size for entry in entries)
    far, back = bench.folder / "far", bench.folder / "back"

    async def up(control: Counted, lanes: Lanes) -> None:
        if far.exists():
            raise SystemExit("an upload that was cut has put files into place")
        await upload(
            control,  # type: ignore[arg-type] # it has what a transport has
            root=root,
            entries=entries,
            destination=str(far),
            delete=False,
            progress=quiet,
            tag="cuts",
            lanes=lanes,
        )

    async def down(control: Counted, lanes: Lanes) -> None:
        await download(
            control,  # type: ignore[arg-type] # it has what a transport has
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

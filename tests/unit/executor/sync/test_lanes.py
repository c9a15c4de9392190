"""How many connections a transfer is spread over, and what happens when they break."""

import asyncio
from types import SimpleNamespace

import pytest

from runpod_deploy.errors import ConnectionLost, TransportError
from runpod_deploy.executor.sync import lanes
from runpod_deploy.executor.sync.lanes import Lanes
from support.here_pod import HerePod


class Far(HerePod):
    """A pod that is far away."""

    def latency(self) -> float:
        """Return a long way."""
        return 0.05


class BreaksAtOnce:
    """A load whose first connection breaks, and whose others still have something to file."""

    def __init__(self, control: HerePod) -> None:
        self.control = control
        self.working = 0
        self.all_work = asyncio.Event()
        self.filed = 0

    async def work(self, transport: HerePod) -> None:
        """Break, or take a while."""
        if transport is self.control:
            await self.all_work.wait()
            raise ConnectionLost("cut")
        self.working += 1
        if self.working == 3:
            self.all_work.set()
        for _ in range(50):
            await asyncio.sleep(0)
        self.filed += 1
        raise ConnectionLost("cut as well")

    def done(self) -> int:
        """Return nothing."""
        return 0

    def left(self) -> int:
        """Return a lot."""
        return 1 << 30


def test_where_all_break_at_once_what_came_is_filed() -> None:
    """A far pod is worked at over four connections, and each is let come to its end after a cut."""
    control = Far()
    load = BreaksAtOnce(control)

    async def one_more() -> HerePod:
        return Far()

    async def work() -> None:
        with pytest.raises(TransportError, match="cut"):
            await Lanes(one_more).spread(control, load)

    asyncio.run(work())
    assert (load.working, load.filed) == (3, 3)


@pytest.mark.parametrize(
    ("worked", "rate", "told"),
    [(0.1, 100, 1), (0.9, 100, None), (0.1, 0, 0)],
    ids=["the wire is the limit", "this process is the limit", "nothing moved yet"],
)
def test_connections_are_added_only_where_they_can_help(
    monkeypatch: pytest.MonkeyPatch, worked: float, rate: int, told: int | None
) -> None:
    """They double while the transfer waits for the wire, and no more when it waits for this process."""
    clock = SimpleNamespace(now=0.0, worked=0.0)
    fake = SimpleNamespace(monotonic=lambda: clock.now, process_time=lambda: clock.worked)
    monkeypatch.setattr(lanes, "time", fake)
    judge = lanes._Rate()
    assert judge.wanted(1, 0, 10_000, far=False) == 0
    clock.now, clock.worked = 1.0, worked
    assert judge.wanted(1, rate, 10_000, far=False) == told

"""An event loop in which waiting takes no time, and the clock that shows its time."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

EPOCH = 1_800_000_000.0


class _NoWait(selectors.DefaultSelector):
    """Moves the loop's time to where it would have been after waiting."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Report what is ready now; nothing else than time can make it more."""
        if timeout is None:
            raise RuntimeError("every task waits for ever")
        self.loop.skip(timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers fire at once, in their order; threads are run in place."""

    def __init__(self, elapsed: float = 0.0) -> None:
        selector = _NoWait()
        selector.loop = self
        self._elapsed = elapsed
        super().__init__(selector)
        # What floating point loses on the way to a timer's moment must not leave it waiting.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._elapsed

    def skip(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed += max(0.0, seconds)

    def run_in_executor(
        self, _executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run `func` at once: a thread would be overtaken by virtual time."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - handed to whoever awaits
            future.set_exception(error)
        return future


def run_virtual(work: Coroutine[Any, Any, T], elapsed: float = 0.0) -> T:
    """Run a coroutine in virtual time, which begins at `elapsed` seconds."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(elapsed)) as runner:
        return runner.run(work)


class FakeClock:
    """The port `Clock` over the virtual loop; `gate` is passed before each sleep."""

    def __init__(self, gate: Gate | None = None) -> None:
        self.gate = gate or Gate()
        self._last = 0.0

    def now(self) -> float:
        """Return seconds since the epoch."""
        return EPOCH + self.monotonic()

    def monotonic(self) -> float:
        """Return the loop's seconds, also where no loop runs."""
        with contextlib.suppress(RuntimeError):
            self._last = asyncio.get_running_loop().time()
        return self._last

    def later(self, seconds: float) -> None:
        """Let time pass between two runs."""
        self._last = self.monotonic() + seconds

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        await self.gate.through("sleep")
        await asyncio.sleep(seconds)


class Gate:
    """Every call of a fake goes through here, so that a test can act at the k-th of them.

    Attributes:
        passed: Names of the calls so far.
        act: Called with the number of each call, from 1, and its name.
    """

    def __init__(self, act: Callable[[int, str], None] | None = None) -> None:
        self.passed: list[str] = []
        self.act = act

    async def through(self, name: str) -> None:
        """Yield often enough for whatever the test did to reach the caller."""
        self.passed.append(name)
        if self.act is None:
            await asyncio.sleep(0)
            return
        self.act(len(self.passed), name)
        for _ in range(8):
            await asyncio.sleep(0)

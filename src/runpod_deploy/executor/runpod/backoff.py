"""Repeats calls that may be repeated, for a bounded time."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from runpod_deploy.errors import EffectUnknown, RateLimited, Unavailable
from runpod_deploy.executor.ports import Clock

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Backoff:
    """How often and how long; times in seconds.

    Attributes:
        attempts: Calls in all, the first included.
        first: Wait after the first failure; doubles each time.
        longest: Upper bound of one wait that the API did not ask for.
        total: No wait begins that would end later than this after the first call.
    """

    attempts: int = 5
    first: float = 0.5
    longest: float = 8.0
    total: float = 60.0

    async def repeat(
        self, call: Callable[[], Awaitable[T]], *, clock: Clock, jitter: Callable[[], float]
    ) -> T:
        """Return what `call` returns, calling again after a failure that may pass.

        Args:
            call: Must have no effect, or the same effect however often it is called.
            clock: Measures and waits.
            jitter: Returns a number from 0 to 1, so that many clients do not come back at once.

        Raises:
            RateLimited: The limit did not lift in time.
            Unavailable: The API did not answer a read in time.
            EffectUnknown: The API failed to the end on a call that changes something.
        """
        deadline = clock.monotonic() + self.total
        step = self.first
        for attempt in range(1, self.attempts + 1):
            try:
                return await call()
            except (RateLimited, Unavailable, EffectUnknown) as exc:
                # An asked-for wait is kept in full; jitter only ever adds to it.
                asked = exc.retry_after or 0.0
                wait = asked + step * jitter() if asked else step * (0.5 + jitter() / 2)
                if attempt == self.attempts or clock.monotonic() + wait > deadline:
                    raise
            await clock.sleep(wait)
            step = min(step * 2, self.longest)
        msg = "a backoff needs at least one attempt"
        raise ValueError(msg)

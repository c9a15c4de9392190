"""What became of a create call whose answer was lost: looked for, as RunPod has no idempotency key."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from runpod_deploy.errors import RunpodDeployError
from runpod_deploy.executor.ports import Clock

T = TypeVar("T")

# What a create call made that answered 5xx may show up in the list a little later.
LOOKS = (0.0, 1.0, 3.0, 6.0)


async def look_for(find: Callable[[], Awaitable[list[T]]], clock: Clock) -> list[T] | None:
    """Return what `find` finds, asking a few times for as long as it finds nothing.

    Returns:
        None when no look succeeded: then nothing is known.
    """
    looked = False
    for pause in LOOKS:
        await clock.sleep(pause)
        try:
            found = await find()
        except RunpodDeployError:
            continue
        looked = True
        if found:
            return found
    return [] if looked else None

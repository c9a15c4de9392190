"""Work that must reach its end even when the run is cancelled around it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def finish(work: Coroutine[Any, Any, T]) -> tuple[T, bool]:
    """Run `work` to its end; a cancellation meanwhile is noted, not passed on.

    Returns:
        The result, and whether a cancellation came: the caller must then raise `CancelledError`
        itself once the result is safe.
    """
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.done() and task.cancelled():
                raise
            cancelled = True
        except BaseException:  # noqa: BLE001, S110 - raised below, by task.result()
            pass
    try:
        return task.result(), cancelled
    except BaseException as error:
        if cancelled:
            raise asyncio.CancelledError from error
        raise

"""Tells others of a run's end, as `notify` of the job file says; never fails the run."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from runpod_deploy.compiler.late_bound import fill
from runpod_deploy.compiler.plan import PlanNotify
from runpod_deploy.errors import InvalidInput
from runpod_deploy.executor.beforehand import WEBHOOK_MISSING
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.end_message import message_of, variables_of
from runpod_deploy.executor.interrupts import Interrupts
from runpod_deploy.executor.local_commands import LocalCommandFailed
from runpod_deploy.executor.webhook import (
    WebhookFailed,
    has_webhook,
    read_address,
    shown_host,
)
from runpod_deploy.record.events import Event
from runpod_deploy.record.run import Run, RunState

# Seconds before each further try of a webhook that did not take its message.
AGAIN_AFTER_SEC = (1.0, 4.0)
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429, *range(500, 600)})

Message = Mapping[str, Any]


def untold(notify: PlanNotify | None, state: RunState, events: Iterable[Event]) -> tuple[str, ...]:
    """Return who is still to be told of a run that came to this state: `webhook`, `command`."""
    if notify is None or not state.final or state.value.lower() not in notify.on:
        return ()
    tried: set[object] = set()
    for event in events:
        if event.event == "state_changed":
            tried.clear()
        elif event.event == "notified":
            tried.add(event.fields.get("via"))
    wanted = {"webhook": has_webhook(notify), "command": notify.command is not None}
    return tuple(via for via, there in wanted.items() if there and via not in tried)


async def tell(
    ctx: RunContext, run: Run, failure: BaseException | None, interrupts: Interrupts
) -> bool:
    """Tell of the end whoever is to be told; return whether nobody was missed.

    Whoever asks the run to end meanwhile ends the telling.
    """
    waiting = untold(ctx.plan.notify, run.state, ctx.journal.events)
    if not waiting:
        return True
    missed, message = False, message_of(ctx, run, failure)
    for via in waiting:
        error = await _unless_asked(_OUTLETS[via](ctx, message), interrupts)
        if error is not None:
            missed = True
            error = ctx.masker.text(error)
            if not _said_already(via, failure):
                ctx.warn("not-notified", f"The {via} was not told of the run's end: {error}.")
        ctx.note("notified", via=via, outcome="failed" if error else "told", error=error)
    return not missed


def _said_already(via: str, failure: BaseException | None) -> bool:
    """Tell whether the run failed because it cannot tell: no reader needs that twice."""
    return (
        via == "webhook"
        and isinstance(failure, InvalidInput)
        and any(one.code == WEBHOOK_MISSING for one in failure.diagnostics)
    )


async def _unless_asked(telling: Awaitable[str | None], interrupts: Interrupts) -> str | None:
    work = asyncio.ensure_future(telling)
    mail = asyncio.ensure_future(interrupts.next())
    try:
        await asyncio.wait({work, mail}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        mail.cancel()
        if not work.done():
            work.cancel()
            await asyncio.wait({work})
    return "it was interrupted" if work.cancelled() else work.result()


async def _webhook(ctx: RunContext, message: Message) -> str | None:
    """Return why the webhook did not take the message, None when it did."""
    if ctx.plan.notify is None:
        return None
    try:
        address = read_address(ctx.plan.notify, ctx.project_root, ctx.environ, allowed=ctx.allowed)
    except WebhookFailed as error:
        return str(error)
    body, why = json.dumps(message).encode(), ""
    for pause in (0.0, *AGAIN_AFTER_SEC):
        if pause:
            await ctx.clock.sleep(pause)
        try:
            status = await ctx.post(address, body)
        except WebhookFailed as error:
            why = str(error)
            continue
        if 200 <= status < 300:
            return None
        why = f"{shown_host(address)} answered HTTP {status}"
        if status not in _WORTH_ANOTHER_TRY:
            break
    return why


async def _command(ctx: RunContext, message: Message) -> str | None:
    """Return why the command was not told, None when it ended well."""
    command = (ctx.plan.notify.command if ctx.plan.notify else None) or ""
    if ctx.commands is None:
        return "nobody allowed it to run; --allow-commands does"
    # Taken apart before it is filled, so that no value can be more than a part of one word.
    words = [fill(word, ctx.late_bound) for word in shlex.split(command)]
    environ = {**ctx.environ, **variables_of(message, ctx.late_bound)}
    try:
        await ctx.commands.told(words, json.dumps(message).encode(), ctx.project_root, environ)
    except LocalCommandFailed as error:
        return str(error)
    except OSError as error:
        return f"it cannot be started: {error.strerror or error}"
    return None


_OUTLETS: Mapping[str, Callable[[RunContext, Message], Awaitable[str | None]]] = {
    "webhook": _webhook,
    "command": _command,
}

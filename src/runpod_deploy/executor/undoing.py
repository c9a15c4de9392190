"""Undoes a run that did not succeed: ends it, brings home what there is, and lets the pod go."""

from __future__ import annotations

import asyncio

from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.endings import TAKEN, TakenOver
from runpod_deploy.executor.interrupts import Interrupts, Request
from runpod_deploy.executor.steps import release

# What is worth the run is worth bringing home while the money lasts, and never less than this.
SALVAGE_AT_LEAST_SEC = 300.0
SALVAGE_AT_MOST_SEC = 6 * 3600.0

# A pod that can be paid for no longer than this is not worth keeping.
KEEP_AT_LEAST_SEC = 60.0


class Undoing:
    """One unwinding of the undo stack.

    Attributes:
        kept: Whether the pod was left as it is because results lie on it alone.
    """

    def __init__(self, ctx: RunContext, interrupts: Interrupts) -> None:
        self.ctx = ctx
        self.interrupts = interrupts
        self.kept = False
        self._hurry = False

    async def unwind(self) -> None:
        """Run the undo stack; asked again, all that is left is dropped and the pod released at once.

        Raises:
            TakenOver: Another executor has the run now.
        """
        ctx = self.ctx
        saved = any("artifacts" in node.undo.names() for node in ctx.nodes)
        while ctx.undo.names():
            name = ctx.undo.names()[0]
            if self._hurry and name != "pod":
                ctx.undo.drop(name)
                continue
            if name == "pod" and saved:
                saved = False
                await self._keep_what_is_unproven()
                continue
            action = asyncio.create_task(ctx.undo.pop(self._failed))
            if name == "pod":
                # Never given up: this is what ends the bill.
                await asyncio.wait({action})
                continue
            again = await self._asked_again(action)
            self._hurry = again is not None
            if not action.done():
                action.cancel()
                if again is not Request.YIELD:
                    ctx.progress.message(f"Leaving {name} as it is; releasing the pod now.")
                await asyncio.wait({action})
            if again is Request.YIELD:
                raise TakenOver(TAKEN)

    def keep(self) -> None:
        """Keep the pod instead of releasing it as the lifecycle says."""
        self.kept = True
        self.ctx.undo.drop("pod")
        self.ctx.undo.push("pod", lambda: release.keep(self.ctx))

    async def _keep_what_is_unproven(self) -> None:
        """Keep the pod when required results may lie on it alone and its money has not run out.

        Somebody who asks a second time has decided otherwise.
        """
        ctx = self.ctx
        labels = ctx.unproven()
        if not labels or self._hurry:
            return
        if ctx.clock.now() + KEEP_AT_LEAST_SEC >= ctx.capped_at():
            return
        if not await release.may_hold_results(ctx):
            return
        self.keep()
        ctx.warn(
            "not-verified",
            f"Required artifacts may lie on the pod alone ({', '.join(labels)}): it is kept.",
        )

    async def _asked_again(self, action: asyncio.Task[None]) -> Request | None:
        """Wait for `action`, but not longer than anybody is willing to; then return what was asked."""
        now = asyncio.get_running_loop().time
        paid_for = self.ctx.capped_at() - self.ctx.clock.now()
        give_up = now() + min(max(paid_for, SALVAGE_AT_LEAST_SEC), SALVAGE_AT_MOST_SEC)
        while not action.done() and now() < give_up:
            mail = asyncio.create_task(self.interrupts.next())
            await asyncio.wait(
                {action, mail}, timeout=give_up - now(), return_when=asyncio.FIRST_COMPLETED
            )
            # A terminal that is closed meanwhile is no reason to leave results behind.
            if mail.done() and mail.result() is not Request.DETACH:
                return mail.result()
            mail.cancel()
        return None

    def _failed(self, name: str, error: Exception) -> None:
        self.ctx.warn("undo-failed", f"Undoing {name} failed: {error!r}")

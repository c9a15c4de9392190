"""Carries a plan out step by step, and leads every end, good or bad, to a released pod and a verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from runpod_deploy.compiler.plan import StepPlan
from runpod_deploy.errors import (
    ConnectFailed,
    ConnectionLost,
    HostKeyChanged,
    HostUnusable,
    Kept,
    Leaked,
    StepFailed,
    TransportError,
)
from runpod_deploy.executor import checkpoints, nodes, retrying, spending, waking
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.creation import settle_strays
from runpod_deploy.executor.endings import (
    TAKEN,
    Detached,
    TakenOver,
    cause_of,
    final_state,
    raise_verdict,
)
from runpod_deploy.executor.interrupts import Interrupts, Request
from runpod_deploy.executor.left_over import end_left_over
from runpod_deploy.executor.restoring import reach, resumable, take_up
from runpod_deploy.executor.standing import Standing, goes_on_alone, on_this_pod, read_earlier
from runpod_deploy.executor.steps import (
    admit,
    check,
    collect,
    connect,
    execute,
    preflight,
    provision,
    release,
    secrets,
    setup,
    stage,
)
from runpod_deploy.executor.undoing import Undoing
from runpod_deploy.record.run import RunState, fold

Step = Callable[[RunContext], Awaitable[None]]

STEPS: Mapping[str, Step] = {
    "check": check.do,
    "provision": provision.do,
    "connect": connect.do,
    "admit": admit.do,
    "setup": setup.do,
    "stage": stage.do,
    "secrets": secrets.do,
    "preflight": preflight.do,
    "execute": execute.do,
    "collect": collect.do,
    "release": release.do,
}


class Engine:
    """Runs the steps of one plan.

    Attributes:
        failure: What kept the run from succeeding, None for a success.
        state: Where the run stands, also where the journal could not be told.
        given_up: Whether the run was left as it was: it could not be carried on, or another executor
            has it.
    """

    def __init__(
        self, ctx: RunContext, interrupts: Interrupts, earlier: Standing | None = None
    ) -> None:
        """Prepare the run.

        Args:
            earlier: Where an earlier executor of this run left it; None for a new run.
        """
        self.ctx = ctx
        self.interrupts = interrupts
        self.earlier = earlier
        self.failure: BaseException | None = None
        self.state = earlier.state if earlier else RunState.NEW
        self.given_up = False
        self._leaving = False
        ctx.on_begun = self._begun
        if earlier is not None and goes_on_alone(earlier, ctx.journal.events):
            # As it did until now, also while we are on the way to it.
            self._begun()

    async def run(self) -> None:
        """Carry the plan out; afterwards the journal holds a final state. Never raises.

        `failure` then holds what kept the run from succeeding, None for a success. A cancellation of
        the caller is a request to cancel like any other: the pod is released before this returns.
        """
        whole = asyncio.create_task(self._run())
        while not whole.done():
            try:
                await asyncio.wait({whole})
            except asyncio.CancelledError:
                if (caller := asyncio.current_task()) is not None:
                    caller.uncancel()
                self.interrupts.ask(Request.HURRY if self.interrupts.undoing else Request.CANCEL)
        whole.result()

    async def _run(self) -> None:
        if self.earlier is None:
            self._state(RunState.WORKING, None)
        work = asyncio.create_task(self._work(self.earlier))
        guard = asyncio.create_task(spending.guard(self.ctx, work))
        asked = await self._until_done_or_asked(work)
        guard.cancel()
        if self.given_up or asked is Request.YIELD:
            self._give_up()
            return
        if asked is Request.DETACH:
            await self._leave()
            return
        try:
            work.result()
        except asyncio.CancelledError:
            self.failure = self.ctx.overspent or asyncio.CancelledError()
        except BaseException as error:  # noqa: BLE001 - every end leads through the undo
            self.failure = error
        if self.earlier is not None and self.earlier.over:
            self.failure = self.earlier.failure
        elif self.failure is not None:
            await self._undo()
            return
        await self._settle_strays()
        await self._finally(kept=self.state is RunState.KEPT and self._pod_is_left())

    async def _work(self, earlier: Standing | None) -> None:
        """Do the steps that are left; an earlier executor's failure is raised as if it were ours."""
        if earlier is None:
            await self._steps(0)
            return
        problem = await take_up(self.ctx, earlier)
        if problem is not None:
            # Nothing is done to a run of which only a half is known.
            self.failure, self.given_up = problem, True
            return
        if earlier.over:
            return
        if waking.is_fresh(self.ctx):
            self.interrupts.can_detach = False
            try:
                await waking.reopen(self.ctx)
            except (Kept, Leaked) as error:
                self.failure, self.given_up = resumable(error, self.ctx.folder.path), True
                return
        names = [step.name for step in self.ctx.plan.steps]
        if earlier.failure is not None:
            step = names[earlier.first] if earlier.state is RunState.WORKING else ""
            if not await retrying.begin_again(self.ctx, step, earlier.failure):
                await reach(self.ctx, None)
                raise earlier.failure
            self._state(RunState.WORKING, None)
            await self._steps(names.index("provision"))
            return
        self._state(RunState.WORKING, None)
        await self._steps(await self._first(earlier, names))

    async def _first(self, earlier: Standing, names: Sequence[str]) -> int:
        """Return the step to go on with, its pod reached where it takes that for granted."""
        first = earlier.first
        if self.ctx.pod is None and first <= names.index("execute") and self._nothing_begun():
            # Its host was given up, and it is gone: the ring goes on.
            first = names.index("provision")
        elif self.ctx.pod is not None and waking.from_the_login(self.ctx):
            first = min(first, names.index("connect"))
        if first < len(names):
            try:
                await nodes.on_every(self.ctx, lambda node: reach(node, names[first]))
            except (StepFailed, TransportError) as error:
                if not await retrying.begin_again(self.ctx, names[first], error):
                    raise
                first = names.index("provision")
        return first

    def _nothing_begun(self) -> bool:
        """Return whether the job was never asked for on the run's last pod: then another one does as well."""
        return read_earlier(self.ctx.journal.events).intended_at is None

    def _pod_is_left(self) -> bool:
        last = fold(self.ctx.journal.events).pod
        return last is not None and last.status != "gone"

    async def _leave(self) -> None:
        """Leave the run alone on purpose; a pod that was started for it meanwhile is stopped again."""
        if waking.is_fresh(self.ctx) and not await release.rest(self.ctx):
            pod_id = self.ctx.need_pod().id
            self.failure = Leaked(
                f"Pod {pod_id} was started again, and its stop could not be confirmed: it may go on "
                "costing money.",
                help=f"See to it that it stops:\n  runpod-deploy cleanup {pod_id} --mode stop",
            )
            self.given_up = True
            return
        self.failure = Detached()
        self._state(RunState.DETACHED, "asked")

    def _give_up(self) -> None:
        if self.given_up and self.state is RunState.DETACHED:
            self._state(self.state, "asked")
        self.given_up = True
        self.failure = self.failure or TakenOver(TAKEN)

    async def _until_done_or_asked(self, work: asyncio.Task[None]) -> Request | None:
        asked: Request | None = None
        while not work.done():
            mail = asyncio.create_task(self.interrupts.next())
            await asyncio.wait({work, mail}, return_when=asyncio.FIRST_COMPLETED)
            if not mail.done():
                mail.cancel()
                break
            asked = mail.result()
            if asked is Request.DETACH and not self.interrupts.can_detach:
                # Where its pod was started again, nothing of the job runs any more either.
                if self.ctx.job_end is not None or waking.is_fresh(self.ctx):
                    self.ctx.progress.message("The run has ended; what is left is done here.")
                    continue
                # Nothing runs yet that could go on alone: left behind, the pod would only cost money.
                asked = Request.CANCEL
            self._leaving = asked in {Request.DETACH, Request.YIELD}
            if self.interrupts.signal:
                self.ctx.note("signal_received", signal=self.interrupts.signal)
            work.cancel()
            await asyncio.wait({work})
            if asked is Request.YIELD:
                return asked
        if asked is Request.DETACH and (not work.cancelled() or not self._job_began()):
            # It ended by itself before the request reached it, or had not begun.
            return None
        return asked

    def _begun(self) -> None:
        self.interrupts.can_detach = not waking.is_fresh(self.ctx) and self._job_began()

    def _job_began(self) -> bool:
        ctx = self.ctx
        began = any(
            event.event == "exec_start_settled" and event.fields.get("outcome") == "started"
            for event in on_this_pod(ctx.journal.events)
        )
        # Left alone earlier, the nodes that have begun would wait for one that never does.
        return began and nodes.all_begun(ctx.plan, ctx.folder.path)

    async def _steps(self, position: int) -> None:
        steps = self.ctx.plan.steps
        first = next(i for i, step in enumerate(steps) if step.name == "provision")
        if position > [step.name for step in steps].index("execute"):
            raise_verdict(self.ctx.job_end)
        while position < len(steps):
            step = steps[position]
            try:
                await self._step(step)
            except (StepFailed, TransportError) as error:
                problem = _host_problem(step, error)
                if problem is not None:
                    await provision.give_up_host(self.ctx, problem)
                elif not await retrying.begin_again(self.ctx, step.name, error):
                    raise
                position = first
                continue
            if step.name == "execute":
                raise_verdict(self.ctx.job_end)
            position += 1

    async def _step(self, step: StepPlan) -> None:
        ctx = self.ctx
        began = ctx.clock.monotonic()
        ctx.journal.write("step_started", step=step.name)
        try:
            await self._with_retries(step)
        except BaseException as error:
            if self._leaving and isinstance(error, asyncio.CancelledError):
                raise  # left alone, which is no failure
            ctx.note(
                "step_failed",
                step=step.name,
                duration_sec=self._since(step, began),
                cause=cause_of(error),
                error=str(error) or type(error).__name__,
            )
            raise
        finally:
            self.interrupts.can_detach = False
        ctx.journal.write(
            "step_completed",
            step=step.name,
            duration_sec=self._since(step, began),
        )

    def _since(self, step: StepPlan, began: float) -> float:
        """Return how long a step took, from where an earlier executor began it if it never ended it."""
        ctx = self.ctx
        took = ctx.clock.monotonic() - began
        first = ctx.earlier.begun.pop(step.name, None)
        return round(took if first is None else max(took, ctx.clock.now() - first), 3)

    async def _with_retries(self, step: StepPlan) -> None:
        for left in range(step.retries, -1, -1):
            try:
                await self._once(step)
            except (ConnectionLost, ConnectFailed):
                # Nothing else gets better by asking again: a step that says no has its reason.
                if left == 0:
                    raise
                await nodes.on_every(self.ctx, connect.again)
            else:
                return

    async def _once(self, step: StepPlan) -> None:
        # The run's own limit is kept by the supervisor; a limit here would cut off its log.
        limit = None if step.name == "execute" else step.timeout_sec
        if limit is not None and step.name == "stage":
            limit += checkpoints.more_sec(self.ctx)
        timer = asyncio.timeout(limit)
        try:
            async with timer:
                await nodes.do(self.ctx, step.name, STEPS[step.name])
        except TimeoutError as error:
            what = f"Step {step.name} did not end within {limit or 0:g} s."
            if not timer.expired():
                what = f"In step {step.name} the pod did not answer in time. {error}".rstrip()
            raise StepFailed(what, cause="timeout") from error

    async def _undo(self) -> None:
        self.interrupts.undoing = True
        cause = cause_of(self.failure)
        self._state(RunState.UNDOING, cause)
        undoing = Undoing(self.ctx, self.interrupts)
        held = cause == "not_verified" and self.ctx.pod is not None
        # It may be what they could not be verified for that the pod is gone.
        if held and await release.may_hold_results(self.ctx):
            undoing.keep()
        if cause == "cancelled" and self.earlier is not None and self.ctx.transport is None:
            # Asked before the login: the job on the pod is to be ended all the same, and its log had.
            self.ctx.undo.push("login", lambda: reach(self.ctx, None))
        try:
            await undoing.unwind()
        except TakenOver as error:
            self.failure, self.given_up = error, True
            return
        # Money or a request may have ended the wait for an answer about the job's start.
        execute.settle_lost_start(self.ctx, f"the run was ended: {cause}")
        await self._settle_strays()
        await self._finally(kept=undoing.kept)

    async def _settle_strays(self) -> None:
        try:
            await settle_strays(self.ctx, last=True)
        except Exception as error:  # noqa: BLE001 - the end must be written down all the same
            self.ctx.warn("strays-unsettled", f"Stray pods could not be looked for: {error!r}")

    async def _finally(self, *, kept: bool) -> None:
        over = self.earlier is not None and self.earlier.over
        if not (over and self.state is RunState.LEAKED):  # what it left was told of
            await self._end_left_over(held=kept)
        leaked = bool(self.ctx.leaked())
        state = final_state(self.failure, leaked=leaked, kept=kept)
        if over and state is self.state:
            return  # it had come to this end before
        self._state(state, None if self.failure is None else cause_of(self.failure))

    async def _end_left_over(self, *, held: bool) -> None:
        try:
            await end_left_over(self.ctx, failed=self.failure is not None, held=held)
        except Exception as error:  # noqa: BLE001 - the end must be written down all the same
            self.ctx.warn("pods-unsettled", f"Pods that may be left could not be ended: {error!r}")

    def _state(self, state: RunState, cause: str | None) -> None:
        self.state = state
        self.ctx.note("state_changed", state=state.value, cause=cause)


def _host_problem(step: StepPlan, error: StepFailed | TransportError) -> HostUnusable | None:
    """Return what is wrong with the pod's host, None for what another host would not mend."""
    if step.name not in {"connect", "admit"} or isinstance(error, HostKeyChanged):
        return None
    if isinstance(error, HostUnusable):
        return error
    if isinstance(error, TransportError):
        return HostUnusable(error.message, cause="no_login")
    return HostUnusable(error.message, cause="timeout") if error.cause == "timeout" else None

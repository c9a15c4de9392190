"""Carries out the runs of a sweep: so many at a time, within one budget, each in its own run folder.

A run that finds no free GPU goes to the end of the queue and is begun again when another of the sweep
has ended, whose GPU is then free, or after a pause: so no run waits while a later one is served. The
sweep's cap is kept by what may still be spent: a run is begun only when its own cap, with the caps of
those under way and what was spent, fits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runpod_deploy.compiler.plan import PlanFile, PlanShard
from runpod_deploy.errors import AccountError, PlanRefused, RunpodDeployError, StockOut
from runpod_deploy.executor.interrupts import Interrupts, Request
from runpod_deploy.executor.ports import Clock
from runpod_deploy.record.journal import Journal
from runpod_deploy.record.run import RunState
from runpod_deploy.record.sweep import SweepRun, fold_sweep

STOCK_PAUSE_SEC = 60.0
STOCK_TRIES = 3
_GRAVEST = ("LEAKED", "UNKNOWN", "KEPT", "FAILED", "CANCELLED", "SKIPPED", "DETACHED", "WAITING")
_HOPELESS = (AccountError, PlanRefused)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardEnd:
    """How one try of a run ended.

    Attributes:
        cause: Why it did not succeed, as a word.
        failure: What it raised or was ended by; None for a success.
    """

    state: str
    cause: str | None
    cost_usd: float
    failure: BaseException | None = None


Opened = Callable[[Path], None]
Begin = Callable[[PlanFile, Interrupts, Opened], Awaitable[ShardEnd]]
"""Carries out one run, and tells of its run folder once it has one."""

Resume = Callable[[PlanFile, str, Interrupts, Opened], Awaitable[ShardEnd]]
"""Takes up a run again, by the run folder it has, relative to the project root."""


@dataclass(kw_only=True, slots=True)
class _UnderWay:
    plan_file: PlanFile
    interrupts: Interrupts
    task: asyncio.Task[ShardEnd]


@dataclass(kw_only=True)
class Sweep:
    """The runs of one sweep on their way.

    Attributes:
        shards: Those that are to be carried out, in order.
        all_names: The names of all runs of the sweep, also of those that are left out.
        begin: Carries one out from its start.
        resume: Takes one up again.
        cap_usd: What all together may cost; None: no limit of its own.
        cancelled: Whether it was asked to end before it was taken up here: what goes on is ended.
    """

    shards: Sequence[PlanFile]
    all_names: Sequence[str]
    begin: Begin
    resume: Resume
    journal: Journal
    clock: Clock
    project_root: Path
    max_parallel: int
    fail_fast: bool
    cap_usd: float | None
    interrupts: Interrupts
    cancelled: bool = False
    _waiting: deque[PlanFile] = field(default_factory=deque)
    _under_way: dict[str, _UnderWay] = field(default_factory=dict)
    _stock_since: dict[str, float] = field(default_factory=dict)
    _not_before: dict[str, float] = field(default_factory=dict)
    _stopped: str | None = None
    _request: Request | None = None
    _ending: bool = False

    async def run(self) -> SweepRun:
        """Carry every run out, or end early as asked; returns what became of each."""
        known = self._known()
        self._waiting = deque(one for one in self.shards if not known.shards[_name(one)].over)
        if self.cancelled:
            self._asked(Request.CANCEL)
        mail = asyncio.create_task(self.interrupts.next())
        try:
            while self._waiting or self._under_way:
                if self.interrupts.decided.is_set() and not mail.done():
                    self._begin_those_that_may(known=self._known())
                if not self._under_way and not self._waiting:
                    break
                await self._something(mail)
                if mail.done():
                    self._asked(mail.result())
                    mail = asyncio.create_task(self.interrupts.next())
                self._take_ends()
        finally:
            mail.cancel()
        return self._finish()

    def _known(self) -> SweepRun:
        return fold_sweep(self.journal.events, self.all_names)

    # beginning

    def _begin_those_that_may(self, known: SweepRun) -> None:
        passed: list[PlanFile] = []
        while self._waiting and len(self._under_way) < self.max_parallel:
            plan_file = self._waiting.popleft()
            name = _name(plan_file)
            unfinished = known.shards[name].unfinished
            if self._stopped and not unfinished:
                self._skip(name, self._stopped)
            elif self._request is Request.DETACH:
                passed.append(plan_file)
                break
            elif self._not_before.get(name, 0.0) > self.clock.monotonic():
                passed.append(plan_file)
            elif not unfinished and not self._affordable(plan_file, known):
                if not self._under_way:
                    self._skip(name, "sweep_cap")
                    continue
                passed.append(plan_file)
                break
            else:
                self._start(plan_file, unfinished)
        self._waiting.extendleft(reversed(passed))

    def _start(self, plan_file: PlanFile, run_dir: str | None) -> None:
        name = _name(plan_file)
        interrupts = Interrupts()
        if self._ending:
            interrupts.ask(Request.CANCEL, self.interrupts.signal)

        def opened(folder: Path) -> None:
            self._opened(name, folder)

        if run_dir is None:
            self.journal.write("shard_started", shard=name)
            work = self.begin(plan_file, interrupts, opened)
        else:
            self.journal.write("shard_opened", shard=name, run_dir=run_dir)
            work = self.resume(plan_file, run_dir, interrupts, opened)
        task = asyncio.ensure_future(work)
        self._under_way[name] = _UnderWay(plan_file=plan_file, interrupts=interrupts, task=task)

    def _opened(self, name: str, folder: Path) -> None:
        run_dir = folder.relative_to(self.project_root).as_posix()
        self.journal.write("shard_opened", shard=name, run_dir=run_dir)

    def _affordable(self, plan_file: PlanFile, known: SweepRun) -> bool:
        if self.cap_usd is None:
            return True
        may_cost = sum(one.plan_file.plan.budget.cost_cap_usd for one in self._under_way.values())
        # Cents of rounding must not keep the last run from beginning.
        return known.cost_usd + may_cost + plan_file.plan.budget.cost_cap_usd <= self.cap_usd + 1e-9

    # waiting

    async def _something(self, mail: asyncio.Task[Request]) -> None:
        """Wait until a run ends, a request comes, a question is answered, or a pause is over."""
        now = self.clock.monotonic()
        pauses = [
            self._not_before[_name(one)] - now
            for one in self._waiting
            if self._not_before.get(_name(one), 0.0) > now
        ]
        passing: list[asyncio.Task[Any]] = []
        if not self.interrupts.decided.is_set():
            passing.append(asyncio.create_task(self.interrupts.decided.wait()))
        elif pauses and len(self._under_way) < self.max_parallel:
            passing.append(asyncio.create_task(self.clock.sleep(max(0.0, min(pauses)))))
        waits: list[asyncio.Task[Any]] = [one.task for one in self._under_way.values()]
        await asyncio.wait([*waits, mail, *passing], return_when=asyncio.FIRST_COMPLETED)
        for one in passing:
            one.cancel()

    def _asked(self, request: Request) -> None:
        if request is Request.YIELD:
            # Another executor has the sweep: what it may take up is left to it.
            request = Request.DETACH
        self._request = request
        for one in self._under_way.values():
            one.interrupts.ask(request, self.interrupts.signal)
        if request is Request.DETACH:
            self._waiting.clear()
            return
        self.interrupts.undoing = True
        self._stop("cancelled")
        self._ending = True

    # ending

    def _take_ends(self) -> None:
        for name in [name for name, one in self._under_way.items() if one.task.done()]:
            one = self._under_way.pop(name)
            end = _end_of(one.task)
            self._take_end(name, one.plan_file, end)
            if not isinstance(end.failure, StockOut):
                # A GPU of ours is free again; a run that found none frees none.
                self._not_before.clear()

    def _take_end(self, name: str, plan_file: PlanFile, end: ShardEnd) -> None:
        found_none = isinstance(end.failure, StockOut) and self._again(name, plan_file)
        # What could not be left running was ended, and is begun anew when the sweep is resumed.
        put_off = self._request is Request.DETACH and end.state == RunState.CANCELLED
        again = found_none or put_off
        self.journal.write(
            "shard_ended",
            shard=name,
            state=end.state,
            cause=end.cause,
            error=None if end.failure is None else str(end.failure) or None,
            cost_usd=end.cost_usd,
            again=again,
        )
        if found_none:
            self._waiting.append(plan_file)
            self._not_before[name] = self.clock.monotonic() + STOCK_PAUSE_SEC
        elif put_off:
            return
        elif isinstance(end.failure, _HOPELESS):
            self._stop(end.cause or "refused")
        elif self.fail_fast and end.state not in {"SUCCEEDED", "DETACHED"}:
            self._end_all()

    def _again(self, name: str, plan_file: PlanFile) -> bool:
        """Return whether a run that found no GPU is worth another try."""
        if self._stopped or self._request is not None:
            return False
        now = self.clock.monotonic()
        since = self._stock_since.setdefault(name, now)
        tries = len(self._known().shards[name].tries)
        waited = now - since >= plan_file.plan.capacity.wait_minutes * 60
        return bool(self._under_way) or tries < STOCK_TRIES or not waited

    def _end_all(self) -> None:
        """Begin no further run, and end those that are under way."""
        self._stop("fail_fast")
        self._ending = True
        for one in self._under_way.values():
            one.interrupts.ask(Request.CANCEL)

    def _stop(self, why: str) -> None:
        """Begin no further run; one that was begun by an earlier executor is still seen to its end."""
        self._stopped = self._stopped or why
        known = self._known()
        waiting, self._waiting = self._waiting, deque()
        for one in waiting:
            if known.shards[_name(one)].unfinished:
                self._waiting.append(one)
            else:
                self._skip(_name(one), why)

    def _skip(self, name: str, why: str) -> None:
        self.journal.write("shard_skipped", shard=name, cause=why)

    def _finish(self) -> SweepRun:
        known = self._known()
        mine = [known.shards[_name(one)].state for one in self.shards]
        state = next((one for one in _GRAVEST if one in mine), "SUCCEEDED")
        if self._request is Request.DETACH and state in {"DETACHED", "WAITING"}:
            state = "DETACHED"
        state = {"SKIPPED": "FAILED", "WAITING": "DETACHED"}.get(state, state)
        cause = self._stopped or (None if state == "SUCCEEDED" else _cause(known, state))
        self.journal.write("sweep_ended", state=state, cause=cause)
        return self._known()


def parallel(shards: Sequence[PlanFile], wished: int | None) -> int:
    """Return how many runs may be under way: what the command line or the plan says, or all."""
    matrix = shard(shards[0])
    return min(wished or matrix.max_parallel or len(shards), len(shards))


def shard(plan_file: PlanFile) -> PlanShard:
    """Return which run of its sweep a plan is; ValueError when it is none."""
    if plan_file.plan.matrix is None:
        raise ValueError("not a run of a sweep")
    return plan_file.plan.matrix


def _name(plan_file: PlanFile) -> str:
    return shard(plan_file).name


def _end_of(task: asyncio.Task[ShardEnd]) -> ShardEnd:
    """Return how a run ended, also one that broke before it had a state of its own."""
    if task.cancelled():
        return ShardEnd(state=RunState.CANCELLED, cause="cancelled", cost_usd=0.0)
    error = task.exception()
    if error is None:
        return task.result()
    cause = type(error).__name__ if isinstance(error, RunpodDeployError) else "internal_error"
    return ShardEnd(state=RunState.FAILED, cause=cause, cost_usd=0.0, failure=error)


def _cause(known: SweepRun, state: str) -> str | None:
    causes: Mapping[str, None] = dict.fromkeys(
        one.reason for one in known.shards.values() if one.state == state and one.reason
    )
    return next(iter(causes), None)

"""How the runs of a sweep are begun, ended, put off and left out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from runpod_deploy.compiler.plan import PlanFile, PlanShard
from runpod_deploy.errors import AccountError, StockOut
from runpod_deploy.executor.interrupts import Interrupts, Request
from runpod_deploy.executor.sweep import Opened, ShardEnd, Sweep
from runpod_deploy.record.journal import Journal
from runpod_deploy.record.masking import Masker
from runpod_deploy.record.sweep import SweepRun, fold_sweep
from support.plans import plan_file
from support.virtual_time import FakeClock, run_virtual

SUCCESS = ShardEnd(state="SUCCEEDED", cause=None, cost_usd=1.0)
FAILURE = ShardEnd(state="FAILED", cause="exit_code", cost_usd=1.0, failure=RuntimeError())
NO_STOCK = ShardEnd(state="FAILED", cause="StockOut", cost_usd=0.0, failure=StockOut("none"))


def shards(count: int, cap_usd: float = 10.0) -> list[PlanFile]:
    """Return the plans of a sweep's runs, called `n=0` and so on."""
    whole = plan_file()
    made = []
    for number in range(count):
        matrix = PlanShard(
            name=f"n={number}",
            values={"n": str(number)},
            max_parallel=None,
            fail_fast=False,
            cap_usd=None,
        )
        budget = replace(whole.plan.budget, cost_cap_usd=cap_usd)
        made.append(replace(whole, plan=replace(whole.plan, matrix=matrix, budget=budget)))
    return made


class Runs:
    """Stands for the runs: each takes 100 s, or as long as the test says, and ends as the test says.

    Attributes:
        lasts: Names to seconds.
        begun: Names, in order.
        most: The largest number that was under way at a time.
    """

    def __init__(self, root: Path, ends: Callable[[str, int], ShardEnd | BaseException]) -> None:
        self.root = root
        self.ends = ends
        self.begun: list[str] = []
        self.resumed: list[str] = []
        self.most = 0
        self.lasts: dict[str, float] = {}
        self._now = 0

    async def begin(self, plan_file: PlanFile, interrupts: Interrupts, opened: Opened) -> ShardEnd:
        """Run for its time, unless asked to end."""
        matrix = plan_file.plan.matrix
        assert matrix is not None
        self.begun.append(matrix.name)
        opened(self.root / "artifacts/runpod" / f"r-{matrix.name}-{len(self.begun)}")
        return await self._work(matrix.name, interrupts)

    async def resume(
        self, plan_file: PlanFile, run_dir: str, interrupts: Interrupts, opened: Opened
    ) -> ShardEnd:
        """Go on as if it had just begun."""
        del opened
        matrix = plan_file.plan.matrix
        assert matrix is not None
        self.resumed.append(run_dir)
        return await self._work(matrix.name, interrupts)

    async def _work(self, name: str, interrupts: Interrupts) -> ShardEnd:
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            async with asyncio.timeout(self.lasts.get(name, 100)):
                asked = await interrupts.next()
                state = "DETACHED" if asked is Request.DETACH else "CANCELLED"
                return ShardEnd(
                    state=state, cause="asked", cost_usd=0.5, failure=asyncio.CancelledError()
                )
        except TimeoutError:
            end = self.ends(name, self.begun.count(name))
            if isinstance(end, BaseException):
                raise end from None
            return end
        finally:
            self._now -= 1


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Return the journal of a sweep."""
    return Journal(tmp_path, masker=Masker([]), now=lambda: 1_800_000_000.0)


def sweep(
    journal: Journal,
    runs: Runs,
    plans: list[PlanFile],
    *,
    max_parallel: int = 100,
    fail_fast: bool = False,
    cap_usd: float | None = None,
    interrupts: Interrupts | None = None,
    cancelled: bool = False,
) -> Sweep:
    """Return a sweep over `plans`."""
    return Sweep(
        shards=plans,
        all_names=[one.plan.matrix.name for one in plans if one.plan.matrix],
        begin=runs.begin,
        resume=runs.resume,
        journal=journal,
        clock=FakeClock(),
        project_root=runs.root,
        max_parallel=max_parallel,
        fail_fast=fail_fast,
        cap_usd=cap_usd,
        interrupts=interrupts or Interrupts(),
        cancelled=cancelled,
    )


def states(run: SweepRun) -> list[str]:
    """Return the state of each run, in order."""
    return [one.state for one in run.shards.values()]


def test_no_more_than_asked_are_under_way(journal: Journal, tmp_path: Path) -> None:
    """Ten runs, three at a time, end in order and all succeed."""
    runs = Runs(tmp_path, lambda _name, _try: SUCCESS)
    run = run_virtual(sweep(journal, runs, shards(10), max_parallel=3).run())
    assert runs.most == 3
    assert runs.begun == [f"n={number}" for number in range(10)]
    assert run.state == "SUCCEEDED"
    assert run.cost_usd == pytest.approx(10.0)


def test_a_failure_leaves_the_others_alone(journal: Journal, tmp_path: Path) -> None:
    """Without fail_fast every run is carried out, and the sweep has failed."""
    runs = Runs(tmp_path, lambda name, _try: FAILURE if name == "n=1" else SUCCESS)
    run = run_virtual(sweep(journal, runs, shards(4), max_parallel=2).run())
    assert states(run) == ["SUCCEEDED", "FAILED", "SUCCEEDED", "SUCCEEDED"]
    assert (run.state, run.cause) == ("FAILED", "exit_code")


def test_fail_fast_ends_what_is_under_way(journal: Journal, tmp_path: Path) -> None:
    """With fail_fast the first failure cancels the runs under way, and no other is begun."""

    def ends(name: str, _try: int) -> ShardEnd:
        return FAILURE if name == "n=0" else SUCCESS

    runs = Runs(tmp_path, ends)
    plans = shards(4)
    run = run_virtual(sweep(journal, runs, plans, max_parallel=1, fail_fast=True).run())
    assert states(run) == ["FAILED", "SKIPPED", "SKIPPED", "SKIPPED"]
    assert run.cause == "fail_fast"


def test_stock_out_goes_to_the_end_of_the_queue(journal: Journal, tmp_path: Path) -> None:
    """A run without a GPU is tried again after the others, in a run folder of its own."""

    def ends(name: str, number: int) -> ShardEnd:
        return NO_STOCK if name == "n=0" and number == 1 else SUCCESS

    runs = Runs(tmp_path, ends)
    run = run_virtual(sweep(journal, runs, shards(3), max_parallel=1).run())
    assert runs.begun == ["n=0", "n=1", "n=2", "n=0"]
    assert run.state == "SUCCEEDED"
    assert [one.state for one in run.shards["n=0"].tries] == ["FAILED", "SUCCEEDED"]


def test_runs_without_a_gpu_do_not_chase_each_other(journal: Journal, tmp_path: Path) -> None:
    """One that found no GPU frees none for another: while a third runs, each asks once a minute."""
    runs = Runs(tmp_path, lambda name, _try: SUCCESS if name == "n=2" else NO_STOCK)
    runs.lasts = {"n=0": 1.0, "n=1": 1.0, "n=2": 600.0}
    run = run_virtual(sweep(journal, runs, shards(3)).run())
    assert states(run) == ["FAILED", "FAILED", "SUCCEEDED"]
    assert 9 <= runs.begun.count("n=0") <= 12
    assert 9 <= runs.begun.count("n=1") <= 12


def test_a_run_that_never_finds_a_gpu_is_given_up(journal: Journal, tmp_path: Path) -> None:
    """When nothing of the sweep is under way any more, three tries are enough."""
    runs = Runs(tmp_path, lambda name, _try: NO_STOCK if name == "n=0" else SUCCESS)
    run = run_virtual(sweep(journal, runs, shards(2)).run())
    assert states(run) == ["FAILED", "SUCCEEDED"]
    assert run.shards["n=0"].reason == "StockOut"
    assert len(run.shards["n=0"].tries) == 3


def test_the_cap_is_kept_by_what_may_be_spent(journal: Journal, tmp_path: Path) -> None:
    """With 10 USD for each run and 25 for all, two are under way, and those that do not fit wait."""
    runs = Runs(tmp_path, lambda _name, _try: SUCCESS)
    run = run_virtual(sweep(journal, runs, shards(10), cap_usd=25.0).run())
    assert runs.most == 2
    assert run.count("SUCCEEDED") == 10


def test_what_the_cap_cannot_pay_is_skipped(journal: Journal, tmp_path: Path) -> None:
    """A run whose own cap does not fit any more is left out, and the sweep says why."""
    costly = replace(SUCCESS, cost_usd=10.0)
    runs = Runs(tmp_path, lambda _name, _try: costly)
    run = run_virtual(sweep(journal, runs, shards(4), cap_usd=25.0).run())
    assert states(run) == ["SUCCEEDED", "SUCCEEDED", "SKIPPED", "SKIPPED"]
    assert (run.state, run.shards["n=3"].reason) == ("FAILED", "sweep_cap")


def test_a_refused_key_ends_the_sweep(journal: Journal, tmp_path: Path) -> None:
    """What no further run could do better is not tried once more."""
    runs = Runs(tmp_path, lambda _name, _try: AccountError("no"))
    run = run_virtual(sweep(journal, runs, shards(5), max_parallel=1).run())
    assert states(run) == ["FAILED", *["SKIPPED"] * 4]
    assert run.cause == "AccountError"


def test_cancel_reaches_every_run(journal: Journal, tmp_path: Path) -> None:
    """Cancelling ends those under way and leaves the others out."""
    runs, interrupts = Runs(tmp_path, lambda _name, _try: SUCCESS), Interrupts()
    interrupts.ask(Request.CANCEL, "SIGTERM")
    work = sweep(journal, runs, shards(4), max_parallel=2, interrupts=interrupts)
    run = run_virtual(work.run())
    assert states(run) == ["CANCELLED", "CANCELLED", "SKIPPED", "SKIPPED"]
    assert run.state == "CANCELLED"


def test_detached_runs_are_taken_up_again(journal: Journal, tmp_path: Path) -> None:
    """After a detach the next process resumes those under way and begins the rest."""
    runs, interrupts = Runs(tmp_path, lambda _name, _try: SUCCESS), Interrupts()
    interrupts.ask(Request.DETACH)
    plans = shards(4)
    run = run_virtual(sweep(journal, runs, plans, max_parallel=2, interrupts=interrupts).run())
    assert states(run) == ["DETACHED", "DETACHED", "WAITING", "WAITING"]
    assert run.state == "DETACHED"
    run = run_virtual(sweep(journal, runs, plans, max_parallel=2).run())
    assert runs.resumed == ["artifacts/runpod/r-n=0-1", "artifacts/runpod/r-n=1-2"]
    assert runs.begun == ["n=0", "n=1", "n=2", "n=3"]
    assert run.state == "SUCCEEDED"


def test_a_killed_process_leaves_what_can_be_resumed(journal: Journal, tmp_path: Path) -> None:
    """Whatever line the journal ends with, each run is resumed or begun, and none twice."""
    plans = shards(2)
    runs = Runs(tmp_path, lambda _name, _try: SUCCESS)
    run_virtual(sweep(journal, runs, plans, max_parallel=1).run())
    whole = journal.events
    for length in range(len(whole)):
        folder = tmp_path / f"cut-{length}"
        folder.mkdir()
        cut = Journal(folder, masker=Masker([]), now=lambda: 1_800_000_000.0)
        for event in whole[:length]:
            cut.write(event.event, **event.fields)
        again = Runs(tmp_path, lambda _name, _try: SUCCESS)
        run = run_virtual(sweep(cut, again, plans, max_parallel=1).run())
        assert states(run) == ["SUCCEEDED", "SUCCEEDED"], length
        opened = [event for event in cut.events if event.event == "shard_opened"]
        # Said again, in the same folder, of one that is taken up again.
        assert len({event["run_dir"] for event in opened}) == 2, length


def test_events_of_others_change_nothing(journal: Journal) -> None:
    """A shard that the plan does not have, and an event that is not of sweeps, are passed over."""
    journal.write("shard_started", shard="other")
    journal.write("warning", code="x", message="y")
    assert states(fold_sweep(journal.events, ["n=0"])) == ["WAITING"]


def test_nothing_begins_while_a_person_is_asked(journal: Journal, tmp_path: Path) -> None:
    """A run that ends while the question is open makes room for none; after `go on` the next begins."""
    interrupts = Interrupts()
    runs = Runs(tmp_path, lambda _name, _try: SUCCESS)
    seen: list[int] = []

    async def scenario() -> SweepRun:
        whole = sweep(journal, runs, shards(3), max_parallel=1, interrupts=interrupts)
        task = asyncio.create_task(whole.run())
        await asyncio.sleep(50)
        interrupts.decided.clear()
        await asyncio.sleep(1000)
        seen.append(len(runs.begun))
        interrupts.decided.set()
        return await task

    run = run_virtual(scenario())
    assert seen == [1]
    assert states(run) == ["SUCCEEDED"] * 3


def test_detaching_from_the_question_begins_nothing(journal: Journal, tmp_path: Path) -> None:
    """The answer `d` comes with the end of the question, and still no run begins after it."""
    interrupts = Interrupts()
    runs = Runs(tmp_path, lambda _name, _try: SUCCESS)

    async def scenario() -> SweepRun:
        whole = sweep(journal, runs, shards(3), max_parallel=1, interrupts=interrupts)
        task = asyncio.create_task(whole.run())
        await asyncio.sleep(50)
        interrupts.decided.clear()
        await asyncio.sleep(100)
        interrupts.ask(Request.DETACH)
        interrupts.decided.set()
        return await task

    run = run_virtual(scenario())
    assert runs.begun == ["n=0"]
    assert states(run) == ["SUCCEEDED", "WAITING", "WAITING"]


def test_a_run_taken_up_again_works(journal: Journal, tmp_path: Path) -> None:
    """While a run that was left alone is carried on, the sweep's journal says that it works."""
    journal.write("shard_started", shard="n=0")
    journal.write("shard_opened", shard="n=0", run_dir="artifacts/runpod/r")
    journal.write(
        "shard_ended",
        shard="n=0",
        state="DETACHED",
        cause="asked",
        error=None,
        cost_usd=0.5,
        again=False,
    )
    seen: list[str] = []

    def ends(_name: str, _try: int) -> ShardEnd:
        seen.extend(states(fold_sweep(journal.events, ["n=0"])))
        return SUCCESS

    runs = Runs(tmp_path, ends)
    run = run_virtual(sweep(journal, runs, shards(1)).run())
    assert (seen, runs.resumed) == (["WORKING"], ["artifacts/runpod/r"])
    assert (run.state, run.cost_usd) == ("SUCCEEDED", 1.0)


def test_a_sweep_that_is_cancelled_from_elsewhere_ends_what_was_begun(
    journal: Journal, tmp_path: Path
) -> None:
    """Runs of an earlier executor are taken up to be ended, however many go at a time; no other begins."""
    plans = shards(3)
    interrupts = Interrupts()
    interrupts.ask(Request.DETACH)
    runs = Runs(tmp_path, lambda _name, _try: SUCCESS)
    run_virtual(sweep(journal, runs, plans, max_parallel=2, interrupts=interrupts).run())
    again = Runs(tmp_path, lambda _name, _try: SUCCESS)
    ended = sweep(journal, again, plans, max_parallel=1, cancelled=True)
    run = run_virtual(ended.run())
    assert states(run) == ["CANCELLED", "CANCELLED", "SKIPPED"]
    assert (len(again.resumed), again.begun) == (2, [])
    assert ended.interrupts.undoing


def test_who_lost_the_sweep_leaves_its_runs(journal: Journal, tmp_path: Path) -> None:
    """Another executor may take up what goes on; nothing is skipped or cancelled in its name."""
    interrupts = Interrupts()
    interrupts.ask(Request.YIELD)
    runs = Runs(tmp_path, lambda _name, _try: SUCCESS)
    run = run_virtual(sweep(journal, runs, shards(2), max_parallel=1, interrupts=interrupts).run())
    assert states(run) == ["DETACHED", "WAITING"]

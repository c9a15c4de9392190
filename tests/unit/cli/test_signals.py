"""What signals mean to a run, with and without somebody to ask."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from runpod_deploy.cli.signals import SignalDesk
from runpod_deploy.executor.interrupts import Interrupts, Request


class Person:
    """Answers when told to."""

    def __init__(self) -> None:
        self.asked: list[bool] = []
        self.answer: asyncio.Future[str] | None = None

    async def __call__(self, can_detach: bool) -> str:
        """Wait for the answer."""
        self.asked.append(can_detach)
        self.answer = asyncio.get_running_loop().create_future()
        return await self.answer

    async def says(self, answer: str) -> None:
        """Give the answer and let it arrive."""
        assert self.answer is not None
        self.answer.set_result(answer)
        await settle()


async def settle() -> None:
    """Let everything happen that can."""
    for _ in range(5):
        await asyncio.sleep(0)


def requests(interrupts: Interrupts) -> list[Request]:
    """Return what was asked of the executor so far."""
    queue = interrupts._queue
    return [queue.get_nowait() for _ in range(queue.qsize())]


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario to its end."""
    asyncio.run(scenario)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_without_anybody_the_first_cancels_and_the_next_hurries(name: str) -> None:
    """CI sends a signal and sends it again; the name of the first is kept."""

    async def scenario() -> None:
        interrupts = Interrupts()
        desk = SignalDesk(interrupts, None)
        desk.received(name)
        desk.received("SIGTERM")
        assert [Request.CANCEL, Request.HURRY] == requests(interrupts)
        assert name == interrupts.signal

    run(scenario())


@pytest.mark.parametrize(("job_runs", "asked"), [(True, Request.DETACH), (False, Request.CANCEL)])
def test_a_lost_terminal_leaves_a_running_job_alone(job_runs: bool, asked: Request) -> None:
    """SIGHUP detaches where there is a job, and cancels where there is none."""

    async def scenario() -> None:
        interrupts = Interrupts()
        interrupts.can_detach = job_runs
        SignalDesk(interrupts, None).received("SIGHUP")
        assert [asked] == requests(interrupts)

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "asked"), [("c", [Request.CANCEL]), ("d", [Request.DETACH]), ("g", [])]
)
def test_at_a_terminal_the_answer_decides(answer: str, asked: list[Request]) -> None:
    """Ctrl-C asks; until the answer nothing is asked of the executor."""

    async def scenario() -> None:
        interrupts, person = Interrupts(), Person()
        interrupts.can_detach = True
        desk = SignalDesk(interrupts, person)
        desk.received("SIGINT")
        await settle()
        assert [] == requests(interrupts)
        await person.says(answer)
        assert asked == requests(interrupts)

    run(scenario())


def test_going_on_asks_again_at_the_next_one() -> None:
    """After `g` a further Ctrl-C opens a new question."""

    async def scenario() -> None:
        interrupts, person = Interrupts(), Person()
        desk = SignalDesk(interrupts, person)
        for _ in range(2):
            desk.received("SIGINT")
            await settle()
            await person.says("g")
        assert [False, False] == person.asked
        assert [] == requests(interrupts)

    run(scenario())


def test_a_second_one_while_the_question_is_open_cancels() -> None:
    """Whoever presses Ctrl-C twice means it; the question is closed."""

    async def scenario() -> None:
        interrupts, person = Interrupts(), Person()
        desk = SignalDesk(interrupts, person)
        desk.received("SIGINT")
        await settle()
        desk.received("SIGINT")
        await settle()
        assert [Request.CANCEL] == requests(interrupts)
        assert person.answer is not None
        assert person.answer.cancelled()

    run(scenario())


def test_a_terminate_needs_no_answer() -> None:
    """SIGTERM cancels at once, also with a terminal."""

    async def scenario() -> None:
        interrupts, person = Interrupts(), Person()
        SignalDesk(interrupts, person).received("SIGTERM")
        assert ([Request.CANCEL], []) == (requests(interrupts), person.asked)

    run(scenario())


def test_detaching_from_a_job_that_has_ended_does_nothing() -> None:
    """The answer may come after the end of the job: the run then goes on to its results."""

    async def scenario() -> None:
        interrupts, person = Interrupts(), Person()
        interrupts.can_detach = True
        desk = SignalDesk(interrupts, person)
        desk.received("SIGINT")
        await settle()
        interrupts.can_detach = False
        await person.says("d")
        assert [] == requests(interrupts)

    run(scenario())


def test_while_undoing_every_signal_hurries() -> None:
    """Nobody is asked any more once the run is being cleaned up."""

    async def scenario() -> None:
        interrupts, person = Interrupts(), Person()
        interrupts.undoing = True
        desk = SignalDesk(interrupts, person)
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            desk.received(name)
        assert [Request.HURRY] * 3 == requests(interrupts)
        assert [] == person.asked

    run(scenario())


def test_a_question_is_known_to_be_open() -> None:
    """Whoever would begin something new waits for the answer, and has it when the question is over."""

    async def scenario() -> None:
        interrupts, person = Interrupts(), Person()
        interrupts.can_detach = True
        desk = SignalDesk(interrupts, person)
        desk.received("SIGINT")
        await settle()
        assert not interrupts.decided.is_set()
        await person.says("d")
        assert interrupts.decided.is_set()
        assert [Request.DETACH] == requests(interrupts)

    run(scenario())

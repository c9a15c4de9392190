"""What a person is asked when Ctrl-C comes, and how the answer is read."""

import asyncio
import os
from collections.abc import Sequence
from io import StringIO
from types import SimpleNamespace

import pytest

from runpod_deploy.cli import signals
from runpod_deploy.cli.questions import InterruptQuestion, says_yes
from runpod_deploy.cli.signals import read_line
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.views.watch import Watch
from runpod_deploy.record.events import Event


class Picture:
    """A view that only remembers whether it is on the screen."""

    def __init__(self) -> None:
        self.moves: list[str] = []

    def pause(self) -> None:
        """Leave the screen."""
        self.moves.append("pause")

    def resume(self) -> None:
        """Come back."""
        self.moves.append("resume")


@pytest.fixture
def ask(
    terminal: Terminal, watch: Watch, events: Sequence[Event], monkeypatch: pytest.MonkeyPatch
) -> SimpleNamespace:
    """A question about a run with a pod; `answers` are typed one after the other."""
    for event in events[:12]:
        watch.event(event)
    picture = Picture()
    typed: list[str] = []

    async def typing(_: int) -> str:
        return typed.pop(0)

    monkeypatch.setattr(signals, "read_line", typing)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(fileno=lambda: 0))
    question = InterruptQuestion(terminal, picture, watch)

    def put(*answers: str, can_detach: bool) -> str:
        typed[:] = answers
        return asyncio.run(question(can_detach))

    return SimpleNamespace(put=put, picture=picture, terminal=terminal)


def said(ask: SimpleNamespace) -> str:
    """Return what was written to stderr."""
    stream = ask.terminal.stderr
    assert isinstance(stream, StringIO)
    return stream.getvalue()


def test_detaching_is_explained_before_it_is_chosen(ask: SimpleNamespace) -> None:
    """The pod, the most it can cost, and how to come back stand in the question."""
    assert "d" == ask.put("d", can_detach=True)
    assert "pod k3j5h2" in said(ask)
    assert "at most $0.50" in said(ask)
    assert "runpod-deploy attach last" in said(ask)
    assert ["pause", "resume"] == ask.picture.moves


def test_without_a_job_detaching_is_not_offered(ask: SimpleNamespace) -> None:
    """Before and after the job only cancel and go on are there; `d` is asked again."""
    assert "c" == ask.put("d", "C", can_detach=False)
    assert "detach" not in said(ask)
    assert 2 == said(ask).count("[c/g]")


@pytest.mark.parametrize(("typed", "answer"), [("go", "g"), ("", "g"), ("Detach", "d")])
def test_the_first_letter_counts(ask: SimpleNamespace, typed: str, answer: str) -> None:
    """Words and an end of input are answers too; nothing is cancelled by accident."""
    assert answer == ask.put(typed, can_detach=True)


def test_a_question_that_is_withdrawn_gives_the_screen_back(
    ask: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second Ctrl-C cancels the question; the picture comes back all the same."""

    async def never(_: int) -> str:
        raise asyncio.CancelledError

    monkeypatch.setattr(signals, "read_line", never)
    with pytest.raises(asyncio.CancelledError):
        ask.put(can_detach=True)
    assert ["pause", "resume"] == ask.picture.moves


def test_a_line_is_read_without_blocking() -> None:
    """Other work goes on until the line is there."""

    async def scenario() -> tuple[str, str]:
        read, write = os.pipe()
        try:
            asyncio.get_running_loop().call_later(0, os.write, write, b" d \n")
            first = await read_line(read)
            os.close(write)
            return first, await read_line(read)
        finally:
            os.close(read)

    assert ("d", "") == asyncio.run(scenario())


def test_the_question_breaks_between_words(ask: SimpleNamespace) -> None:
    """At 80 columns no line is longer, and the command to come back stands on a line of its own."""
    ask.put("g", can_detach=True)
    lines = said(ask).splitlines()
    assert max(map(len, lines)) <= 80
    assert "     runpod-deploy attach last" in lines


def test_an_interrupt_at_a_yes_or_no_ends_its_line(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said next does not stand behind the question."""

    def interrupted() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin", SimpleNamespace(readline=interrupted))
    with pytest.raises(KeyboardInterrupt):
        says_yes("Apply this plan?", terminal)
    assert isinstance(terminal.stderr, StringIO)
    assert terminal.stderr.getvalue() == "Apply this plan? [y/N] \n"

"""A reader that does not read: nobody waits for it but the thread that writes to it."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from runpod_deploy.cli.style import Style
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.unhurried import MOST_CHARACTERS, behind, unhurried

LINE = "x" * 99 + "\n"


class Pager(io.StringIO):
    """Takes nothing until somebody scrolls."""

    def __init__(self) -> None:
        super().__init__()
        self.scrolled = threading.Event()
        self.began = threading.Event()

    def write(self, text: str) -> int:
        """Wait for whoever reads."""
        self.began.set()
        assert self.scrolled.wait(30)
        return super().write(text)


class Gone(io.StringIO):
    """A reader that went away."""

    def write(self, text: str) -> int:
        """Break."""
        raise BrokenPipeError(32, f"{len(text)} characters for nobody")


def terminal(stdout: io.StringIO, stderr: io.StringIO | None = None) -> Terminal:
    """Return a terminal over streams of a test."""
    plain = Style(color=False)
    return Terminal(stdout=stdout, stderr=stderr or io.StringIO(), out=plain, err=plain)


def print_for_ever(patient: Terminal) -> None:
    """Write lines until it breaks, which is soon."""
    for _ in range(1_000_000):
        patient.stream("again")


def test_whoever_writes_does_not_wait_and_the_rest_is_told_as_a_number() -> None:
    """Far more than a pager takes is written at once; what is kept is bounded, and the rest counted."""
    pager = Pager()
    with unhurried(terminal(pager)) as patient:
        patient.print("first")
        assert pager.began.wait(30)
        for _ in range(30_000):
            patient.stdout.write(LINE)
        assert behind(patient.stdout)
        pager.scrolled.set()
    text = pager.getvalue()
    shown = text.count(LINE)

    assert text.startswith("first\n" + LINE)
    assert f"… {30_000 - shown:,} lines are not shown here" in text.splitlines()[-1]
    assert MOST_CHARACTERS <= len(text) <= MOST_CHARACTERS + 500


def test_a_program_that_reads_misses_nothing() -> None:
    """JSON lines are all kept, however long their reader takes."""
    pager = Pager()
    with unhurried(terminal(pager), lossless=True) as patient:
        for _ in range(30_000):
            patient.stdout.write(LINE)
        pager.scrolled.set()

    assert pager.getvalue() == LINE * 30_000


def test_words_stay_in_the_order_in_which_they_were_said() -> None:
    """Output and errors of one terminal, which is one stream, are not mixed up."""
    both = io.StringIO()
    with unhurried(terminal(both, both)) as patient:
        for number in range(200):
            (patient.print if number % 3 else patient.alert)(str(number))
        question = patient.stderr
        question.write("[d/c/g] ")

    assert both.getvalue() == "".join(f"{number}\n" for number in range(200)) + "[d/c/g] "


def test_a_reader_that_is_gone_is_told_to_whoever_writes_next() -> None:
    """The view hears of the broken pipe, and the other stream goes on."""
    errors = io.StringIO()
    with unhurried(terminal(Gone(), errors)) as patient:
        patient.print("to nobody")
        with pytest.raises(BrokenPipeError):
            print_for_ever(patient)
        patient.alert("still here")

    assert errors.getvalue() == "still here\n"


def test_views_find_the_stream_that_they_know() -> None:
    """Encoding and kind are those of the real stream; one that is not ours is never behind."""
    real = sys.__stdout__
    assert real is not None
    plain = Style(color=False)
    with unhurried(Terminal(stdout=real, stderr=real, out=plain, err=plain)) as one:
        assert one.stdout.encoding == real.encoding
        assert (one.stdout.isatty(), one.stdout.writable()) == (real.isatty(), True)
    assert not behind(real)

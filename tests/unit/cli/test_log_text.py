"""A program's output, cut into lines fit for a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpod_deploy.cli.views.log_text import LONGEST, LogText


def test_lines_come_when_they_are_complete() -> None:
    """What has no line break yet is held, and shown as the partial line."""
    log = LogText()
    assert ["one"] == log.feed(b"one\ntw")
    assert "tw" == log.partial
    assert ["two"] == log.feed(b"o\n")
    assert [] == log.flush()


def test_a_character_cut_in_two_is_whole_again() -> None:
    """UTF-8 is decoded across pieces; what is no UTF-8 shows as such."""
    log = LogText()
    pieces = [log.feed(bytes([byte])) for byte in "é\n".encode()]
    assert [[], [], ["é"]] == pieces
    assert ["\ufffd"] == log.feed(b"\xff\n")


def test_a_progress_bar_shows_its_last_form() -> None:
    """Of a line that draws itself again after carriage returns only the end is kept."""
    assert ["100%"] == LogText().feed(b"10%\r50%\r100%\r\n")


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x1b[31mred\x1b[0m",
        b"\x1b]0;title\x07red",
        b"\x1b]8;;http://x\x1b\\red\x1b]8;;\x1b\\",
        b"\x1b[2J\x1b[1;1Hred",
        b"\xc2\x9b31mred",
        b"\x1bcred",
    ],
)
def test_control_sequences_are_taken_out(hostile: bytes) -> None:
    """Colours, titles, links, clears and resets leave the text and nothing else."""
    assert ["red"] == LogText().feed(hostile + b"\n")


def test_step_markers_are_told_elsewhere() -> None:
    """Lines that only carry a step marker do not show; they come as events."""
    log = b"__RUNPOD_STEP_START__train__\nx\n__RUNPOD_STEP_DONE__train__\n"
    assert ["x"] == LogText().feed(log)


def test_a_line_without_end_fills_no_memory() -> None:
    """However much comes without a line break, only its end is held."""
    log = LogText()
    for _ in range(100):
        log.feed(b"x" * 10_000)
    assert LONGEST == len(log.partial)
    assert len(log._rest) < 10 * LONGEST


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_no_bytes_whatever_reach_the_terminal_as_controls(pieces: list[bytes]) -> None:
    """Whatever a pod prints, each line is printable."""
    log = LogText()
    lines = [line for piece in pieces for line in log.feed(piece)] + log.flush()
    assert [] == [line for line in lines if not line.isprintable() and "\ufffd" not in line]

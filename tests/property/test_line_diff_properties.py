"""The line diff, over drawn texts: it says everything, and nothing that is not so."""

import time

from hypothesis import given
from hypothesis import strategies as st

from runpod_deploy.compiler.line_diff import changed_blocks, lines_of, unified

LINES = st.lists(st.sampled_from(["a", "b", "c", "", "x\r", "}", "long line"]), max_size=40)


def text_of(lines: list[str], *, ends: bool) -> str:
    """Return a text of `lines`."""
    return "\n".join(lines) + ("\n" if ends and lines else "")


@given(LINES, LINES)
def test_blocks_lead_from_one_to_the_other(before: list[str], after: list[str]) -> None:
    """What lies between the blocks is equal, and each block changes something and is apart."""
    at, other = 0, 0
    for block in changed_blocks(before, after):
        assert before[at : block.a] == after[other : block.c]
        assert block.a < block.b or block.c < block.d
        assert (at, other) == (0, 0) or block.a > at
        at, other = block.b, block.d
    assert before[at:] == after[other:]


@given(LINES, LINES, st.booleans(), st.booleans())
def test_nothing_is_said_about_equal_texts_only(
    before: list[str], after: list[str], before_ends: bool, after_ends: bool
) -> None:
    """A diff is empty exactly when the texts are the same, line breaks included."""
    old, new = text_of(before, ends=before_ends), text_of(after, ends=after_ends)
    assert (old == new) == (not list(unified(old, new)))


def test_large_texts_take_seconds_not_minutes() -> None:
    """Two texts of fifty thousand lines each, alike or not, are compared in linear-like time."""
    old = [f"line {number % 700}" for number in range(50_000)]
    new = [f"other {number % 900}" for number in range(50_000)]
    began = time.process_time()
    changed_blocks(old, new)
    changed_blocks(old, [*old[:20_000], "one more", *old[20_000:]])
    assert time.process_time() - began < 20


def test_lines_keep_their_ends() -> None:
    """Only the line feed ends a line: other breaks are part of the text."""
    assert ["a\n", "b\r\n", "\u2028c"] == lines_of("a\nb\r\n\u2028c")

"""Hostile text in Markdown: shown, and without effect."""

import re

import pytest

from runpod_deploy.cli.markdown import cell, code, fence, html_code

HOSTILE = (
    "@everyone",
    "<script>alert(1)</script>",
    "`` `code` ``",
    "a|b @team <img src=x>",
    "</details>",
    "[x](javascript:1)",
    "\u202egpj.exe",
    "\x1b]0;t\x07",
    "a\nb\r\n| c |",
    "\\`|",
    "```",
    "#1 GH-2 www.evil.example a@b.example|",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_code_span_cannot_be_left(text: str) -> None:
    """Its fence is longer than any run of backticks inside, and all is in one line."""
    shown = code(text)
    marks = re.match(r"`+", shown)
    assert marks is not None
    inner = shown[len(marks[0]) : -len(marks[0])]
    assert marks[0] not in inner
    assert shown.isprintable()


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_stays_in_its_table(text: str) -> None:
    """No bare bar ends the cell, and with one every mark is an entity."""
    shown = cell(text)
    assert "|" not in shown
    assert shown.isprintable()
    if shown.startswith("<code>"):
        assert not re.search(r"[@<>`\[\]*_|]", re.sub(r"</?code>|<!-- -->|&#\d+;", "", shown))


def test_an_address_does_not_become_a_link() -> None:
    """Its halves are kept apart, since addresses are looked for after entities are read."""
    assert "<code>a&#64;<!-- -->b&#46;c</code>" == html_code("a@b.c")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_code_block_cannot_be_left(text: str) -> None:
    """Whatever the lines hold, none of them closes the block."""
    opening, shown, closing = fence(["```", "````` x", *text.split("\n")], "diff")
    assert f"{closing}diff" == opening
    assert all(closing not in line and line.replace("\t", "").isprintable() for line in shown)


def test_nothing_and_too_much_are_told() -> None:
    """An empty text says so, a long one is cut and counted."""
    assert "*(empty)*" == code("")
    assert f"`{'a' * 300}` … (1,700 more characters)" == code("a" * 2000)
    assert fence(["b" * 5000])[1][0].endswith(" … (4,000 more characters)")

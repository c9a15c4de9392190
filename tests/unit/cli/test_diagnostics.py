"""Diagnostics on the terminal show the place, the line and a caret, whatever the line holds."""

import pytest

from runpod_deploy.cli.diagnostics import cells, render_json, render_text, visible
from runpod_deploy.errors import Diagnostic, Position, Severity


def diagnostic(
    line: str = "key: value",
    column: int = 1,
    *,
    severity: Severity = Severity.ERROR,
    summary: str = "Something",
    detail: str = "It is wrong.",
    suggestion: str | None = None,
    help: str | None = None,
) -> Diagnostic:
    """Return a diagnostic at a column of line 7."""
    return Diagnostic(
        severity=severity,
        code="some-thing",
        summary=summary,
        detail=detail,
        where=Position(file="job.yaml", line=7, column=column),
        source_line=line,
        suggestion=suggestion,
        help=help,
    )


def view(line: str, column: int) -> tuple[str, int]:
    """Return the source line as shown, and over how many cells of it the caret stands."""
    _, _, _, source, caret, *_ = render_text([diagnostic(line, column)], color=False).split("\n")
    assert source.startswith("7 | ")
    return source[4:], cells(caret) - 5


def test_the_whole_form() -> None:
    """Severity and summary, the place, the line with its caret, detail, near miss, help, count."""
    one = diagnostic(
        "  gpu_ordr: 1",
        3,
        detail="`pod` has no such key, and this sentence goes on until it has to be broken.",
        suggestion="gpu_order",
        help="To see all keys, run:\n\n  runpod-deploy schema job",
    )

    assert (
        render_text([one], color=False)
        == """\
error: Something
 --> job.yaml:7:3
  |
7 |   gpu_ordr: 1
  |   ^
  `pod` has no such key, and this sentence goes on until it has to be broken.
  Did you mean `gpu_order`?
  help: To see all keys, run:

    runpod-deploy schema job

1 error.
"""
    )


def test_no_diagnostics_are_no_text() -> None:
    """Nothing to say is said by nothing."""
    assert "" == render_text([], color=True)
    assert [] == render_json([])


def test_without_a_place_there_is_no_arrow() -> None:
    """A finding that is not in a file shows its words alone."""
    one = Diagnostic(severity=Severity.WARNING, code="c", summary="S", detail="D.")

    assert "warning[c]: S\n  D.\n\n1 warning.\n" == render_text([one], color=False)
    assert render_json([one])[0]["file"] is None


def test_order_and_count() -> None:
    """Findings come by place, errors first at each, and are counted by severity."""
    note = diagnostic(severity=Severity.NOTE, summary="n")
    warning = diagnostic(severity=Severity.WARNING, summary="w")
    error = diagnostic(summary="e")
    later = diagnostic(column=4, summary="l")

    assert ["e", "w", "n", "l"] == [
        one["summary"] for one in render_json([later, note, warning, error])
    ]
    assert render_text([later, note, warning, error], color=False).endswith(
        "\n\n2 errors, 1 warning, 1 note.\n"
    )


@pytest.mark.parametrize(
    ("line", "column", "shown", "caret"),
    [
        ("a: b", 4, "a: b", 3),
        ("\tb: 1", 2, "    b: 1", 4),
        ("a:\tb", 4, "a:  b", 4),
        ("日本: x", 5, "日本: x", 6),
        ("e\u0301: x", 5, "e\u0301: x", 3),
        ("a\x1b[2Jb", 6, "a\\x1b[2Jb", 8),
        ("a\u202eb", 3, "a\\u202eb", 7),
        ("\U000e0041x", 2, "\\U000e0041x", 10),
        ("x\xa0y", 3, "x\\xa0y", 5),
        ("short", 99, "short", 5),
    ],
)
def test_the_caret_stands_under_its_character(
    line: str, column: int, shown: str, caret: int
) -> None:
    """Tabs, wide, combining and hidden characters move the caret by the cells they take."""
    assert (shown, caret) == view(line, column)


def test_a_long_line_is_cut_around_the_caret() -> None:
    """Of a long line the part around the caret is shown, with dots where something is left out."""
    line = "a" * 500 + "X" + "b" * 500

    source, over = view(line, 501)

    assert (source[0], source[-1], source[over]) == ("…", "…", "X")
    assert cells(source) <= 80


def test_text_of_the_user_cannot_drive_the_terminal() -> None:
    """Escapes in a summary, detail, suggestion or file name are shown, not obeyed."""
    one = Diagnostic(
        severity=Severity.ERROR,
        code="c",
        summary="a\x1b[31m",
        detail="b\x9b\x07 c\u2066.",
        where=Position(file="x\x1b]0;t\x07.yaml", line=1, column=1),
        suggestion="\x1b",
        help="h\x1b",
    )

    text = render_text([one], color=False)

    assert all(line.isprintable() for line in text.split("\n"))
    assert "x\\x1b]0;t\\x07.yaml:1:1" in text


def test_colour_adds_nothing_but_colour() -> None:
    """Without its escape sequences the coloured text is the plain one."""
    one = diagnostic(suggestion="x", help="y")
    colored = render_text([one], color=True)
    plain = colored
    for code in ("1;31", "1;34", "1", "0"):
        plain = plain.replace(f"\x1b[{code}m", "")

    assert "\x1b[1;31merror:" in colored
    assert render_text([one], color=False) == plain


def test_json_holds_every_part() -> None:
    """The data form has all fields, and cuts a source line of absurd length."""
    (one,) = render_json([diagnostic("x" * 5000, 3, suggestion="s", help="h")])

    assert {
        "severity": "error",
        "code": "some-thing",
        "summary": "Something",
        "detail": "It is wrong.",
        "file": "job.yaml",
        "line": 7,
        "column": 3,
        "source_line": "x" * 1000,
        "suggestion": "s",
        "help": "h",
    } == one


def test_visible_leaves_ordinary_text_alone() -> None:
    """Letters of any script and spaces are shown as they are."""
    assert "Größe 日本 ✓" == visible("Größe 日本 ✓")

"""Unified diffs as people know them."""

from runpod_deploy.compiler.line_diff import NO_BREAK, unified


def test_a_change_stands_in_its_context() -> None:
    """Three lines before and after, and the numbers of both sides."""
    before = "".join(f"{number}\n" for number in range(1, 21))
    after = before.replace("10\n", "ten\nand a half\n")
    assert [
        "@@ -7,7 +7,8 @@", " 7", " 8", " 9", "-10", "+ten", "+and a half", " 11", " 12", " 13",
    ] == list(unified(before, after))  # fmt: skip


def test_far_changes_stand_apart() -> None:
    """Two changes whose contexts do not touch are two hunks, near ones are one."""
    before = "".join(f"{number}\n" for number in range(1, 41))
    far = before.replace("5\n", "five\n", 1).replace("30\n", "thirty\n")
    near = before.replace("\n10\n", "\nten\n").replace("\n14\n", "\nfourteen\n")
    heads = [sum(line.startswith("@@") for line in unified(before, one)) for one in (far, near)]
    assert [2, 1] == heads


def test_a_lost_line_break_is_told() -> None:
    """A text that only loses its last line break is changed, and the diff says how."""
    assert ["@@ -1,1 +1,1 @@", "-a", "+a", NO_BREAK] == list(unified("a\n", "a"))


def test_from_and_to_nothing() -> None:
    """A whole text that came or went has no line on the other side."""
    assert ["@@ -0,0 +1,2 @@", "+a", "+b"] == list(unified("", "a\nb\n"))
    assert ["@@ -1,1 +0,0 @@", "-a"] == list(unified("a\n", ""))


def test_moved_lines_do_not_hide_what_stayed() -> None:
    """A line that stands once on both sides is kept even where common lines surround it."""
    before = "}\n}\nalpha\n}\n}\n"
    after = "}\nalpha\n}\n}\n}\n"
    assert " alpha" in list(unified(before, after))

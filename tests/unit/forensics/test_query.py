"""Searching the events of many runs: the same answers as by reading every line, only sooner."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from forensic_cases import line, make_run
from runpod_deploy.errors import InvalidInput
from runpod_deploy.forensics import query as module
from runpod_deploy.forensics.query import Filter, parse_filter, parse_since, query

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def names(folders: list[Path], *filters: str, since: datetime | None = None) -> list[str]:
    """Return the events that pass, by name."""
    wanted = [parse_filter(one) for one in filters]
    return [match.event.event for match in query(folders, wanted, since)]


def test_all_filters_must_hold(tmp_path: Path) -> None:
    """Filters are joined by and; a field that is missing passes none."""
    folder = make_run(
        tmp_path,
        "20260601T000000Z",
        None,
        [line("a", x="1", y="2"), line("b", x="1"), line("c", y="2")],
    )

    assert names([folder], "x=1") == ["a", "b"]
    assert names([folder], "x=1", "y=2") == ["a"]
    assert names([folder]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("value", "text", "holds"),
    [
        (0, "0", True),
        (0.5, "0.5", True),
        (1, "1.0", True),
        (True, "true", True),
        (True, "1", False),
        (None, "null", True),
        ("0", "0", True),
        ("true", "true", True),
        ('Grüße/ \\ "', 'Grüße/ \\ "', True),
        ("ab", "a", False),
        (["a"], "a", False),
    ],
)
def test_values_compare_by_what_they_are(
    tmp_path: Path, value: object, text: str, holds: bool
) -> None:
    """Numbers by value, texts whole, and a text that looks like a number is found as well."""
    folder = make_run(tmp_path, "20260601T000000Z", None, [line("e", x=value)])

    assert holds is bool(names([folder], f"x={text}"))


def test_lines_written_by_others_are_found(tmp_path: Path) -> None:
    """Blanks between key and value, and letters that are not escaped, make no difference."""
    folder = make_run(tmp_path, "20260601T000000Z")
    text = json.dumps({"event": "é", "x": "ü"}, ensure_ascii=False, separators=(" , ", " : "))
    (folder / "events.jsonl").write_text(text, "utf-8")

    assert names([folder], "event=é", "x=ü") == ["é"]


def test_lines_longer_than_a_piece_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a file is cut into pieces for reading does not matter."""
    events = [line("a", text="x" * size, n="hit") for size in (0, 7, 40, 41, 300)]
    folder = make_run(tmp_path, "20260601T000000Z", None, events)
    for piece in (1, 2, 50, 97, 1 << 20):
        monkeypatch.setattr(module, "_PIECE", piece)

        assert names([folder], "n=hit") == ["a"] * 5


def test_only_events_since_then(tmp_path: Path) -> None:
    """The event's own time decides; one without a time is never recent."""
    folder = make_run(
        tmp_path,
        "20260601T000000Z",
        None,
        [line("old", "2026-06-01T11:00:00Z"), line("new", "2026-06-01T12:00:00Z"), line("x", "")],
    )

    assert names([folder], since=NOON) == ["new"]


def test_a_journal_untouched_since_then_is_not_read(tmp_path: Path) -> None:
    """What was last written long before cannot hold a recent event."""
    folder = make_run(tmp_path, "20260601T000000Z", None, [line("new", "2026-06-01T13:00:00Z")])
    os.utime(folder / "events.jsonl", (0, 0))

    assert names([folder], since=NOON) == []


def test_damaged_and_missing_journals_hide_nothing_else(tmp_path: Path) -> None:
    """Torn lines, folders without a journal, and folders in its place are passed over."""
    torn = make_run(tmp_path, "20260601T000000Z", None, [line("a", x="1")])
    with (torn / "events.jsonl").open("ab") as stream:
        stream.write(b'{"event": "b", "x": "1"\n\xff\xfe{"x": "1"}\n{"event":"c","x":"1"}')
    none = make_run(tmp_path, "20260601T000001Z")
    odd = make_run(tmp_path, "20260601T000002Z")
    (odd / "events.jsonl").mkdir()

    assert names([torn, none, odd], "x=1") == ["a", "c"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("30s", "2026-06-01T11:59:30+00:00"),
        ("5m", "2026-06-01T11:55:00+00:00"),
        ("1h", "2026-06-01T11:00:00+00:00"),
        ("7d", "2026-05-25T12:00:00+00:00"),
        ("1.5h", "2026-06-01T10:30:00+00:00"),
        ("2026-05-14T12:00", "2026-05-14T12:00:00+00:00"),
        ("2026-05-14T12:00+02:00", "2026-05-14T12:00:00+02:00"),
    ],
)
def test_ages_and_times_are_understood(written: str, expected: str) -> None:
    """An age counts back from now; a time without a zone is UTC."""
    assert parse_since(written, NOON).isoformat() == expected


@pytest.mark.parametrize("written", ["", "7", "yesterday", "7 years", "-5m", "9" * 30 + "d"])
def test_other_times_are_refused(written: str) -> None:
    """The message shows how a time is written."""
    with pytest.raises(InvalidInput, match="is no time"):
        parse_since(written, NOON)


@pytest.mark.parametrize("written", ["", "x", "=1"])
def test_other_filters_are_refused(written: str) -> None:
    """A filter has a key and a value."""
    with pytest.raises(InvalidInput, match="is no filter"):
        parse_filter(written)


def test_a_value_may_hold_an_equals_sign() -> None:
    """Only the first one parts key and value."""
    assert parse_filter("x=a=b") == Filter("x", "a=b")

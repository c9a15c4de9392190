"""Log lines get unique ids, and a stream takes up where it was left."""

import json

import pytest

from runpod_deploy.emulator.logs import KEPT_LINES, LogBook, parse_cursor


def book() -> LogBook:
    """Give a log whose clock stands still: all ids must differ nevertheless."""
    logs = LogBook(now=lambda: 1_780_000_000.25)
    for number in range(4):
        logs.write("system" if number % 2 else "container", f"line {number}")
    return logs


def test_event_with_number() -> None:
    """An event's id is its time and its number, its data names time, source and line."""
    event = book().last(1, None)[0].event(suffix=True)
    head, data, *_ = event.split("\n")
    assert "id: 2026-05-28T20:26:40.250003Z/000000000004" == head
    expected = {"ts": "2026-05-28T20:26:40.250003Z", "source": "system", "line": "line 3"}
    assert expected == json.loads(data.removeprefix("data: "))
    assert event.endswith("\n\n")


def test_event_without_number() -> None:
    """In the plain form the id is the time alone."""
    assert (
        book().last(1, None)[0].event(suffix=False).startswith("id: 2026-05-28T20:26:40.250003Z\n")
    )


def test_times_are_unique() -> None:
    """No two lines of a pod have the same time."""
    times = [line.ts for line in book().last(9, None)]
    assert sorted(set(times)) == times


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (2, 2), (99, 4)])
def test_tail(count: int, expected: int) -> None:
    """The tail is at most what there is."""
    assert expected == len(book().last(count, None))


def test_source() -> None:
    """One source can be asked for."""
    assert ["line 1", "line 3"] == [line.line for line in book().last(9, "system")]


def test_resume_at_a_time_repeats_that_line() -> None:
    """A time alone resumes at the line that bears it, so nothing is lost."""
    logs = book()
    ts = logs.last(2, None)[0].ts
    assert ["line 2", "line 3"] == [line.line for line in logs.since(parse_cursor(ts), None)]


def test_resume_with_number_goes_on() -> None:
    """A whole id resumes behind its line."""
    logs = book()
    cursor = parse_cursor(f"{logs.last(2, None)[0].ts}/000000000003")
    assert ["line 3"] == [line.line for line in logs.since(cursor, None)]


@pytest.mark.parametrize("text", ["yesterday", "2026-05-28", "2026-05-28T20:26:40Z/x"])
def test_bad_cursor(text: str) -> None:
    """What is neither a time nor an id is refused."""
    with pytest.raises(ValueError, match=r".+"):
        parse_cursor(text)


def test_only_the_last_lines_are_kept() -> None:
    """The log does not grow without end."""
    logs = LogBook(now=lambda: 0.0)
    for number in range(KEPT_LINES + 5):
        logs.write("container", str(number))
    assert KEPT_LINES == len(logs.last(KEPT_LINES, None))
    assert KEPT_LINES + 5 == logs.count

"""The three views of a run, over the same events."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from runpod_deploy.cli.printable import json_line
from runpod_deploy.cli.style import Style
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.views.json_lines import JsonView
from runpod_deploy.cli.views.live import LiveView
from runpod_deploy.cli.views.plain import PlainView
from runpod_deploy.cli.views.story import Story
from runpod_deploy.cli.views.transfer_rate import TransferRate
from runpod_deploy.cli.views.view import Guarded
from runpod_deploy.cli.views.watch import Watch
from runpod_deploy.record.events import EVENT_TYPES, Event
from runpod_deploy.record.journal import utc_stamp

GOLDEN = Path(__file__).parent / "golden"
FOLDER = Path("/project/artifacts/runpod/20260514T021200Z")


class Hours:
    """A clock of hours that a test moves."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> datetime:
        """Return the hour."""
        return datetime.fromtimestamp(self.at, UTC)


def plain(terminal: Terminal, hours: Hours | None = None) -> PlainView:
    """Return a plain view whose lines lie in the terminal's stdout."""
    return PlainView(terminal, now=hours or Hours(), write=terminal.print)


def written(terminal: Terminal) -> str:
    """Return what went to stdout."""
    assert isinstance(terminal.stdout, StringIO)
    return terminal.stdout.getvalue()


def test_a_run_reads_as_agreed_in_plain_lines(terminal: Terminal, events: Sequence[Event]) -> None:
    """One line for each thing that happens, log lines behind a bar: exactly the golden text."""
    hours = Hours()
    view = plain(terminal, hours)
    view.opened(FOLDER, "sample-1")
    for event in events:
        hours.at += 1
        if event.event == "job_ended":
            view.output("run", b"hello\nworld")
        view.event(event)
    view.close()
    assert (GOLDEN / "plain.txt").read_text() == written(terminal)


def test_quiet_leaves_what_went_wrong(terminal: Terminal, events: Sequence[Event]) -> None:
    """With --quiet only warnings and errors are written."""
    view = plain(replace(terminal, quiet=True))
    for event in events:
        view.event(event)
    view.output("run", b"hello\n")
    lines = [line.split("  ", 1)[1] for line in written(terminal).splitlines()]
    assert ["provision  NVIDIA L4 · any datacenter · SECURE: no stock"] == lines


def test_a_bar_that_redraws_itself_shows_now_and_then(terminal: Terminal) -> None:
    """A line that is never ended is written every ten seconds, not at each of its forms."""
    hours = Hours()
    view = plain(terminal, hours)
    for percent in range(40):
        hours.at = percent
        view.output("run", f"\r{percent}%".encode())
    assert ["| 0%", "| 10%", "| 20%", "| 30%"] == written(terminal).splitlines()


def test_a_short_transfer_makes_no_noise(terminal: Terminal) -> None:
    """Bytes, rate and time left are told only of what takes longer than ten seconds."""
    hours = Hours()
    view = plain(terminal, hours)
    for second in range(25):
        hours.at = second
        view.transfer("code", second * 1000, 25_000)
    texts = [line.split("run        ")[1] for line in written(terminal).splitlines()]
    assert [
        "code: 10 kB of 25 kB, 1.0 kB/s, 15s left",
        "code: 20 kB of 25 kB, 1.0 kB/s, 5.0s left",
    ] == texts


def test_another_transfer_of_a_label_has_a_rate_of_its_own(terminal: Terminal) -> None:
    """What was pulled before counts neither for the bytes nor for the rate."""
    hours = Hours()
    view = plain(terminal, hours)
    for second in range(31):
        hours.at = second
        view.transfer("out", (second - 15) * 1000 if second >= 15 else second, 30_000)
    assert written(terminal).splitlines()[-1].endswith("out: 15 kB of 30 kB, 1.0 kB/s, 15s left")


def test_messages_of_several_lines_stay_in_their_column(terminal: Terminal) -> None:
    """Further lines hang below the first, controls escaped."""
    plain(terminal).message("no:\n  \x1b[2Jbad")
    first, second = written(terminal).splitlines()
    assert first.endswith("run        no:")
    assert f"{' ' * 21}  \\x1b[2Jbad" == second


def test_a_failed_step_is_told_by_the_first_line_of_its_error(terminal: Terminal) -> None:
    """What a program printed last comes once, with the error that ends the run."""
    fields = {"step": "setup", "duration_sec": 1.0, "cause": "x", "error": "no:\n  bad"}
    plain(terminal).event(Event(event="step_failed", ts_utc="", fields=fields))
    (line,) = written(terminal).splitlines()
    assert line.endswith("failed after 1.0s: no:")


def test_every_json_line_is_an_event(terminal: Terminal, events: Sequence[Event]) -> None:
    """The lines of the journal come out as they are; nothing else goes to stdout."""
    view = JsonView(terminal, write=terminal.print)
    view.opened(FOLDER, "sample-1")
    view.message("something")
    view.output("run", b"hello\n")
    view.transfer("x", 1, 2)
    view.spent(0.1, 0.5)
    for event in events:
        view.event(event)
    lines = [json.loads(line) for line in written(terminal).splitlines()]
    assert [dict(event) for event in events] == lines


def test_json_holds_no_runner_command() -> None:
    """The old form of GitHub's commands works anywhere in a line, so it is written as an escape."""
    line = json_line({"text": "##[add-mask]x"})
    assert "##[" not in line
    assert {"text": "##[add-mask]x"} == json.loads(line)


def live(terminal: Terminal, watch: Watch, events: Sequence[Event]) -> LiveView:
    """Return a live view that was told a run."""
    view = LiveView(terminal, watch)
    watch.opened(FOLDER, "sample-1")
    view.opened(FOLDER, "sample-1")
    for event in events:
        watch.event(event)
        view.event(event)
    return view


def picture(view: LiveView, *, width: int = 80, height: int = 24) -> list[str]:
    """Return a frame as lines."""
    view._console = Console(width=width, height=height, file=StringIO(), no_color=True)
    with view._console.capture() as capture:
        view._console.print(view.frame())
    return [line.rstrip() for line in capture.get().splitlines()]


def test_the_picture_shows_steps_notes_and_log(
    terminal: Terminal, watch: Watch, events: Sequence[Event]
) -> None:
    """In the middle of a run every part of the picture is there, none wider than the terminal."""
    view = live(terminal, watch, events[:12])
    view.output("run", b"".join(b"line %d\n" % number for number in range(30)) + b"half")
    view.transfer("model", 512, 1024)
    lines = picture(view, height=40)
    text = "\n".join(lines)
    assert "sample-1  runpod · NVIDIA GeForce RTX 4090 · EU-RO-1 · $0.69/h · pod k3j5h2" == lines[1]
    assert " ✓ provision     4.0s  pod k3j5h2 for $0.69/h" in lines
    assert "● collect" in text
    assert " ! provision: NVIDIA L4 · any datacenter · SECURE: no stock" in lines
    assert "512 B of 1.0 kB" in text
    assert [" │ line 29", " │ half"] == [line for line in lines if line.startswith(" │")][-2:]
    assert 10 == sum(line.startswith(" │") for line in lines)
    assert "of $0.50 · Ctrl-C: detach or cancel" in lines[-1]


def test_a_failed_job_has_no_good_mark(
    terminal: Terminal, watch: Watch, events: Sequence[Event]
) -> None:
    """The step did its work, yet what it watched ended badly, and that is what its mark says."""
    steps = tuple(
        replace(one, name="execute" if one.name == "collect" else one.name)
        for one in watch.plan_file.plan.steps
    )
    plan = replace(watch.plan_file.plan, steps=steps)
    watch = replace(watch, plan_file=replace(watch.plan_file, plan=plan))
    changed = {
        "job_ended": {"outcome": "failed", "exit_code": 3},
        "step_started": {"step": "execute"},
        "step_completed": {"step": "execute"},
    }
    told = events[:11] + [
        replace(one, fields={**one.fields, **changed.get(one.event, {})}) for one in events[11:]
    ]
    text = "\n".join(picture(live(terminal, watch, told), height=40))
    assert "✗ execute" in text
    assert "✓ provision" in text


def test_time_counts_from_where_another_executor_began(
    terminal: Terminal, watch: Watch, events: Sequence[Event]
) -> None:
    """After a resume, run and step show how long they take in all."""
    began = utc_stamp(time.time() - 3700)
    collect = Event(event="step_started", ts_utc=began, fields={"step": "collect"})
    for event in (replace(events[0], ts_utc=began), collect):
        watch.event(event)
    again = replace(collect, ts_utc=utc_stamp(time.time()))
    lines = picture(live(terminal, watch, [again]))
    assert any("● collect     1h 01m" in line for line in lines)
    assert lines[-1].startswith(" 1h 01m · ")


def test_a_low_terminal_loses_log_lines_first(
    terminal: Terminal, watch: Watch, events: Sequence[Event]
) -> None:
    """The steps and the money stay on the screen of any height."""
    view = live(terminal, watch, events[:12])
    view.output("run", b"line\n" * 30)
    lines = picture(view, height=12)
    assert 12 >= len(lines)
    assert "Ctrl-C" in lines[-1]


def test_a_terminal_without_unicode_gets_ascii(
    terminal: Terminal, watch: Watch, events: Sequence[Event]
) -> None:
    """Marks and bars have plain forms."""
    view = live(replace(terminal, unicode=False), watch, events[:12])
    view.transfer("model", 512, 1024)
    lines = picture(view)
    assert any(line.startswith(" + provision") for line in lines)
    assert any("############............" in line for line in lines)


def test_the_steps_stay_when_the_picture_goes(
    terminal: Terminal, watch: Watch, events: Sequence[Event]
) -> None:
    """After the end the steps are on the screen, the log and the running clock are not."""
    view = live(terminal, watch, events)
    view.output("run", b"line\n")
    view.close()
    text = written(terminal)
    assert "✓ collect" in text
    assert "line" not in text
    assert "Ctrl-C" not in text


def test_a_view_that_breaks_does_not_cost_the_run(terminal: Terminal) -> None:
    """After a closed pipe nothing more is shown, nothing is raised, and the reason is kept."""

    def closed(_: str) -> None:
        raise BrokenPipeError

    view = Guarded(PlainView(terminal, now=Hours(), write=closed))
    view.opened(FOLDER, "sample-1")
    view.output("run", b"hello\n")
    view.close()
    assert isinstance(view.problem, BrokenPipeError)


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_every_event_can_be_told(name: str) -> None:
    """No event of the list breaks the story, not even one without any of its fields."""
    for verbose in (False, True):
        told = Story(verbose=verbose).tell(Event(event=name, ts_utc="", fields={}))
        assert told is None or "" != told.text


def test_a_job_that_runs_already_is_not_started_again() -> None:
    """Who comes back to a job goes on with it; a journal tells both in their order."""
    begun = Event(event="step_started", ts_utc="", fields={"step": "execute"})
    before = replace(begun, fields={"step": "preflight"})
    whole = Story()
    told = [one.text for one in map(whole.tell, (before, begun, begun)) if one is not None]
    later = Story().tell(begun)

    assert told == ["starting the job", "going on with the job"]
    assert later is not None
    assert later.text == "going on with the job"


def test_who_carries_a_run_on_is_told() -> None:
    """A detach, a kill and each return to the run are lines of their own; the first start is none."""
    started = Event(event="run_started", ts_utc="", fields={"pid": 7})
    left = Event(event="state_changed", ts_utc="", fields={"state": "DETACHED", "cause": "asked"})
    story = Story()
    told = [story.tell(event) for event in (started, left, started, started)]
    assert told[0] is None
    texts = [one.text for one in told[1:] if one is not None]
    assert texts[0] == "detached: the job goes on, on its pod"
    assert texts[1] == "carried on by process 7"
    assert "ended without a word" in texts[2]
    assert texts[2].endswith("carried on by process 7")


def test_the_end_of_a_step_is_not_said_over() -> None:
    """Who was told of the end does not stand where the last step says that the pod is gone."""
    story = Story()
    story.tell(Event(event="step_started", ts_utc="", fields={"step": "release"}))
    notified = Event(event="notified", ts_utc="", fields={"outcome": "told", "via": "command"})
    told = story.tell(notified)
    assert told is not None
    assert (told.step, story.step) == ("run", "release")


def test_what_only_insiders_need_is_told_with_verbose() -> None:
    """An event without a sentence of its own shows its fields with --verbose, else nothing."""
    event = Event(event="host_key_enrolled", ts_utc="", fields={"fingerprint": "SHA256:x"})
    assert Story().tell(event) is None
    told = Story(verbose=True).tell(event)
    assert told is not None
    assert "host_key_enrolled fingerprint=SHA256:x" == told.text


def test_a_rate_counts_what_was_moved_now() -> None:
    """A transfer that goes on where an earlier one broke off is not faster for it."""
    transfer = TransferRate("model", now=100.0)
    transfer.moved(5_000_000, 9_000_000, now=100.0)
    transfer.moved(6_000_000, 9_000_000, now=101.0)
    expected = "model  ━━━━━━━━━━━━━━━━╌╌╌╌╌╌╌╌  67%  6.0 MB of 9.0 MB  1.0 MB/s  3.0s left"
    assert expected == transfer.told()


def test_a_transfer_of_nothing_has_no_rate() -> None:
    """No division by a total or a time of zero."""
    transfer = TransferRate("empty", now=0.0)
    transfer.moved(0, 0, now=0.0)
    assert transfer.told(unicode=False).endswith("  0%  0 B of 0 B")


def test_the_style_of_a_line_follows_its_tone(terminal: Terminal) -> None:
    """On a colour terminal what went wrong is red, its hour dim."""
    view = plain(replace(terminal, out=Style(color=True)))
    view.event(Event(event="pod_killed_unexpected", ts_utc="", fields={"state": "EXITED"}))
    assert "\x1b[1;31mthe pod is EXITED" in written(terminal)

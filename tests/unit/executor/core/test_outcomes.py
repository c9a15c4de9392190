"""How a run is judged: the exit code decides, markers are extras, missing evidence is no success."""

from __future__ import annotations

from typing import Any

import pytest

from runpod_deploy.executor.markers import LONGEST_LINE, MarkerScanner, StepMark
from runpod_deploy.executor.supervision import Report, parse_report
from runpod_deploy.executor.verdict import judge
from support.fakes import FakeJob
from support.plans import changed, small_plan
from support.rig import RigMaker

# exit code, success marker set, seen, failure marker seen, fail_on_markers → state, cause, tool's status
TABLE: list[tuple[int | None, bool, bool, bool, bool, str, str | None, int]] = [
    (0, False, False, False, False, "SUCCEEDED", None, 0),
    (0, True, True, False, False, "SUCCEEDED", None, 0),
    (0, True, False, False, False, "FAILED", "marker_missing", 1),
    (0, False, False, True, False, "SUCCEEDED", None, 0),
    (0, False, False, True, True, "FAILED", "failure_marker", 1),
    (0, True, True, True, True, "FAILED", "failure_marker", 1),
    (1, False, False, False, False, "FAILED", "exit_code", 1),
    (3, True, True, False, False, "FAILED", "exit_code", 1),
    (139, False, False, True, True, "FAILED", "exit_code", 1),
    (None, True, True, False, False, "UNKNOWN", None, 9),
    (None, False, False, False, False, "UNKNOWN", None, 9),
]


@pytest.mark.parametrize("row", TABLE)
def test_outcome_table(make_rig: RigMaker, row: tuple[Any, ...]) -> None:
    """Each row of the table ends in its state, its cause and its exit status, and releases the pod."""
    code, wanted, seen, failure, strict, state, cause, status = row
    text = b"working\n" + b"ALL_DONE\n" * seen + b"Traceback (most recent call last)\n" * failure
    plan = changed(
        small_plan(),
        run={
            "success_marker": "ALL_DONE" if wanted else None,
            "failure_markers": ("Traceback",),
            "fail_on_markers": strict,
        },
    )
    rig = make_rig(plan, job=FakeJob(chunks=[(1.0, text)], exit_code=code))
    run = rig.run()
    assert state == run.state
    failure_of_run = rig.engine.failure
    assert status == (0 if failure_of_run is None else failure_of_run.exit_code)
    if cause is not None:
        assert cause == run.cause
    assert run.job_end is not None
    assert code == run.job_end.exit_code
    assert {} == rig.cloud.rented
    warned = any("failure marker" in warning or "Traceback" in warning for warning in run.warnings)
    assert warned is (state == "SUCCEEDED" and failure)


@pytest.mark.parametrize(("reason", "minutes"), [("max_runtime", 1.0), ("cost_cap", None)])
def test_limit_that_ends_the_run_is_its_cause(
    make_rig: RigMaker, reason: str, minutes: float | None
) -> None:
    """A run ended by its supervisor failed, whatever its exit code, because of that limit."""
    plan = changed(small_plan(), budget={"max_runtime_minutes": minutes, "cost_cap_usd": 0.5})
    rig = make_rig(plan, job=FakeJob(lasts=1e6))
    run = rig.run()
    assert ("FAILED", reason) == (run.state, run.cause)
    assert run.job_end is not None
    assert 143 == run.job_end.exit_code
    assert ["/workspace/results"] == rig.downloads.tried


def test_ended_by_counts_even_with_exit_code_zero() -> None:
    """A script that traps SIGTERM and exits 0 did not succeed."""
    report = Report(state="exited", exit_code=0, log_bytes=0, ended_by="max_runtime")
    end = judge(small_plan().run, report, MarkerScanner(None, ()))
    assert ("failed", "max_runtime") == (end.outcome, end.cause)


STREAM = b"".join(
    b"noise\n__RUNPOD_STEP_START__step %d__\nmore __RUNPOD_STEP_DONE__step %d__ tail\n" % (n, n)
    for n in range(2500)
)


@pytest.mark.parametrize("size", [1, 13, 4096, len(STREAM)])
def test_five_thousand_markers_are_each_seen_once(size: int) -> None:
    """However the log is cut into pieces, every marker is given out once and in order."""
    scanner = MarkerScanner(None, ())
    marks: list[StepMark] = []
    for start in range(0, len(STREAM), size):
        marks += scanner.feed(STREAM[start : start + size])
    marks += scanner.finish()
    assert [(f"step {n}", done) for n in range(2500) for done in (False, True)] == [
        (mark.name, mark.done) for mark in marks
    ]
    assert len(STREAM) == scanner.offset


@pytest.mark.parametrize("cut", range(1, 40))
def test_markers_cut_across_pieces_are_found(cut: int) -> None:
    """Step, success and failure markers are found wherever the stream is cut."""
    text = b"__RUNPOD_STEP_DONE__a__ OK_ALL FAIL_X"
    scanner = MarkerScanner("OK_ALL", ("FAIL_X", "FAIL_Y"))
    marks = [*scanner.feed(text[:cut]), *scanner.feed(text[cut:]), *scanner.finish()]
    assert [StepMark("a", done=True, offset=len(text))] == marks
    assert (True, ["FAIL_X"]) == (scanner.success_seen, scanner.failures_seen)


def test_a_traced_command_is_no_marker() -> None:
    """`set -x` shows the command before its marker comes: the step began once."""
    scanner = MarkerScanner(None, [])
    log = b"+ echo __RUNPOD_STEP_START__a__\n__RUNPOD_STEP_START__a__\r\n++ echo __RUNPOD_STEP_DONE__a__\n"

    assert [(mark.name, mark.done) for mark in scanner.feed(log)] == [("a", False)]


def test_markers_may_name_the_run(make_rig: RigMaker) -> None:
    """A marker with the run's id in it is looked for with the id that the run has."""
    markers = {"success_marker": "OK @@rd:run_id@@", "failure_markers": ("BAD @@rd:run_id@@",)}
    text = b"BAD demo-20270115T080000Z\nOK demo-20270115T080000Z\n"
    rig = make_rig(changed(small_plan(), run=markers), job=FakeJob(chunks=[(1.0, text)]))
    assert "SUCCEEDED" == rig.run().state
    assert ["BAD demo-20270115T080000Z"] == rig.one("job_ended")["failure_markers_seen"]


def test_last_line_without_newline_counts(make_rig: RigMaker) -> None:
    """A success marker that is the log's last word, without a newline, is seen."""
    plan = changed(small_plan(), run={"success_marker": "ALL_DONE"})
    text = b"__RUNPOD_STEP_START__x__\nALL_DONE"
    rig = make_rig(plan, job=FakeJob(chunks=[(1.0, text)]))
    assert "SUCCEEDED" == rig.run().state
    assert text == rig.log()
    assert ("x", 25) == (
        rig.one("remote_step_started")["name"],
        rig.one("remote_step_started")["log_offset"],
    )


@pytest.mark.parametrize("size", [1000, 70_000, 10_000_000])
def test_markers_in_a_line_without_end_are_seen_once(size: int) -> None:
    """A progress bar that never ends its line hides no marker, gives none twice, and is not kept whole."""
    text = b"".join(
        b"\r%06d%s" % (n, b"." * 500) + b"__RUNPOD_STEP_DONE__%d__" % n for n in range(1000)
    )
    scanner = MarkerScanner("000400", ())
    marks: list[StepMark] = []
    for start in range(0, len(text), size):
        marks += scanner.feed(text[start : start + size])
        assert len(scanner._rest) <= LONGEST_LINE
    marks += scanner.finish()
    assert [str(n) for n in range(1000)] == [mark.name for mark in marks]
    assert scanner.success_seen
    offsets = [mark.offset for mark in marks]
    assert sorted(offsets) == offsets
    assert len(text) == scanner.offset == offsets[-1]


def test_resumed_scanner_does_not_give_out_a_marker_again() -> None:
    """Going on from a marker's offset, that marker is not seen a second time."""
    text = b"." * LONGEST_LINE + b"__RUNPOD_STEP_DONE__a__" + b"." * 10
    (mark,) = MarkerScanner(None, ()).feed(text)
    again = MarkerScanner(None, (), offset=mark.offset)
    assert [] == [*again.feed(text[mark.offset :]), *again.finish()]


@pytest.mark.parametrize(
    ("line", "report"),
    [
        (b"exited 0 12 -\n", Report("exited", 0, 12, None)),
        (b"noise\nexited 143 9 max_runtime\n", Report("exited", 143, 9, "max_runtime")),
        (b"running - 5 -\n", Report("running", None, 5, None)),
        (b"lost - 7 -\n", Report("lost", None, 7, None)),
    ],
)
def test_report_is_read(line: bytes, report: Report) -> None:
    """The supervisor's line is the last one and has four words."""
    assert report == parse_report(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"exited 0 12\n",
        b"done 0 12 -\n",
        b"exited --5 12 -\n",
        "exited ² 12 -\n".encode(),
        b"exited " + b"9" * 5000 + b" 12 -\n",
        b"exited 0 12 \x1b[31mred\n",
        b"\xff\xfe\n",
    ],
)
def test_answer_that_is_no_report_is_refused(line: bytes) -> None:
    """Nothing a pod may print instead of a report is read as one, or breaks the reader."""
    with pytest.raises(Exception, match="The supervisor answered"):
        parse_report(line)

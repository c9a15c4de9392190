"""The commands over past runs: what they print, and what their exit status says."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from forensic_cases import MANIFEST_2, OURS, line, make_run
from runpod_deploy.cli.app import build
from runpod_deploy.record.events import EVENT_TYPES

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A project with a failed run and a later one that succeeded; it is the working folder."""
    monkeypatch.chdir(tmp_path)
    events = [
        line("run_started", run_id="old"),
        line("step_started", step="connect"),
        line("warning", "2026-06-01T00:00:02.5Z", code="c", message="tell \x1b[31me"),
    ]
    failed = make_run(tmp_path, "20260514T120000Z", MANIFEST_2, events)
    return failed, make_run(tmp_path, "20260601T000000Z", OURS, events)


def test_the_summary_is_a_gate(runs: tuple[Path, Path], call: Call) -> None:
    """Exit status 0 for the run that succeeded only; manifest, folder and name all do."""
    failed, good = runs

    assert call("manifest-summary", "last")[0] == 0
    assert call("manifest-summary", str(good / "runpod_deploy_pull_manifest.json"))[0] == 0
    assert call("manifest-summary", str(failed))[0] == 1
    assert call("manifest-summary", "--root", ".")[0] == 1
    assert call("manifest-summary", "-q", "last") == (0, "", "")


def test_the_summary_tells_all_that_the_recipe_promises(
    runs: tuple[Path, Path], call: Call
) -> None:
    """Job, ids, place, time, price with its source, cost, commit, lock file, artifacts, files."""
    _, told, _ = call("manifest-summary", str(runs[0]))
    for part in (
        *("older", "FAILED", "older-20260514T120000Z", "abc123, EXITED", "NVIDIA A40 · EU-SE-1"),
        *(
            "1h 30m",
            "$0.40/h (as RunPod told of the pod)",
            "$0.60 of $10.00",
            "ab" * 20,
            "with changes",
        ),
        *("uv.lock", "out", "failed (optional): rsync exit 23", "events.jsonl, metrics.jsonl"),
    ):
        assert part in told


def test_json_holds_the_same_and_the_folder(runs: tuple[Path, Path], call: Call) -> None:
    """Programs get the typed facts, whatever version wrote the run."""
    data = json.loads(call("manifest-summary", "last", "--json")[1])
    both = json.loads(call("manifest-summary", "--root", ".", "--json")[1])

    assert data["run_dir"].endswith(runs[1].name)
    assert data["artifacts"][0]["bytes"] == 4096
    assert both["totals"]["runs"] == len(both["runs"]) == 2


def test_sums_are_the_last_line(runs: tuple[Path, Path], call: Call) -> None:
    """Many runs end with what they came to."""
    told = call("manifest-summary", "--root", str(runs[0].parent))[1].splitlines()

    assert told[-1].split("  ")[1:] == [
        "TOTAL",
        "2 runs, 1 succeeded · 1h 40m · $0.67 · 4.1 kB of results",
    ]


def test_a_sum_of_rehearsals_says_so(tmp_path: Path, call: Call) -> None:
    """What nobody paid is not told as money that was."""
    for number, cloud in enumerate(("emulator", "emulator", "runpod")):
        begun = line("run_started", run_id=f"j-{number}", cloud=cloud)
        ended = line("state_changed", state="SUCCEEDED", cause=None)
        make_run(tmp_path, f"2026060{number + 1}T000000Z", None, [begun, ended])
        told = call("manifest-summary", "--root", str(tmp_path))[1].splitlines()[-1]
        assert ("(in part emulated)" if cloud == "runpod" else "(emulated)") in told


def test_runs_are_listed_newest_last(runs: tuple[Path, Path], call: Call) -> None:
    """A limit keeps the newest; folders alone can be had for scripts."""
    code, told, hint = call("ls-runs", "--limit", "1")

    assert (code, "20260601T000000Z" in told, "20260514T120000Z" in told) == (0, True, False)
    assert "1 older" in hint
    folders = call("ls-runs", "--print-run-dir", "--root", ".")[1].splitlines()
    assert [Path(one).name for one in folders] == [run.name for run in runs]
    assert call("ls-runs", "--limit", "-1")[0] == 4


def test_a_run_whose_executor_is_gone_is_lost(tmp_path: Path, call: Call) -> None:
    """The list says so and names the way on; a run that was left alone on purpose waits."""
    events = [line("run_started", run_id="j-1"), line("state_changed", state="WORKING", cause=None)]
    left = line("state_changed", state="DETACHED", cause="asked")
    lost = make_run(tmp_path, "20260601T000000Z", None, events)
    waits = make_run(tmp_path, "20260602T000000Z", None, [*events, left])
    _, told, said = call("ls-runs", "--root", str(tmp_path))
    known = json.loads(call("ls-runs", "--root", str(tmp_path), "--json")[1])

    assert "WORKING (lost)" in told
    assert f"runpod-deploy resume {lost}" in said
    assert f"runpod-deploy attach {waits}" in said
    assert [(one["state"], one["carried_on"]) for one in known] == [
        ("WORKING", False),
        ("DETACHED", False),
    ]
    assert "runpod-deploy resume" in call("manifest-summary", str(lost))[1]
    assert "runpod-deploy" not in call("ls-runs", "--root", str(tmp_path), "-q")[2]


def test_a_table_fits_eighty_columns(tmp_path: Path, call: Call) -> None:
    """Long and wide names are cut, and control characters in them are shown as such."""
    name = "\x1b]0;x\x07" + "漢字" * 40
    make_run(
        tmp_path, "20260601T000000Z" + "-s" * 60, {**OURS, "job_name": name, "gpu_id": "G" * 90}
    )
    told = call("ls-runs", "--root", str(tmp_path))[1]

    assert max(map(len, told.splitlines())) <= 80
    assert "\x1b" not in told


def test_a_comparison_shows_what_differs(runs: tuple[Path, Path], call: Call) -> None:
    """Exit status 1 when either failed; --all adds what is the same."""
    code, told, _ = call("compare-runs", str(runs[0]), "last")

    assert code == 1
    assert "FAILED" in told
    assert "gpu_id" not in told
    assert "gpu_id" in call("compare-runs", str(runs[0]), "last", "--all")[1]
    rows = json.loads(call("compare-runs", "last", "last", "--json")[1])["rows"]
    assert all(row["same"] for row in rows)
    _, out, err = call("compare-runs", "last", "last")
    assert "Nothing differs." in out
    assert "A and B are the same run" in err


def test_a_comparison_speaks_of_money_times_and_lines(runs: tuple[Path, Path], call: Call) -> None:
    """Amounts are rounded as everywhere, unless that hides the difference; a script is a diff."""
    for folder, rate, body in ((runs[0], 0.690000001, "a\nb\n"), (runs[1], 1.23456789, "a\nc\n")):
        plan = {
            "scripts": [{"name": "run", "text": body}],
            "rates": [f"{rate}\nx"],
            "x_usd": 1 + rate / 1000,
        }
        (folder / "plan.json").write_text(json.dumps({"plan": plan}))
        price = {**OURS, "gpu_price_per_hour_usd": rate, "wall_time_sec": rate * 1000}
        (folder / "runpod_deploy_pull_manifest.json").write_text(json.dumps(price))
    code, told, _ = call("compare-runs", runs[0].name, "last")

    assert code == 0
    rows = [text.split() for text in told.splitlines()]
    assert ["price_per_hour_usd", "$0.69/h", "$1.23/h"] in rows
    assert ["wall_time_sec", "11m", "30s", "20m", "35s"] in rows
    assert ["x_usd", "1.000690000001", "1.00123456789"] in rows
    assert [["-b"], ["+c"]] == [row for row in rows if row in (["-b"], ["+c"])]
    assert "\\x0a" not in told


def test_events_are_told_as_a_story(runs: tuple[Path, Path], call: Call) -> None:
    """Seconds since the start, the step, a sentence; escapes of a hostile text stay visible."""
    _, told, _ = call("events", str(runs[0]))

    assert "      2.5s  connect    warning: tell" in told
    assert "\x1b" not in told
    assert "run_started" not in told
    assert "run_started" in call("events", "last", "--verbose")[1]
    lines = call("events", "last", "--json")[1].splitlines()
    assert [json.loads(one)["event"] for one in lines] == ["run_started", "step_started", "warning"]


def test_events_of_all_runs_are_searched(runs: tuple[Path, Path], call: Call) -> None:
    """Each match is told with its run."""
    _, told, count = call("events-query", "--root", ".", "--filter", "code=c")
    rows = call("events-query", "--filter", "event=warning", "--json")[1].splitlines()

    assert [text.split()[0] for text in told.splitlines()] == [run.name for run in runs]
    assert count == "2 events\n"
    assert [Path(json.loads(row)["run_dir"]).name for row in rows] == [run.name for run in runs]
    assert call("events-query", "--since", "soon")[0] == 4


@pytest.mark.usefixtures("runs")
def test_a_name_that_no_event_has_is_told(call: Call) -> None:
    """With what was probably meant, also where programs read; nothing found is no failure."""
    code, told, said = call("events-query", "--filter", "event=step_startd", "--json")

    assert (code, told) == (0, "")
    assert "knows no event `step_startd`; did you mean `step_started`?" in said
    assert "knows no event" not in call("events-query", "--filter", "event=job_ended")[2]
    assert "knows no event" not in call("events-query", "--filter", "code=nosuch")[2]


def test_nobody_who_reads_on_is_no_failure(
    runs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`| head -1`: every command ends quietly, and a gate with what it found."""
    for *words, status in (
        ("events-query", "--json", 0),
        ("events-query", 0),
        ("events", "last", 0),
        ("events", "last", "--json", 0),
        ("logs", "last", 0),
        ("ls-runs", 0),
        ("ls-runs", "--json", 0),
        ("ls-runs", "--print-run-dir", 0),
        ("manifest-summary", "last", 0),
        ("manifest-summary", "--root", ".", "--json", 1),
        ("compare-runs", runs[0].name, "last", 1),
        ("status", "last", 0),
        ("schema", "event", 0),
    ):
        read, write = os.pipe()
        os.close(read)
        with open(write, "w", encoding="utf-8") as stdout:  # noqa: PTH123 - a descriptor
            monkeypatch.setattr("sys.stdout", stdout)
            found = build()(words, standalone_mode=False)
        assert (found or 0) == status, words
        assert "error" not in capfd.readouterr().err


def test_a_statement_is_about_one_run(runs: tuple[Path, Path], call: Call) -> None:
    """In-toto for a run with digests; for many, or without any, a clear refusal."""
    told = json.loads(call("manifest-summary", "last", "--format", "intoto")[1])

    assert told["_type"] == "https://in-toto.io/Statement/v1"
    assert call("manifest-summary", "--root", ".", "--format", "intoto")[0] == 4
    assert call("manifest-summary", str(runs[0]), "--format", "intoto")[0] == 4


def test_without_runs_the_commands_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    """An empty project lists nothing and names nothing."""
    monkeypatch.chdir(tmp_path)

    assert call("ls-runs")[:2] == (0, "no runs\n")
    assert call("manifest-summary", "--root", ".")[:2] == (0, "no runs\n")
    assert call("manifest-summary")[0] == call("events", "last")[0] == 4
    assert call("ls-runs", "--root", "missing")[0] == 4


def test_a_page_lies_beside_what_it_is_about(project: Path, call: Call) -> None:
    """In the working folder the next run would stage it; the newest run stays the newest."""
    older = make_run(project, "20260101T000000Z", OURS)
    newer = make_run(project, "20260601T000000Z", OURS)
    os.utime(older, (1, 1))
    assert 0 == call("report", "20260101T000000Z")[0]
    assert (older / "report.html").read_text("utf-8").startswith("<!doctype html>")
    assert 1 == older.stat().st_mtime
    assert 0 == call("report", "--root", ".")[0]
    assert (newer.parent / "report.html").is_file()
    assert 0 == call("report", "last", "-o", "mine.html")[0]
    assert {"artifacts", "mine.html", "job.yaml"} == {one.name for one in project.iterdir()}


def test_a_run_of_the_predecessor_is_told_by_every_command(tmp_path: Path, call: Call) -> None:
    """Its few events make a story, its cost is that of its manifest, its log is found."""
    place = {"gpu_id": "NVIDIA A40", "datacenter_id": "EU-SE-1"}
    events = [
        {"ts_utc": "2026-05-14T12:00:00+00:00", "event": "gpu_selected", **place},
        {
            "ts_utc": "2026-05-14T12:00:01+00:00",
            "event": "datacenter_failover",
            "from": "EU-SE-1",
            "to": "EU-RO-1",
            "reason": "no stock",
        },
        {
            "ts_utc": "2026-05-14T12:10:00+00:00",
            "event": "pod_killed_unexpected",
            "state": "EXITED",
            "note": "gone while the job ran",
        },
    ]
    folder = make_run(tmp_path, "20260514T120000Z", MANIFEST_2, events)
    (folder / "train.log").write_text("loss 0.1\n")
    told = call("events", str(folder))[1]

    assert "NVIDIA A40 · EU-SE-1" in told
    assert "EU-SE-1 → EU-RO-1: no stock" in told
    assert "the pod is EXITED: gone while the job ran" in told
    assert call("logs", str(folder))[1] == "loss 0.1\n"
    status = call("status", str(folder), "--offline")[1]
    assert "$0.60" in status
    assert "FAILED" in status
    code, _, _ = call("report", str(folder), "-o", str(tmp_path / "r.html"))
    assert (code, "loss 0.1" in (tmp_path / "r.html").read_text()) == (0, True)


def test_no_field_of_an_event_ends_its_story(tmp_path: Path, call: Call) -> None:
    """Fields of another type are shown as they stand, whichever event they are in."""
    odd = ["x", -1, [1], {"a": 1}, True, float("inf"), float("nan")]
    events = [
        line(name, **dict.fromkeys(kind.fields, value))
        for name, kind in EVENT_TYPES.items()
        for value in odd
    ]
    folder = make_run(tmp_path, "20260601T000000Z", None, events)

    assert call("events", str(folder))[0] == 0
    assert call("events", str(folder), "--verbose")[0] == 0


def test_json_is_json_whatever_a_file_holds(tmp_path: Path, call: Call) -> None:
    """NaN and infinities, which JSON does not know, come out as null."""
    nan, inf = float("nan"), float("-inf")
    spoilt = {**OURS, "failure": {"kind": nan}, "variables": {"a": inf}, "gpu_count": nan}
    folder = make_run(tmp_path, "20260601T000000Z", spoilt, [line("run_started", run_id=inf)])
    for number, name in ((nan, "20260601T000000Z"), (inf, "20260602T000000Z")):
        run = tmp_path / "artifacts/runpod" / name
        run.mkdir(exist_ok=True)
        (run / "plan.json").write_text(json.dumps({"plan": {"a": number}}))

    def refused(word: str) -> None:
        raise AssertionError(word)

    for command in (
        ("manifest-summary", str(folder), "--json"),
        ("manifest-summary", str(folder), "--format", "intoto"),
        ("events", str(folder), "--json"),
        ("events-query", "--root", str(tmp_path), "--json"),
        ("compare-runs", str(folder), str(folder.with_name("20260602T000000Z")), "--json"),
    ):
        json.loads(call(*command)[1], parse_constant=refused)

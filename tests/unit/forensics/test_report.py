"""The page about a run: its data, how they are thinned, and that text stays text."""

import base64
import hashlib
import html.parser
import json
import re
from pathlib import Path
from typing import Any

from forensic_cases import OURS, line, make_run
from runpod_deploy.forensics.report import run_data as module
from runpod_deploy.forensics.report.page import embedded, render, run_page, runs_page
from runpod_deploy.forensics.report.run_data import log_tail, run_data
from runpod_deploy.forensics.report.series import POINTS, chart_series
from runpod_deploy.record.metrics import MetricSample

HOSTILE = "</script><script>alert(1)</script><!-- \u2028 & ' \" `"
DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def stamp(second: int) -> str:
    """Return a time of that many seconds into an hour."""
    return f"2026-06-01T00:{second // 60:02}:{second % 60:02}Z"


def shown(page: str) -> dict[str, Any]:
    """Return the data that a page carries."""
    found = DATA.search(page)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


class Tags(html.parser.HTMLParser):
    """Notes each element that a browser would make."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002 - the base's signature
        """Note one."""
        self.tags.append(tag)


def test_no_text_of_a_run_becomes_an_element(tmp_path: Path) -> None:
    """Names, logs and reasons that look like HTML are data, and the page has our elements only."""
    folder = make_run(
        tmp_path,
        "20260601T000000Z",
        {**OURS, "job_name": HOSTILE, "image": HOSTILE},
        [line("warning", code="c", message=HOSTILE)],
    )
    (folder / "run.log").write_text(HOSTILE)
    page = run_page(folder)
    tags = Tags()
    tags.feed(page)

    assert sorted(tags.tags) == sorted(
        [*("html", "head", "title", "style", "body", "main", "noscript"), *["meta"] * 5]
        + ["script"] * 2
    )
    assert shown(page)["summary"]["job_name"] == HOSTILE
    assert shown(page)["log"]["text"] == HOSTILE


def test_the_policy_allows_this_script_and_nothing_else(tmp_path: Path) -> None:
    """The hashes are those of the script and the style in the page; every other source is closed."""
    page = run_page(make_run(tmp_path, "20260601T000000Z", OURS))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)

    assert len(scripts) == 1
    assert policy is not None
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}';" in policy[1]
    assert not re.search(r"""(?:src|href)\s*=\s*["']?https?:""", page)


def test_data_that_json_cannot_say_are_left_open() -> None:
    """Infinity and NaN of a foreign file become null, and markup is written as escapes."""
    text = embedded({"a": [float("inf"), float("nan"), 1.5], "b": HOSTILE})

    assert json.loads(text) == {"a": [None, None, 1.5], "b": HOSTILE}
    assert not set(text) & set("<>&\u2028")


def test_steps_and_marks_have_their_times(tmp_path: Path) -> None:
    """A step that was begun again stands there twice, one that never ended has no end."""
    events = [
        line("run_started", stamp(0), run_id="r"),
        line("step_started", stamp(1), step="connect"),
        line("step_failed", stamp(3), step="connect", duration_sec=2, error="no"),
        line("step_started", stamp(4), step="connect"),
        line("step_completed", stamp(6), step="connect", duration_sec=2),
        line("step_started", stamp(6), step="execute"),
        line("remote_step_started", stamp(7), name="epoch", log_offset=1),
        line("remote_step_completed", stamp(9), name="epoch", log_offset=2),
    ]
    data = run_data(make_run(tmp_path, "20260601T000000Z", None, events))
    began = data["steps"][0]["start"]

    rows = [(row["name"], row["state"], (row["end"] or began) - began) for row in data["steps"]]
    assert rows == [
        ("connect", "failed", 2),
        ("connect", "completed", 5),
        ("execute", "started", 0),
    ]
    assert [row["end"] - row["start"] for row in data["marks"]] == [2]
    assert data["cause"] is None


def test_the_step_of_a_failed_job_is_bad_and_what_follows_is_the_undoing(tmp_path: Path) -> None:
    """As the live view shows it: the watching went well, what was watched did not."""
    ended = {"exit_code": 3, "cause": "exit_code", "log_bytes": 0, "failure_markers_seen": []}
    events = [
        line("run_started", stamp(0), run_id="r"),
        line("step_started", stamp(1), step="execute"),
        line("job_ended", stamp(2), outcome="failed", success_marker_seen=None, **ended),
        line("step_completed", stamp(2), step="execute", duration_sec=1),
        line("state_changed", stamp(3), state="UNDOING", cause="exit_code"),
        line("state_changed", stamp(9), state="FAILED", cause="exit_code"),
    ]
    rows = run_data(make_run(tmp_path, "20260601T000000Z", None, events))["steps"]

    assert [(row["name"], row["state"], row["end"] - row["start"]) for row in rows] == [
        ("execute", "failed", 1),
        ("undo", "completed", 6),
    ]


def test_a_step_that_several_executors_were_at_is_one(tmp_path: Path) -> None:
    """It begins with the first and ends with the run, when none of them told of its end."""
    events = [
        line("run_started", stamp(0), run_id="r"),
        line("step_started", stamp(1), step="execute"),
        line("run_started", stamp(5), run_id="r"),
        line("step_started", stamp(5), step="execute"),
        *(line("remote_step_started", stamp(6), name=f"m{n}", log_offset=1) for n in range(2100)),
        line("state_changed", stamp(9), state="CANCELLED", cause="cancelled"),
    ]
    data = run_data(make_run(tmp_path, "20260601T000000Z", None, events))

    (row,) = data["steps"]
    assert (row["end"] - row["start"], row["state"]) == (8, "failed")
    assert (data["marks_count"], len(data["marks"]), data["events_cut"]) == (2100, 2000, False)


def test_the_cause_comes_with_its_evidence(tmp_path: Path) -> None:
    """What the manifest found out is shown; without it, the step's own words are."""
    evidence = {"kind": "cuda_oom", "text": "t", "evidence": {"file": "run.log", "line": 3}}
    with_it = make_run(tmp_path, "20260601T000000Z", {**OURS, "failure": evidence})
    events = [
        line("step_failed", step="setup", duration_sec=1, cause="remote_command", error="exit 2"),
        line("state_changed", state="FAILED", cause="remote_command"),
    ]
    without = make_run(tmp_path, "20260601T000001Z", None, events)

    assert run_data(with_it)["cause"] == evidence
    assert run_data(without)["cause"] == {
        "cause": "remote_command",
        "text": "exit 2",
        "evidence": None,
    }


def test_what_differs_from_the_plan_is_told(tmp_path: Path) -> None:
    """Another commit and another GPU than the first choice are drift, `any` datacenter is not."""
    folder = make_run(tmp_path, "20260601T000000Z", OURS)
    plan = {
        "plan": {"candidates": [{"gpu": "NVIDIA L4", "datacenter": None, "cloud": "SECURE"}]},
        "observed": {"git": {"sha": "cd" * 20}, "lockfile": {"sha256": "cd" * 32}},
    }
    (folder / "plan.json").write_text(json.dumps(plan))

    assert [row["field"] for row in run_data(folder)["drift"]] == [
        "git commit",
        "GPU (first choice)",
    ]


def test_a_long_log_is_shown_by_its_end(tmp_path: Path) -> None:
    """The end comes in whole lines; what stands before is counted."""
    path = tmp_path / "run.log"
    path.write_bytes(b"".join(b"line %09d\n" % number for number in range(60_000)))
    tail = log_tail(path)

    assert tail["cut"]
    assert tail["bytes"] == path.stat().st_size
    assert tail["text"].startswith("line ")
    assert tail["text"].endswith("line 000059999\n")
    assert len(tail["text"]) <= module.LOG_TAIL_BYTES
    assert log_tail(tmp_path / "none") == {"text": "", "bytes": 0, "cut": False}


def test_samples_are_thinned_and_keep_their_mean() -> None:
    """However many there are, a chart gets few, and the average stays what it was."""
    total = 20 * POINTS
    samples = (
        MetricSample(
            f"2026-06-{1 + n // 86400:02}T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}Z",
            {"gpus": [{"index": 0, "util_pct": 100 if n % 2 else 0}]},
        )
        for n in range(total)
    )
    columns = chart_series(samples)
    values = columns["gpu0_util_pct"]

    assert POINTS <= len(values) <= 2 * POINTS
    assert sum(values) / len(values) == 50
    assert set(columns) == {"t", "gpu0_util_pct"}


def test_numbers_beyond_a_float_draw_nothing(tmp_path: Path) -> None:
    """What a pod writes may be any number that JSON can say."""
    folder = make_run(tmp_path, "20260601T000000Z", OURS)
    row = {"host_mem_used_mb": 10**308, "host_mem_total_mb": 10**308, "net_rx_bytes": 10**308}
    rows = [{"ts_utc": f"2026-06-01T00:00:0{n}Z", **row} for n in range(3)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))

    assert run_page(folder)


def test_counters_become_rates() -> None:
    """Network totals are shown per second; after a restart of the pod there is a gap."""
    totals = [0, 100, 300, 50]
    samples = [
        MetricSample(stamp(10 * n), {"net_rx_bytes": total}) for n, total in enumerate(totals)
    ]

    assert chart_series(samples)["net_rx"] == [None, 10.0, 20.0, None]


def test_a_page_of_many_runs_holds_each(tmp_path: Path) -> None:
    """Runs of every version stand in one table; artifacts in detail are left to their own page."""
    folders = [make_run(tmp_path, "20260601T000000Z", OURS), make_run(tmp_path, "20260602T000000Z")]
    data = shown(runs_page(folders, "All"))

    assert [row["folder"] for row in data["runs"]] == [folder.name for folder in folders]
    assert data["runs"][0]["bytes"] == 4096
    assert "artifacts" not in data["runs"][0]


def test_a_title_is_text_in_the_head_too() -> None:
    """The name of a job also stands in the page's title, escaped."""
    page = render({"kind": "runs", "title": HOSTILE, "runs": []})

    assert "<title>&lt;/script&gt;" in page

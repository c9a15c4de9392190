"""Whatever lies in a run folder, reading it never fails and never makes up a success."""

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from forensic_cases import MANIFEST_2, OURS, line
from runpod_deploy.errors import InvalidInput
from runpod_deploy.forensics import (
    compare,
    iter_events,
    iter_metrics,
    load_manifest,
    summarise,
    walk_run_dirs,
)
from runpod_deploy.forensics.find import find_run
from runpod_deploy.forensics.intoto import statement
from runpod_deploy.forensics.log import log_of, offset_of_last
from runpod_deploy.forensics.query import Filter, query
from runpod_deploy.forensics.report.run_data import run_data
from runpod_deploy.forensics.status import read_status
from runpod_deploy.forensics.typical import typical_run
from runpod_deploy.record.failure import classify
from runpod_deploy.record.records import JobEnd, Run
from runpod_deploy.record.run_request import asked
from runpod_deploy.record.states import RunState
from runpod_deploy.record.tolerant import finite

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["SUCCEEDED", "success", "2026-06-01T00:00:00Z", "9" * 400]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
EVENTS = [
    line("run_started", run_id="r", job_name="j"),
    line("pod_create_intended", op_id="n", name="n", gpu_id="g"),
    line("pod_create_settled", op_id="n", outcome="created", pod_id="p", cost_per_hour_usd=1.0),
    line("step_completed", step="check", duration_sec=1.0),
    line("artifact_pull_completed", label="a", files=1, bytes=2),
    line("state_changed", state="SUCCEEDED", cause=None),
]


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Return `whole` cut, with bytes replaced, or its lines in another order."""
    how = draw(st.sampled_from(["cut", "noise", "order", "random"]))
    if how == "cut":
        return whole[: draw(st.integers(0, len(whole)))]
    if how == "order":
        return b"\n".join(draw(st.permutations(whole.split(b"\n"))))
    if how == "random":
        return draw(st.binary(max_size=200))
    at = draw(st.integers(0, len(whole)))
    return whole[:at] + draw(st.binary(min_size=1, max_size=20)) + whole[at + 1 :]


@st.composite
def bent(draw: st.DrawFn, document: dict[str, Any]) -> bytes:
    """Return a document with some values replaced by anything JSON can say."""
    names = draw(st.lists(st.sampled_from(sorted(document)), max_size=6))
    return json.dumps({**document, **{name: draw(JSON) for name in names}}).encode()


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


OTHERS = (
    *("run.log", "commands.log", "dmesg_tail.txt", "nvidia_smi_start.txt", "nvidia_smi_end.txt"),
    *("pod_describe_start.json", "pod_describe_end.json", "remote_env.json", "source.patch"),
    *(".executor.json", ".apply.json", ".pulled.json", ".request.json", "known_hosts"),
    # Beside those that a case always draws, another time: a plan that is not the manifest.
    "plan.json",
)
KILLED = JobEnd(
    outcome="failed",
    exit_code=137,
    cause="exit_code",
    log_bytes=0,
    success_marker_seen=None,
    failure_markers_seen=(),
)
BENT_EVENTS = st.lists(st.sampled_from(EVENTS).flatmap(bent), max_size=8).map(b"\n".join)
MANIFESTS = (
    bent(OURS)
    | bent(MANIFEST_2)
    | damaged(json.dumps(OURS).encode())
    | JSON.map(lambda value: json.dumps(value).encode())
)


@settings(max_examples=200, deadline=None)
@given(
    manifest=st.none() | MANIFESTS,
    events=st.none() | damaged(_lines(EVENTS)) | BENT_EVENTS,
    metrics=st.none() | damaged(_lines([{"ts_utc": "t", "gpus": [{"util_pct": 1}]}])),
    freeze=st.none() | st.binary(max_size=80),
    others=st.dictionaries(st.sampled_from(OTHERS), st.binary(max_size=80) | MANIFESTS),
)
def test_no_file_of_a_run_folder_breaks_a_reader(
    manifest: bytes | None,
    events: bytes | None,
    metrics: bytes | None,
    freeze: bytes | None,
    others: dict[str, bytes],
) -> None:
    """Bytes, truncations, other orders and other types are read as far as they make sense."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "artifacts/runpod/20260601T000000Z"
        folder.mkdir(parents=True)
        for name, content in (
            ("runpod_deploy_pull_manifest.json", manifest),
            ("events.jsonl", events),
            ("metrics.jsonl", metrics),
            ("pip_freeze.txt", freeze),
            ("plan.json", manifest),
            *others.items(),
        ):
            if content is not None:
                (folder / name).write_bytes(content)

        assert walk_run_dirs(Path(root)) == [folder]
        run = summarise(folder)
        read = load_manifest(folder)
        if read is not None:
            assert not run.succeeded or read["failed"] is False
            assert not run.succeeded or read.get("state", "SUCCEEDED") == "SUCCEEDED"
            with contextlib.suppress(InvalidInput):
                json.dumps(statement(read), allow_nan=False)
        list(iter_events(folder))
        for sample in iter_metrics(folder):
            assert sample.gpus == tuple(sorted(sample.gpus, key=lambda gpu: gpu.index))
        compare(folder, folder)
        list(query([folder], [Filter("event", "run_started")]))
        assert read_status(folder, 1.8e9).folder == folder
        if log_of(folder).exists():
            offset_of_last(log_of(folder), 3)
        asked(folder)
        typical_run(Path(root), "new", cloud="runpod", gpu=None)
        assert find_run("last", Path(root)) == folder
        classify(Run(state=RunState.FAILED, job_end=KILLED), folder)
        json.dumps(finite(run_data(folder)), default=str, allow_nan=False)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.dictionaries(st.sampled_from(["a", "b", "é"]), JSON), max_size=6),
    key=st.sampled_from(["a", "b", "é", "event"]),
    text=st.text(max_size=6) | st.sampled_from(["true", "0", "1.0", "null", "e", "9" * 400]),
    escaped=st.booleans(),
)
def test_looking_for_bytes_first_changes_no_answer(
    rows: list[dict[str, Any]], key: str, text: str, escaped: bool
) -> None:
    """The lines that are parsed are enough: reading all of them finds the same."""
    wanted = Filter(key, text)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        lines = [json.dumps({"event": "e", **row}, ensure_ascii=escaped) for row in rows]
        content = "\n".join(lines).encode("utf-8", "backslashreplace")
        (folder / "events.jsonl").write_bytes(content)
        slow = [event for event in iter_events(folder) if wanted.holds(event)]
        fast = [match.event for match in query([folder], [wanted])]
        # Not by ==: a field may hold NaN.
        assert [repr(one.line()) for one in fast] == [repr(one.line()) for one in slow]

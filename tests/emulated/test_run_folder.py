"""What a run leaves behind: every file that is promised, each true to its schema, and its commands."""

import json

import pytest

from record_cases import validator
from runpod_deploy.forensics import load_events, load_metrics
from support.command import Bench

pytestmark = pytest.mark.emulated

PROMISED = {
    *("run.log", "events.jsonl", "metrics.jsonl", "runpod_deploy_pull_manifest.json", "plan.json"),
    *("nvidia_smi_start.txt", "nvidia_smi_end.txt", "pod_describe_start.json"),
    *("pod_describe_end.json", "remote_env.json"),
}
MARKS = 5000
BURST = f"""\
i=0
while [ $i -lt {MARKS} ]; do
  i=$((i + 1))
  echo "__RUNPOD_STEP_START__s${{i}}__
__RUNPOD_STEP_DONE__s${{i}}__"
done
"""


@pytest.mark.parametrize("code", [0, 3])
def test_every_promised_file_is_there_also_after_a_failure(bench: Bench, code: int) -> None:
    """Samples of both GPUs, masked pod objects, the log to its last byte, and true schemas."""
    bench.extra["PLANTED_TOKEN"] = "planted-token-value"
    bench.job(
        pod={"gpu_count": 2},
        telemetry={"sample_interval_sec": 5},
        secrets=[{"name": "t", "destination": "/root/t.env", "env": ["PLANTED_TOKEN"]}],
        run={"body": f"sleep 6; echo $PLANTED_TOKEN; printf 'no newline at the end'; exit {code}"},
    )
    status, output = bench.run("run", "job.yaml", "--cloud", "emulator")
    folder = bench.last_run()

    assert status == (1 if code else 0), output
    names = {path.name for path in folder.iterdir()}
    assert names >= PROMISED
    assert (folder / "run.log").read_text().endswith("no newline at the end")
    samples = load_metrics(folder)
    assert len(samples) >= 2
    assert all(len(sample.gpus) == 2 for sample in samples)
    assert samples[0]["gpu_ecc_errors"] is None
    described = json.loads((folder / "pod_describe_start.json").read_text())
    assert set(described["env"].values()) == {"***"}
    for path in folder.iterdir():
        if path.is_file():
            assert b"planted-token-value" not in path.read_bytes(), path.name
    manifest = json.loads((folder / "runpod_deploy_pull_manifest.json").read_text())
    assert not list(validator("manifest").iter_errors(manifest))
    assert set(manifest["telemetry_files"]) >= PROMISED - {"runpod_deploy_pull_manifest.json"}
    for line in (folder / "events.jsonl").read_text().splitlines():
        assert not list(validator("event").iter_errors(json.loads(line))), line
    assert not list(validator("plan").iter_errors(json.loads((folder / "plan.json").read_text())))


def test_commands_over_the_run_agree_with_it(bench: Bench) -> None:
    """The gate, the list, the search and the report work on what `run` wrote."""
    bench.job(run={"body": "exit 4"})
    bench.run("run", "job.yaml", "--cloud", "emulator")
    bench.job(run={"body": "true"})
    bench.run("run", "job.yaml", "--cloud", "emulator")
    failed, good = bench.runs()

    assert bench.run("manifest-summary", "last")[0] == 0
    assert bench.run("manifest-summary", str(failed))[0] == 1
    _, told = bench.run("ls-runs", "--json")
    assert [run["exit_code"] for run in json.loads(told)] == [4, 0]
    _, told = bench.run("compare-runs", failed.name, "last")
    assert "exit_code" in told
    _, told = bench.run("events-query", "--filter", "event=job_ended", "--json")
    rows = [json.loads(line) for line in told.splitlines()]
    assert [row["exit_code"] for row in rows] == [4, 0]
    assert bench.run("report", good.name, "-o", "page.html")[0] == 0
    assert (bench.project / "page.html").stat().st_size > 10_000


def test_markers_that_come_all_at_once_are_all_seen(bench: Bench) -> None:
    """Thousands within a second give as many starts and ends, in order, each once."""
    bench.job(run={"body": BURST})
    status, output = bench.run("run", "job.yaml", "--cloud", "emulator", timeout=300)
    marks = [
        (event.event, event["name"])
        for event in load_events(bench.last_run())
        if event.event.startswith("remote_step_")
    ]
    expected = [
        (name, f"s{number}")
        for number in range(1, MARKS + 1)
        for name in ("remote_step_started", "remote_step_completed")
    ]

    assert status == 0, output
    assert marks == expected

"""Whole sweeps on the emulator: each run in its folder, failures told, pods gone."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from runpod_deploy.schema.hover import published_schema
from support.command import Bench

pytestmark = pytest.mark.emulated
CLOUD = ("--cloud", "emulator")
BODY = """\
mkdir -p /root/out
echo "{{ seed }} {{ lr }}" > /root/out/result.txt
[ {{ seed }} != 2 ] || [ -e /root/never ]
"""


def sweep_job(bench: Bench, **matrix: Any) -> None:
    """Write a job file whose runs with seed 2 fail."""
    bench.job(
        name="tune",
        variables={"lr": "1e-3"},
        run={"body": BODY},
        artifacts=[{"label": "out", "remote_path": "/root/out", "required": False}],
        budget={"cost_cap_usd": 1},
        matrix={"axes": {"seed": [1, 2], "lr": ["1e-4", "3e-4"]}, **matrix},
    )


def sweep_folder(bench: Bench) -> Path:
    """Return the folder of the newest sweep."""
    return max((bench.project / "artifacts/runpod/.sweeps").iterdir())


def manifest(bench: Bench) -> dict[str, Any]:
    """Return the manifest of the newest sweep."""
    data: dict[str, Any] = json.loads((sweep_folder(bench) / "sweep_manifest.json").read_text())
    Draft202012Validator(json.loads(published_schema("sweep-manifest"))).validate(data)
    return data


def states(bench: Bench) -> dict[str, str]:
    """Return how each run of the newest sweep ended."""
    return {one["shard"]: one["state"] for one in manifest(bench)["shards"]}


def test_every_run_has_its_folder_and_its_end(bench: Bench) -> None:
    """Two of four runs fail: the others succeed, results lie in each folder, exit status 1."""
    sweep_job(bench, max_parallel=2)

    status, output = bench.run("run", "job.yaml", *CLOUD, timeout=240)

    assert 1 == status, output
    assert "2 succeeded, 2 failed" in output
    told = manifest(bench)
    assert {one["shard"]: one["state"] for one in told["shards"]} == {
        "seed=1_lr=1e-4": "SUCCEEDED",
        "seed=1_lr=3e-4": "SUCCEEDED",
        "seed=2_lr=1e-4": "FAILED",
        "seed=2_lr=3e-4": "FAILED",
    }
    for one in told["shards"]:
        run = bench.project / one["run_dir"]
        assert run.name.endswith(f"-{one['shard']}")
        seed, lr = one["values"].values()
        assert f"{seed} {lr}\n" == (run / "out/result.txt").read_text()
        own = json.loads((run / "runpod_deploy_pull_manifest.json").read_text())
        assert own["state"] == one["state"]
        assert own["cost"]["accrued_usd"] == pytest.approx(one["cost_usd"], abs=0.01)
    assert told["cost_usd"] == pytest.approx(
        sum(one["cost_usd"] for one in told["shards"]), abs=1e-4
    )
    assert bench.pods() == []


def test_a_saved_sweep_is_applied_once_and_in_parts(bench: Bench) -> None:
    """`--only` carries a part out; the file is then used up, and `--again` uses it once more."""
    sweep_job(bench)
    assert 0 == bench.run("plan", "job.yaml", "-o", "sweep.json")[0]

    status, output = bench.run(
        "apply", "sweep.json", "--yes", *CLOUD, "--only", "seed=1_lr=1e-4", timeout=240
    )
    assert 0 == status, output
    assert len(bench.runs()) == 1
    status, output = bench.run("apply", "sweep.json", "--yes", *CLOUD)
    assert 6 == status
    assert "was applied already" in output
    status, output = bench.run(
        *("apply", "sweep.json", "--yes", *CLOUD, "--again", "--only", "seed=1"), timeout=240
    )
    assert 0 == status, output
    assert len(bench.runs()) == 3
    assert bench.pods() == []


def test_what_failed_is_begun_again(bench: Bench) -> None:
    """`--retry-failed` on the sweep's folder leaves what succeeded alone and tries the rest anew."""
    flaky = bench.write("flaky.txt", "no")
    bench.job(
        name="tune",
        run={"body": "[ {{ seed }} = 1 ] || grep -q yes /root/token\n"},
        secrets=[{"name": "token", "file": "flaky.txt", "destination": "/root/token"}],
        matrix={"axes": {"seed": [1, 2]}},
    )
    assert 1 == bench.run("run", "job.yaml", *CLOUD, timeout=240)[0]
    assert states(bench) == {"seed=1": "SUCCEEDED", "seed=2": "FAILED"}

    flaky.write_text("yes")
    folder = str(sweep_folder(bench))
    status, output = bench.run("apply", folder, "--retry-failed", "--yes", *CLOUD, timeout=240)

    assert 0 == status, output
    assert states(bench) == {"seed=1": "SUCCEEDED", "seed=2": "SUCCEEDED"}
    assert len(bench.runs()) == 3
    assert [len(one["tries"]) for one in manifest(bench)["shards"]] == [1, 2]
    assert bench.pods() == []


def test_fail_fast_releases_every_pod(bench: Bench) -> None:
    """The first failure ends the runs that would sleep for long, and no pod is left."""
    bench.job(
        name="tune",
        run={"body": "[ {{ seed }} != 1 ] && sleep 600\nexit 3\n"},
        matrix={"axes": {"seed": [1, 2, 3]}, "max_parallel": 2, "fail_fast": True},
    )

    status, output = bench.run("run", "job.yaml", *CLOUD, timeout=240)

    assert 1 == status, output
    assert states(bench) == {"seed=1": "FAILED", "seed=2": "CANCELLED", "seed=3": "SKIPPED"}
    assert bench.pods() == []


def test_flags_of_sweeps_are_refused_elsewhere(bench: Bench) -> None:
    """What goes with a sweep alone, and what goes with one run alone, is said so with status 4."""
    bench.job()
    assert 4 == bench.run("run", "job.yaml", *CLOUD, "--only", "seed=1")[0]
    assert 4 == bench.run("run", "job.yaml", *CLOUD, "--retry-failed")[0]
    sweep_job(bench)
    status, output = bench.run("run", "job.yaml", *CLOUD, "--only", "sed=1")
    assert 4 == status
    assert "Did you mean `seed=1`?" in output
    assert 4 == bench.run("run", "job.yaml", *CLOUD, "--allow", "payload")[0]
    assert 4 == bench.run("estimate", "job.yaml", *CLOUD)[0]
    assert 4 == bench.run("apply", ".", "--yes", *CLOUD)[0]


def test_a_large_sweep_survives_stock_outs_failures_and_a_kill(bench: Bench) -> None:
    """24 runs, three stock-outs, two failures, one SIGKILL in the middle: 22 succeed, no pod is left."""
    bench.emulator("stock-out:times=3,skip=5")
    bench.job(
        name="tune",
        run={"body": "sleep 0.5\n[ {{ seed }} != 7 ] || exit 3\n[ {{ seed }} != 8 ] || exit 4\n"},
        budget={"cost_cap_usd": 1, "sweep_cap_usd": 30},
        telemetry={"enabled": False},
        matrix={"axes": {"seed": list(range(24))}, "max_parallel": 4},
    )
    process = bench.start("run", "job.yaml", *CLOUD)
    deadline = time.monotonic() + 300
    while ended(bench) < 8:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

    status, output = bench.run("resume", str(sweep_folder(bench)), timeout=400)

    assert 1 == status, output
    told = manifest(bench)
    failed = {one["shard"]: one["reason"] for one in told["shards"] if one["state"] == "FAILED"}
    assert failed == {"seed=7": "exit_code", "seed=8": "exit_code"}
    assert 22 == list(states(bench).values()).count("SUCCEEDED")
    assert told["cost_usd"] < 30
    for one in told["shards"]:
        own = json.loads(
            (bench.project / one["run_dir"] / "runpod_deploy_pull_manifest.json").read_text()
        )
        assert own["state"] == one["state"]
    stock_outs = [
        one for shard in told["shards"] for one in shard["tries"] if one["cause"] == "StockOut"
    ]
    assert 3 == len(stock_outs)
    assert bench.pods() == []


def ended(bench: Bench) -> int:
    """Return how many runs of the newest sweep have ended so far."""
    sweeps = bench.project / "artifacts/runpod/.sweeps"
    journals = list(sweeps.glob("*/events.jsonl")) if sweeps.exists() else []
    return sum(one.read_text().count('"shard_ended"') for one in journals)

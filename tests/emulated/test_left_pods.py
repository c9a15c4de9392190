"""Pods that are left: found from an empty machine, ended until the API says so, never a foreign one."""

import json
from typing import Any

import pytest

from support.command import Bench, wait_until

pytestmark = pytest.mark.emulated
CLOUD = ("--cloud", "emulator")


def left_running(bench: Bench) -> str:
    """Kill a run in the middle with SIGKILL and return the id of its pod."""
    bench.job(run={"body": "sleep 600"})
    before = len(bench.runs())
    process = bench.start("run", "job.yaml", *CLOUD)
    wait_until(lambda: len(bench.runs()) > before, 60)
    wait_until(lambda: any(e["event"] == "exec_start_settled" for e in events(bench)), 60)
    process.kill()
    process.communicate()
    (pod,) = bench.pods()
    pod_id: str = pod["id"]
    return pod_id


def events(bench: Bench) -> list[dict[str, Any]]:
    """Return the events so far."""
    return bench.events() if bench.runs() and (bench.last_run() / "events.jsonl").exists() else []


def owner(bench: Bench) -> str:
    """Return who the bench is."""
    return (bench.root / "config" / "runpod-deploy" / "owner").read_text().strip()


def reaped(bench: Bench, *args: str) -> tuple[int, dict[str, Any]]:
    """Call `reap --json`."""
    status, output = bench.run("reap", *CLOUD, "--json", *args)
    return status, json.loads(output[output.index("{") :])


def test_reap_leaves_what_may_be_wanted_and_what_is_anothers(bench: Bench) -> None:
    """A dry run lists, `--yes` deletes only what is over, another owner sees nothing of it."""
    bench.emulator()
    pod_id = left_running(bench)
    status, told = reaped(bench, "--yes")

    assert status == 0
    assert [(row["pod_id"], row["verdict"]) for row in told["pods"]] == [(pod_id, "wanted")]
    assert reaped(bench, "--owner", "somebody-else", "--yes")[1]["pods"] == []
    assert [pod["id"] for pod in bench.pods()] == [pod_id]


def test_an_empty_machine_needs_the_owners_name(bench: Bench) -> None:
    """Without one it asks for it; with it, the account alone tells what is left."""
    bench.emulator()
    pod_id = left_running(bench)
    whose = owner(bench)
    (bench.root / "config" / "runpod-deploy" / "owner").unlink()

    status, output = bench.run("reap", *CLOUD)
    assert (status, "--owner" in output) == (4, True)
    status, told = reaped(bench, "--owner", whose)
    assert status == 0
    assert [row["pod_id"] for row in told["pods"]] == [pod_id]


def test_stopped_pods_are_listed_with_what_they_cost_and_cleaned_up(bench: Bench) -> None:
    """Disk at the price of a stopped one; a no does nothing; cleanup ends them."""
    bench.emulator()
    bench.job(
        storage={"mode": "ephemeral", "volume_gb": 30},
        lifecycle={"on_failure": "stop"},
        run={"body": "exit 1"},
    )
    bench.run("run", "job.yaml", *CLOUD)
    status, output = bench.run("ls-stale", *CLOUD, "--json")
    (row,) = json.loads(output[output.index("[") :])

    assert status == 0
    assert (row["status"], row["volume_gb"], row["storage_usd_per_day"]) == ("EXITED", 30, 0.2)
    assert row["age_hours"] is not None
    status, output = bench.run("cleanup", str(bench.last_run()), *CLOUD, "--dry-run")
    assert (status, "Nothing was done" in output) == (0, True)
    status, output = bench.run("cleanup", "--all-stopped", *CLOUD)
    assert (status, "--yes" in output) == (4, True)
    status, output = bench.run("cleanup", "--all-stopped", *CLOUD, "--yes")
    assert (status, bench.pods()) == (0, []), output


def test_cleanup_does_not_touch_what_is_anothers(bench: Bench) -> None:
    """Not even by its id; an earlier release deleted every stopped pod of the account."""
    bench.emulator()
    pod_id = left_running(bench)
    bench.extra["RUNPOD_DEPLOY_OWNER"] = "colleague"
    status, output = bench.run("cleanup", pod_id, *CLOUD, "--yes")

    assert (status, "not a pod of yours" in output) == (4, True)
    assert [pod["id"] for pod in bench.pods()] == [pod_id]
    state = bench.write("state.json", json.dumps({"pod_id": pod_id}))
    assert bench.run("cleanup", "--state-file", str(state), *CLOUD, "--yes")[0] == 4
    del bench.extra["RUNPOD_DEPLOY_OWNER"]
    assert bench.run("cleanup", "--state-file", str(state), *CLOUD, "--yes")[0] == 0
    assert bench.pods() == []


def test_runs_are_held_against_the_bill(bench: Bench) -> None:
    """What was billed stands in the manifest, and pods of no run here are told."""
    bench.emulator()
    bench.job(run={"body": "sleep 2"})
    bench.run("run", "job.yaml", *CLOUD)
    status, output = bench.run("reconcile", "last", *CLOUD, "--json")
    (run,) = json.loads(output[output.index("{") :])["runs"]

    assert status == 0
    assert run["billed_usd"] == pytest.approx(run["accrued_usd"], rel=0.5)
    assert bench.manifest()["cost"]["billed_usd"] == pytest.approx(run["billed_usd"], abs=1e-5)
    left_running(bench)
    status, output = bench.run("reconcile", "--root", ".", *CLOUD)
    assert status == 0
    assert "known to no run there" in output

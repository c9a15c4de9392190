"""A job as a Pulumi resource: whole runs inside of Pulumi's plugin process, on real pods."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pulumi")

from runpod_deploy.compiler.canonical import canonical
from runpod_deploy.emulator import client
from runpod_deploy.pulumi.job_provider import JobProvider
from support.command import Bench, wait_until
from support.pulumi_plugin import UNKNOWN, Plugin, PluginError, plugin

pytestmark = pytest.mark.emulated

RESULT = [{"label": "result", "remote_path": "/root/out/", "local_path": "{{ run_dir }}/result"}]


@pytest.fixture
def job(bench: Bench) -> Iterator[Plugin]:
    """The plugin, as it runs in a project whose cloud is the emulator."""
    bench.emulator()
    with plugin(bench.project, **bench.env, RUNPOD_DEPLOY_CLOUD="emulator") as process:
        yield process.of(JobProvider())


def planned(bench: Bench, body: str = "mkdir -p /root/out && echo 42 > /root/out/answer\n") -> str:
    """Write a job and return the text of its plan, as the resource takes it from a saved plan."""
    bench.job(run={"body": body}, artifacts=RESULT)
    assert 0 == bench.run("plan", "job.yaml", "-o", "plan.json")[0]
    return canonical(json.loads((bench.project / "plan.json").read_bytes())).decode()


def requests(bench: Bench) -> int:
    """Return how many requests the emulated API of RunPod has had."""
    info = client.find(bench.env)
    assert info is not None
    rows = client.admin(info, "GET", "requests")["requests"]
    return sum(row["path"].startswith("/v2/") for row in rows)


def test_a_plan_is_applied_once_and_then_costs_no_call(bench: Bench, job: Plugin) -> None:
    """Made by a whole run; the same hash is no change, another one replaces; the results stay."""
    text = planned(bench)
    inputs = job.checked({"plan": text})
    assert json.loads(text)["plan_hash"] == inputs["plan_hash"]
    id_ = job.create(inputs, timeout=120)
    kept = job.kept
    manifest = bench.manifest()
    assert (id_, "SUCCEEDED", 0) == (manifest["run_id"], kept["state"], kept["exit_code"])
    run_dir = f"artifacts/runpod/{bench.last_run().name}"
    assert (run_dir, {"result": f"{run_dir}/result"}) == (kept["run_dir"], kept["artifacts"])
    assert "42\n" == (bench.project / kept["artifacts"]["result"] / "answer").read_text()
    assert manifest == json.loads((bench.project / kept["manifest_path"]).read_text())
    assert id_ == json.loads(kept["manifest"])["run_id"]
    assert [] == bench.pods()

    before = requests(bench)
    again = planned(bench)
    assert again != text
    assert ("none", []) == job.diff(id_, job.checked({"plan": again, "project": "."}))
    assert id_ == job.read(id_)[0]
    other = planned(bench, "echo other\nmkdir -p /root/out\n")
    assert ("replace", ["plan_hash"]) == job.diff(id_, job.checked({"plan": other}))
    job.delete(id_)
    assert before == requests(bench)
    assert (bench.project / run_dir / "result/answer").exists()

    # An engine that lost its state, or was killed after the run, gets the results that are there.
    assert id_ == job.of(JobProvider()).create(inputs, timeout=120)
    assert 1 == len(bench.runs())

    # A manifest that is gone is a job that is gone; that of another run is an error.
    file = bench.project / kept["manifest_path"]
    file.write_text(file.read_text().replace(id_, "another-run"))
    with pytest.raises(PluginError, match="is of another run than"):
        job.read(id_)
    file.unlink()
    assert "" == job.read(id_)[0]


def test_a_run_that_fails_makes_nothing_and_can_be_tried_again(bench: Bench, job: Plugin) -> None:
    """The error says where the run is; no pod is left; the same plan may run once more."""
    body = "test -e /proc/1/no-such-file || exit 3\n"
    inputs = job.checked({"plan": planned(bench, body)})
    for count in (1, 2):
        with pytest.raises(PluginError, match=r"ended as FAILED(.|\n)*artifacts/runpod/"):
            job.create(inputs, timeout=120)
        assert count == len(bench.runs())
    assert [] == bench.pods()


def test_a_run_whose_plugin_was_killed_is_carried_on(bench: Bench, job: Plugin) -> None:
    """The next attempt rents no second pod: it waits for the job that runs, and brings it home."""
    body = "mkdir -p /root/out\nsleep 5\necho 42 > /root/out/answer\n"
    inputs = job.checked({"plan": planned(bench, body)})
    call = job.later(inputs)
    wait_until(lambda: any("exec_start_settled" in line for line in journal(bench)), timeout=90)
    job.process.send_signal(signal.SIGKILL)
    job.process.wait()
    assert call.code() is not None
    with plugin(bench.project, **bench.env, RUNPOD_DEPLOY_CLOUD="emulator") as process:
        again = process.of(JobProvider())
        id_ = again.create(inputs, timeout=120)
        assert ("SUCCEEDED", 0) == (again.kept["state"], again.kept["exit_code"])
        assert "42\n" == (bench.project / again.kept["artifacts"]["result"] / "answer").read_text()
    assert id_ == bench.manifest()["run_id"]
    assert 1 == len(bench.runs())
    assert 1 == len(bench.history()["pods"])
    assert [] == bench.pods()


def journal(bench: Bench) -> list[str]:
    """Return the lines of the newest run's journal, [] before there is one."""
    files = [run / "events.jsonl" for run in bench.runs()]
    return files[-1].read_text().splitlines() if files and files[-1].exists() else []


def test_a_plan_that_cannot_be_is_refused_before_anything_runs(bench: Bench, job: Plugin) -> None:
    """Changed, broken or missing: told as a fault of the input; one that is not known yet may come."""
    data: dict[str, Any] = json.loads(planned(bench))
    data["plan"]["pod"]["gpu_count"] = 8
    assert "tampered" in job.check({"plan": json.dumps(data)})[1]["plan"]
    assert "plan" in job.check({"plan": "{"})[1]
    assert {"plan": "is needed"} == job.check({})[1]
    assert ({"plan": UNKNOWN, "plan_hash": UNKNOWN}, {}) == job.check({"plan": UNKNOWN})
    other = job.checked({"plan": planned(bench), "project": "/nonexistent"})
    with pytest.raises(PluginError, match="below /nonexistent"):
        job.create(other)
    assert [] == bench.runs()


def test_a_pod_that_the_job_kept_goes_with_the_resource(bench: Bench, job: Plugin) -> None:
    """`lifecycle.on_success: preserve` keeps it for as long as the resource is there."""
    bench.job(run={"body": "true\n"}, lifecycle={"on_success": "preserve", "on_failure": "delete"})
    assert 0 == bench.run("plan", "job.yaml", "-o", "plan.json")[0]
    text = canonical(json.loads((bench.project / "plan.json").read_bytes())).decode()
    id_ = job.create(job.checked({"plan": text}), timeout=120)
    assert 1 == len(bench.pods())
    job.delete(id_)
    assert [] == bench.pods()


def test_an_exported_project_runs_under_mocks_and_its_plan_can_be_applied(
    bench: Bench, job: Plugin
) -> None:
    """What `export pulumi` writes is a program, and lies outside of what the job stages."""
    from support.pulumi_program import run_program  # noqa: PLC0415 - needs Pulumi

    bench.write("main.sh", "mkdir -p /root/out && echo 42 > /root/out/answer\n")
    bench.job(
        run={"body": "bash /root/code/main.sh\n"},
        artifacts=RESULT,
        staging=[{"label": "code", "source": ".", "destination": "/root/code"}],
    )
    status, output = bench.run("export", "pulumi", "infra", "job.yaml")
    assert 0 == status, output
    told = run_program(Path(bench.project / "infra"), None, {"small": {"run_dir": "r"}})
    made = told["made"]["small"]
    assert "pulumi-python:dynamic/runpod_deploy:Job" == made["type"]
    assert "r" == told["exports"]["run"]
    inputs = job.checked({name: made["inputs"][name] for name in ("plan", "project")})
    job.create(inputs, timeout=120)
    assert "SUCCEEDED" == job.kept["state"]

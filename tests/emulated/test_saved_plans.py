"""Saved plans, as whole commands: applied once, refused when stale, and what may be allowed."""

import json
from pathlib import Path

from support.command import Bench

CODE = [{"label": "code", "source": "src", "destination": "/root/src"}]
APPLY = ("apply", "plan.json", "--cloud", "emulator", "--yes")


def staged_job(bench: Bench) -> None:
    """Write a job that sends `src/` and shows what arrived, and save its plan."""
    bench.write("src/main.sh", "echo planned\n")
    bench.job(staging=CODE, run={"body": "bash /root/src/main.sh\n"})
    assert 0 == bench.run("plan", "job.yaml", "-o", "plan.json")[0]


def claims(bench: Bench) -> list[Path]:
    """Return the claims of plans that were used up."""
    folder = bench.project / "artifacts/runpod/.claims"
    return list(folder.iterdir()) if folder.exists() else []


def test_of_two_applies_at_once_one_wins(bench: Bench) -> None:
    """Two processes, one plan: one run, one refusal, one pod ever created."""
    staged_job(bench)
    bench.emulator()
    both = [bench.start(*APPLY) for _ in range(2)]
    ends = sorted((one.wait(120), one.communicate()[0]) for one in both)

    assert [0, 6] == [status for status, _ in ends]
    assert "applied already" in ends[1][1]
    assert 1 == len(bench.runs())
    assert 1 == len(bench.history()["pods"])


def test_a_second_apply_says_where_it_ran_and_again_runs_it(bench: Bench) -> None:
    """The run folder is named; `--again` makes a second one, and a third try names that."""
    staged_job(bench)
    assert 0 == bench.run(*APPLY)[0]
    status, output = bench.run(*APPLY)
    assert 6 == status
    assert f"artifacts/runpod/{bench.last_run().name}" in output
    assert "--again" in output

    assert 0 == bench.run(*APPLY, "--again")[0]
    assert 2 == len(bench.runs())
    assert f"artifacts/runpod/{bench.last_run().name}" in bench.run(*APPLY)[1]


def test_a_stale_plan_names_what_changed_and_claims_nothing(bench: Bench) -> None:
    """Job file and files are looked at anew; the plan can be used once all is as it was."""
    staged_job(bench)
    before = (bench.project / "job.yaml").read_bytes()
    bench.job(
        staging=CODE,
        run={"body": "bash /root/src/main.sh\necho more\n"},
        pod={"image": "runpod/base:0.6.2-cuda12.2.0", "gpu_order": ["NVIDIA A40"]},
    )
    status, output = bench.run(*APPLY)
    assert 6 == status
    for part in ("candidates", "image", "scripts.run", "--allow candidates,image,scripts"):
        assert part in output
    assert "line 2: echo more" in output
    assert [] == claims(bench)
    assert [] == bench.runs()

    (bench.project / "job.yaml").write_bytes(before)
    assert 0 == bench.run(*APPLY)[0]


def test_only_what_is_named_may_differ(bench: Bench) -> None:
    """A script that drifted runs as it was planned; a payload that drifted travels as it is."""
    staged_job(bench)
    bench.job(staging=CODE, run={"body": "echo changed since\n"})
    bench.write("src/main.sh", "echo new\n")
    status, output = bench.run(*APPLY, "--allow", "payload")
    assert (6, True) == (status, "--allow payload,scripts" in output)
    assert 4 == bench.run(*APPLY, "--allow", "payload,skripts")[0]

    status, output = bench.run(*APPLY, "--allow", "payload,scripts")
    assert 0 == status, output
    assert "new" == (bench.last_run() / "run.log").read_text().strip()
    drifts = [one for one in bench.events() if one["event"] == "plan_drift"]
    assert {("payload.code.main.sh", "allowed"), ("scripts.run", "allowed")} <= {
        (one["field"], one["verdict"]) for one in drifts
    }
    planned = json.loads((bench.project / "plan.json").read_text())
    carried_out = json.loads((bench.last_run() / "plan.json").read_text())
    assert planned["plan_hash"] != carried_out["plan_hash"]
    assert planned["plan_id"] == carried_out["plan_id"]


def test_a_plan_with_variables_is_compiled_with_them_again(bench: Bench) -> None:
    """Values of the command line are kept beside the plan; a changed default is seen all the same."""
    bench.job(variables={"a": "1", "b": "1"}, run={"body": "echo {{ a }} {{ b }}\n"})
    bench.run("plan", "job.yaml", "--var", "a=7", "-o", "plan.json")
    bench.job(variables={"a": "2", "b": "2"}, run={"body": "echo {{ a }} {{ b }}\n"})
    status, output = bench.run(*APPLY)
    assert 6 == status
    assert "job.variables.b" in output
    assert "job.variables.a" not in output

    bench.job(variables={"a": "2", "b": "1"}, run={"body": "echo {{ a }} {{ b }}\n"})
    assert 0 == bench.run(*APPLY)[0]
    assert "7 1" == (bench.last_run() / "run.log").read_text().strip()

"""`apply` and `run` end to end: real HTTP, real SSH, real processes."""

import hashlib
import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from support.command import Bench

pytestmark = pytest.mark.emulated

EXAMPLES = Path(__file__).parents[2] / "examples"
RUN = ("run", "--cloud", "emulator")


def sha256(path: Path) -> str:
    """Return the hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_training_example_runs_to_verified_artifacts(bench: Bench) -> None:
    """The training example ends with model, metrics and a true manifest, and its pod gone."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "."], cwd=EXAMPLES / "train", capture_output=True, check=True
    ).stdout.split(b"\0")
    for name in (part.decode() for part in tracked if part):
        target = bench.project / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(EXAMPLES / "train" / name, target)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run([*git, "init", "-q", "-b", "main"], cwd=bench.project, check=True)
    subprocess.run([*git, "add", "-A"], cwd=bench.project, check=True)
    subprocess.run([*git, "commit", "-qm", "start"], cwd=bench.project, check=True)
    bench.extra["TRAIN_TOKEN"] = "planted-training-token"

    status, output = bench.run(
        "apply", "job.yaml", "--cloud", "emulator", "--yes", "--var", "epochs=6"
    )
    manifest = bench.manifest()

    # Six epochs may not reach the example's accuracy: the run is then a failure, truthfully told.
    assert status in {0, 1}, output
    assert manifest["failed"] is (status == 1)
    assert manifest["plan_hash"].startswith("sha256:")
    assert len(manifest["source"]["git"]["sha"]) == 40
    assert manifest["source"]["git"]["dirty"] is False
    lockfile = manifest["deploy_metadata"]["payload_lockfile"]
    assert manifest["deploy_metadata"]["payload_lockfile_sha256"] == sha256(
        bench.project / lockfile
    )
    model = next(row for row in manifest["artifacts"] if row["label"] == "model")
    assert model["status"] == "success"
    for entry in model["entries"]:
        assert sha256(bench.last_run() / "model" / entry["path"]) == entry["sha256"]
    assert (bench.last_run() / "metrics.json").stat().st_size > 0
    assert bench.pods() == []


def test_hello_example_succeeds(bench: Bench) -> None:
    """The smallest example ends with exit status 0 and its artifact."""
    shutil.copytree(EXAMPLES / "hello", bench.project, dirs_exist_ok=True)

    status, output = bench.run("apply", "job.yaml", "--cloud", "emulator", "--yes")

    assert status == 0, output
    assert bench.manifest()["exit_code"] == 0
    assert [row["status"] for row in bench.manifest()["artifacts"]] == ["success"]
    assert bench.pods() == []


def test_plan_hash_is_the_same_in_another_clone(bench: Bench, tmp_path: Path) -> None:
    """Two copies of a project in two folders give one plan hash; touching a file keeps it."""
    bench.job(staging=[{"label": "src", "source": "src", "destination": "/root/src"}])
    bench.write("src/a.py", "print(1)\n")
    bench.write("src/run me.sh", "#!/bin/sh\n", executable=True)
    other = tmp_path / "elsewhere" / "deep" / "project"
    shutil.copytree(bench.project, other)
    for file in other.rglob("*"):
        if file.is_file():
            file.touch()

    first = json.loads(bench.run("plan", "job.yaml", "--format", "json")[1])
    second = json.loads(bench.run("plan", "job.yaml", "--format", "json", cwd=other)[1])
    (other / "src" / "a.py").write_text("print(2)\n")
    third = json.loads(bench.run("plan", "job.yaml", "--format", "json", cwd=other)[1])

    assert second["plan_hash"] == first["plan_hash"]
    assert second["plan_id"] != first["plan_id"]
    assert third["plan_hash"] != first["plan_hash"]


def test_saved_plan_runs_its_saved_script(bench: Bench) -> None:
    """What was saved is what runs, when a job file that says something else by then is allowed."""
    bench.job(run={"body": "echo saved words\n"})
    assert bench.run("plan", "job.yaml", "-o", "a.json")[0] == 0
    bench.job(run={"body": "echo later words\n"})

    allow = ("--allow", "scripts")
    status, output = bench.run("apply", "a.json", "--cloud", "emulator", "--yes", *allow)

    assert status == 0, output
    assert (bench.last_run() / "run.log").read_text() == "saved words\n"


def test_saved_plan_is_applied_once(bench: Bench) -> None:
    """A second apply of a saved plan is refused with exit status 6 and creates nothing."""
    bench.job()
    bench.run("plan", "job.yaml", "-o", "a.json")
    assert bench.run("apply", "a.json", "--cloud", "emulator", "--yes")[0] == 0

    status, output = bench.run("apply", "a.json", "--cloud", "emulator", "--yes")

    assert status == 6
    assert "applied already" in output
    assert len(bench.runs()) == 1


def test_stale_plan_is_refused_naming_the_file(bench: Bench) -> None:
    """A staged file that changed since the plan stops the apply before anything is created."""
    bench.job(staging=[{"label": "src", "source": "src", "destination": "/root/src"}])
    bench.write("src/kept.txt", "same")
    changed = bench.write("src/model config.txt", "one")
    bench.run("plan", "job.yaml", "-o", "a.json")
    changed.write_text("two")
    bench.emulator()

    status, output = bench.run("apply", "a.json", "--cloud", "emulator", "--yes")
    changed.write_text("one")
    again, _ = bench.run("apply", "a.json", "--cloud", "emulator", "--yes")

    assert status == 6
    assert "model config.txt" in output
    assert "kept.txt" not in output
    assert again == 0  # a refused plan is not used up
    assert len(bench.history()["pods"]) == 1


def test_tampered_plan_is_refused(bench: Bench) -> None:
    """A saved plan whose script was edited by hand no longer matches its hash."""
    bench.job(run={"body": "echo honest\n"})
    bench.run("plan", "job.yaml", "-o", "a.json")
    plan = bench.project / "a.json"
    plan.write_text(plan.read_text().replace("echo honest", "echo forged"))

    status, output = bench.run("apply", "a.json", "--cloud", "emulator", "--yes")

    assert status == 6
    assert "hash" in output
    assert bench.runs() == []


def test_script_that_exits_3_is_a_failed_run_with_its_results(bench: Bench) -> None:
    """Exit code, log and what artifacts there are come home, the pod goes, the tool exits 1."""
    bench.job(
        run={"body": "echo before; mkdir -p /root/out; echo half >/root/out/part.txt; exit 3\n"},
        artifacts=[
            {"label": "out", "remote_path": "/root/out"},
            {"label": "never", "remote_path": "/root/never"},
        ],
    )

    status, output = bench.run(*RUN, "job.yaml")
    manifest = bench.manifest()

    assert status == 1, output
    assert manifest["failed"] is True
    assert manifest["state"] == "FAILED"
    assert manifest["exit_code"] == 3
    assert manifest["cause"] == "exit_code"
    assert manifest["pod_final_state"] == "TERMINATED"
    assert (bench.last_run() / "run.log").read_text() == "before\n"
    assert (bench.last_run() / "out" / "part.txt").read_text() == "half\n"
    assert [row["status"] for row in manifest["artifacts"]] == ["success", "failed"]
    assert bench.pods() == []


def test_success_marker_before_a_crash_is_a_failure(bench: Bench) -> None:
    """A script that prints its success marker and then dies by a signal has failed."""
    bench.job(run={"body": "echo ALL GOOD\nkill -SEGV $$\n", "success_marker": "ALL GOOD"})

    status, output = bench.run(*RUN, "job.yaml")

    assert status == 1, output
    assert bench.manifest()["failed"] is True
    assert bench.manifest()["exit_code"] == 139
    assert bench.manifest()["markers"]["success_seen"] is True


def test_exit_0_without_the_success_marker_is_a_failure(bench: Bench) -> None:
    """A marker that was asked for and never came fails the run with its own cause."""
    bench.job(run={"body": "echo almost\n", "success_marker": "ALL GOOD"})

    assert bench.run(*RUN, "job.yaml")[0] == 1
    assert bench.manifest()["cause"] == "marker_missing"


def test_stop_on_failure_keeps_the_disk_and_stops_the_bill(bench: Bench) -> None:
    """`on_failure: stop` with a persistent mount leaves one EXITED pod."""
    bench.job(
        storage={"mode": "ephemeral", "volume_gb": 10},
        run={"body": "echo kept >/workspace/kept.txt; exit 1\n"},
        lifecycle={"on_failure": "stop"},
    )

    assert bench.run(*RUN, "job.yaml")[0] == 1
    assert [pod["status"] for pod in bench.pods()] == ["EXITED"]
    assert bench.manifest()["pod_final_state"] == "EXITED"


def test_required_artifact_that_is_missing_fails_the_run(bench: Bench) -> None:
    """Exit 0 without the required result is a failure that names the artifact."""
    bench.job(artifacts=[{"label": "model", "remote_path": "/root/model.bin"}])

    status, output = bench.run(*RUN, "job.yaml")

    assert status == 1
    assert "model" in output
    assert bench.manifest()["cause"] == "artifact_missing"
    assert bench.pods() == []


def test_failed_setup_command_tells_its_last_lines(bench: Bench) -> None:
    """A setup command that fails ends the run before the job, with what it printed."""
    bench.job(setup=[{"command": "echo looking; false; echo unreached"}])

    status, output = bench.run(*RUN, "job.yaml")

    assert status == 1
    assert "setup-1 ended with exit status 1" in output
    assert "looking" in output
    assert "unreached" not in output
    assert bench.pods() == []


def test_apply_without_terminal_needs_yes(bench: Bench) -> None:
    """Nobody there to ask means nothing is applied: exit status 4, naming --yes."""
    bench.job()

    status, output = bench.run("apply", "job.yaml", "--cloud", "emulator")

    assert status == 4
    assert "--yes" in output
    assert bench.runs() == []


def test_manifest_that_cannot_be_written_is_told_with_its_place(bench: Bench) -> None:
    """The run's own end and the folder are named, the exit status is no success, no pod stays."""
    bench.job(run={"body": "sleep 3\n"})
    process = bench.start("run", "job.yaml", "--cloud", "emulator")
    while not (found := list(bench.project.glob("artifacts/runpod/2*"))):
        assert process.poll() is None
        time.sleep(0.02)
    (found[0] / "runpod_deploy_pull_manifest.json").mkdir()

    output = process.communicate(timeout=240)[0]

    assert process.returncode == 1, output
    assert f"The manifest in {found[0]} cannot be written" in output
    assert "ended as SUCCEEDED" in output
    assert bench.pods() == []

"""`resume` as its user meets it: what is missing is said, what is broken has one clear outcome."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from support.command import Bench, wait_until
from support.crashing import victim

pytestmark = pytest.mark.emulated

RUN = ("run", "--cloud", "emulator", "job.yaml")


def resumed(bench: Bench, *args: str) -> tuple[int, str]:
    """Resume the newest run; nothing ever ends in a traceback."""
    status, output = bench.run("resume", *(args or ("last",)), timeout=300)
    assert "Traceback" not in output, output
    return status, output


def test_command_cut_in_the_middle_is_ended_and_run_once_more(bench: Bench) -> None:
    """What was left of a setup command does not run beside its second time."""
    bench.job(
        storage={"mode": "ephemeral", "volume_gb": 10},
        setup=[
            {
                "command": "echo begun >>/workspace/log; "
                "while [ ! -e /workspace/again ]; do : >/workspace/again.$$; sleep 0.1; done"
            }
        ],
        artifacts=[{"label": "log", "remote_path": "/workspace/log"}],
    )
    process = bench.start(*RUN)
    emulated = bench.root / "emu"
    wait_until(lambda: list(emulated.rglob("again.*")), timeout=90)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (first,) = emulated.rglob("again.*")

    second = bench.start("resume", "last")
    wait_until(lambda: len(list(emulated.rglob("again.*"))) == 2, timeout=90)
    first.unlink()
    (left,) = emulated.rglob("again.*")
    (left.parent / "again").touch()
    output = second.communicate(timeout=180)[0]

    assert second.returncode == 0, output
    assert not first.exists(), "the first one still runs"
    assert (bench.last_run() / "log").read_text("ascii") == "begun\nbegun\n"
    assert bench.pods() == []


def test_torn_last_line_is_mended(bench: Bench) -> None:
    """Half a line at the end of the journal, as a power cut leaves it, is passed over."""
    bench.job(run={"body": "echo done\n"})
    victim(bench, 25, *RUN)
    journal = bench.last_run() / "events.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])

    status, output = resumed(bench)
    assert status == 0, output
    assert len(bench.history()["pods"]) == 1
    assert bench.pods() == []


def test_folder_that_cannot_be_written_is_left_alone(bench: Bench) -> None:
    """A read-only run folder, or a full disk: status 1 and the reason; the run is as it was."""
    bench.job(run={"body": "echo done\n"})
    victim(bench, 25, *RUN)
    folder = bench.last_run()
    before = (folder / "events.jsonl").read_bytes()
    kept = folder / ".executor.json"
    kept.unlink()
    kept.mkdir()  # what cannot be replaced, also by root

    status, output = resumed(bench)
    assert status == 1, output
    assert ".executor.json" in output
    assert (folder / "events.jsonl").read_bytes() == before
    assert len(bench.pods()) == 1

    kept.rmdir()
    assert resumed(bench)[0] == 0
    assert bench.pods() == []


@pytest.mark.parametrize(
    ("gone", "status", "said"),
    [
        ("ssh.salt", 4, "ssh.salt is missing"),
        ("plan.json", 4, "plan.json is missing"),
        ("events.jsonl", 4, "does not tell which run began"),
    ],
)
def test_folder_with_a_file_missing_says_which(
    bench: Bench, gone: str, status: int, said: str
) -> None:
    """What cannot be made up for is named, and the pod is left to its lease."""
    bench.job(run={"body": "echo done\n"})
    victim(bench, 25, *RUN)
    (bench.last_run() / gone).unlink()

    code, output = resumed(bench, str(bench.last_run()))
    assert code == status, output
    assert said.lower() in output.lower()
    assert len(bench.pods()) == 1


def test_secret_that_is_missing_is_named(bench: Bench) -> None:
    """Without the values of its secrets nobody could hide them in the log: status 4, nothing is done."""
    bench.extra["TOKEN"] = "planted-resume-secret"
    bench.job(
        secrets=[{"name": "token", "env": ["TOKEN"], "destination": "/root/t.env"}],
        run={"body": "echo $TOKEN\n"},
    )
    victim(bench, 25, *RUN)
    del bench.extra["TOKEN"]

    status, output = resumed(bench)
    assert status == 4, output
    assert "TOKEN" in output
    assert len(bench.pods()) == 1

    bench.extra["TOKEN"] = "planted-resume-secret"
    assert resumed(bench)[0] == 0
    assert (bench.last_run() / "run.log").read_text("utf-8") == "***\n"
    assert bench.pods() == []


def test_another_machine_takes_over_with_the_folder_alone(bench: Bench) -> None:
    """A copy of the run folder in a place that knows nothing of the project carries the run on."""
    bench.job(
        run={"body": "mkdir -p /root/out; echo 42 >/root/out/answer\n"},
        artifacts=[{"label": "out", "remote_path": "/root/out"}],
    )
    victim(bench, 25, *RUN)
    elsewhere = bench.root / "elsewhere"
    copy = elsewhere / bench.last_run().name
    shutil.copytree(bench.last_run(), copy)
    shutil.rmtree(bench.project / "artifacts")

    status, output = bench.run("resume", str(copy), cwd=elsewhere)
    assert (status, "--project DIR" in output) == (4, True), output
    status, output = bench.run("resume", str(copy), "--project", ".", cwd=elsewhere, timeout=300)
    assert status == 0, output
    assert (copy / "out" / "answer").read_text("ascii") == "42\n"
    manifest = json.loads((copy / "runpod_deploy_pull_manifest.json").read_text("utf-8"))
    assert manifest["state"] == "SUCCEEDED"
    assert bench.pods() == []


def test_emulator_that_is_gone_took_the_pods_with_it(bench: Bench) -> None:
    """Nothing is left to carry on where the whole cloud is gone: status 1, and it is said."""
    bench.job(run={"body": "echo done\n"})
    victim(bench, 25, *RUN)
    assert bench.run("emulator", "down")[0] == 0

    status, output = resumed(bench)
    assert status == 1, output
    assert "is gone, and its pods with it" in output


def test_unfinished_run_of_the_plan_is_told(bench: Bench) -> None:
    """`run` never asks, but says that a run of the same plan has not ended, and how to carry it on."""
    bench.job(run={"body": "echo done\n"})
    victim(bench, 25, *RUN)
    first: Path = bench.last_run()

    status, output = bench.run(*RUN)
    assert status == 0, output
    assert "has not ended" in output
    assert f"runpod-deploy resume artifacts/runpod/{first.name}" in output

    assert resumed(bench, str(first))[0] == 0
    assert bench.pods() == []
    assert "has not ended" not in bench.run(*RUN)[1]

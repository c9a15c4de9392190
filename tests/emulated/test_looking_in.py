"""Looking into a run from another process: `status` and `logs`, while it is carried on and after."""

import json
import os
import signal
from typing import Any

import asyncssh
import pytest

from support.command import Bench, Process, wait_until

pytestmark = pytest.mark.emulated
RUN = ("run", "--cloud", "emulator", "job.yaml")
BODY = "for i in $(seq 1 40); do echo line $i; sleep 0.5; done\n"
WHOLE = "".join(f"line {number}\n" for number in range(1, 41))


def status(bench: Bench, *args: str) -> dict[str, Any]:
    """Return what `status --json` says."""
    code, output = bench.run("status", "--json", *args)
    assert code == 0, output
    told: dict[str, Any] = json.loads(output)
    return told


def begun(bench: Bench) -> Process:
    """Start a run and return when its job has printed something."""
    process = bench.start(*RUN)

    def printed() -> bool:
        assert process.poll() is None, process.communicate()[0]
        logs = [run / "run.log" for run in bench.runs()]
        return bool(logs) and logs[-1].exists() and b"line 2" in logs[-1].read_bytes()

    wait_until(printed, timeout=90)
    return process


def lose(process: Process) -> None:
    """Kill the executor."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_status_and_logs_of_a_living_run(bench: Bench) -> None:
    """Another process tells who carries it on and follows the log to its end."""
    bench.job(run={"body": BODY})
    process = begun(bench)
    told = status(bench)
    reading = bench.start("logs", "-f")

    assert (told["state"], told["step"], told["job"]) == ("WORKING", "execute", "running")
    assert told["executor"]["pid"] == process.pid
    assert [pod["cloud_status"] for pod in told["pods"]] == ["RUNNING"]
    assert told["lease_verified"] is True
    assert told["last_lines"][0].startswith("line ")
    output, _ = reading.communicate(timeout=120)
    assert (reading.returncode, output) == (0, WHOLE)
    process.communicate(timeout=120)
    told = status(bench, bench.last_run().name)
    assert (told["state"], told["executor"], told["cloud_asked"]) == ("SUCCEEDED", None, True)


def test_logs_of_a_lost_run_come_from_its_pod(bench: Bench) -> None:
    """The executor is killed in the middle: whoever follows gets every line once, from the pod."""
    bench.extra["PLANTED"] = "planted-logs-secret"
    bench.job(
        secrets=[{"name": "s", "env": ["PLANTED"], "destination": "/root/s.env"}],
        run={"body": 'echo "it is $PLANTED"\n' + BODY},
    )
    process = begun(bench)
    reading = bench.start("logs", "-f")
    before = status(bench)
    lose(process)
    output, _ = reading.communicate(timeout=120)

    lines = [
        line for line in output.splitlines(keepends=True) if line.startswith(("line", "it is"))
    ]
    assert reading.returncode == 0, output
    assert "".join(lines) == "it is ***\n" + WHOLE
    assert "ended with exit code 0" in output
    told = status(bench)
    assert before["executor"] is not None
    assert (told["executor"], told["state"], told["job"]) == (None, "WORKING", "running")
    # Nothing here wrote into the run folder: whoever carries the run on finds it as it was left.
    code, output = bench.run("logs", "-n", "2")
    assert (code, output) == (0, "line 39\nline 40\n")
    assert WHOLE not in (bench.last_run() / "run.log").read_text("utf-8")


def test_without_its_cloud_a_run_is_told_of_by_its_folder(bench: Bench) -> None:
    """The emulator is gone: the folder says what it knows, and what it does not."""
    bench.job(run={"body": BODY})
    lose(begun(bench))
    bench.close()
    told = status(bench)
    assert (told["cloud_asked"], told["pods"][0]["cloud_status"]) == (False, None)
    assert "does not run any more" in told["cloud_not_asked_because"]
    code, output = bench.run("logs")
    assert (code, "line 1\n" in output) == (0, True)
    assert "as much of the log as is here" in output


def test_ssh_logs_in_to_the_pod_of_a_living_run(bench: Bench) -> None:
    """OpenSSH's own client: the command's output and exit status, and no key left on the disk."""
    own = bench.root / "id_ed25519"
    own.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    own.chmod(0o600)
    bench.job(run={"body": BODY + "sleep 300\n"}, ssh={"key_path": str(own)})
    process = begun(bench)
    run = bench.last_run()

    code, output = bench.run("ssh", "last", "--", "echo $((6 * 7)); exit 3")
    assert (code, output) == (3, "42\n")
    assert bench.run("ssh", run.name, "--", "printf", "%s|", "a b", "$HOME")[1] == "a b|$HOME|"
    known = run / "known_hosts"
    pinned = known.read_text()
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    known.write_text(f"{pinned.split()[0]} {' '.join(stranger.split()[:2])}\n")
    code, output = bench.run("ssh", "last", "--", "echo in")
    assert code == 255
    assert "in\n" not in output
    assert "IDENTIFICATION HAS CHANGED" in output
    known.write_text(pinned)
    # The API key that the run's own key comes from is lost: the key of the job file gets in.
    (run / "ssh.salt").rename(run / "kept.salt")
    assert bench.run("ssh", "last", "--", "echo in") == (0, "in\n")
    (run / "kept.salt").rename(run / "ssh.salt")
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=120)
    code, output = bench.run("ssh", "last", "--", "true")
    assert (code, "no pod any more" in output) == (4, True)
    kept = [path for path in bench.root.rglob("*") if path.is_file() and path != own]
    assert not [
        path for path in kept if b"OPENSSH PRIVATE" in path.read_bytes() and "emu" not in path.parts
    ]

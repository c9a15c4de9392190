"""Every fault that the emulator knows, and how a run meets it: what docs/reference/faults.md promises."""

import hashlib
import os
from typing import Any

import pytest

from support.command import Bench

pytestmark = pytest.mark.emulated

RUN = ("run", "--cloud", "emulator", "job.yaml")
TWO = {"gpu_order": ["NVIDIA L4", "NVIDIA RTX A5000"], "datacenters": ["EU-RO-1"]}
SOON = {"ssh_ready_timeout_sec": 4}
BUSY = {"body": "echo one; sleep 4; echo two\n"}
FAILS = {
    "storage": {"mode": "ephemeral", "volume_gb": 10},
    "lifecycle": {"on_failure": "stop"},
    "run": {"body": "exit 1\n"},
}


def ended(bench: Bench, faults: list[str], **job: Any) -> tuple[int, str]:
    """Run a job under faults; whatever the outcome, no pod leaks and the manifest is true."""
    bench.emulator(*faults)
    bench.job(**job)
    status, output = bench.run(*RUN)
    manifest = bench.manifest()
    assert manifest["failed"] is (status != 0), output
    assert manifest["leaked_pod_ids"] == []
    assert bench.history()["max_simultaneous"] <= 1
    return status, output


@pytest.mark.parametrize(
    "fault",
    [
        "create-5xx-before",
        "create-5xx-after",
        "create-hang-before:seconds=2",
        "create-hang-after:seconds=2",
        "lost-answer:path=/v2/pods",
        "lost-answer:method=DELETE",
        "slow-answer:seconds=2",
        "server-error:times=4,method=GET",
        "server-error:times=4,method=DELETE",
        "server-error:times=2,method=POST",
        "rate-limit:times=8,retry_after=1",
        "slow:seconds=0.2",
        "slow-pull:seconds=3",
        "delete-fails:times=3",
        "delete-lies:times=3",
        "log-drop:times=5",
        "ssh-drop:seconds=2",
        "port-change:seconds=2",
        "slow-command:seconds=2,command=*nvidia-smi*",
    ],
)
def test_fault_that_costs_nothing_but_time(bench: Bench, fault: str) -> None:
    """The run succeeds, the log is whole, and one pod was paid for."""
    status, output = ended(bench, [fault], run=BUSY)

    assert status == 0, output
    assert (bench.last_run() / "run.log").read_text() == "one\ntwo\n"
    assert len(bench.history()["pods"]) == 1
    assert bench.pods() == []
    # RunPod's images print their host keys, and a log stream that is cut is taken up again.
    assert bench.manifest()["host_key_confirmed"] is True


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("stock-out:hidden=1", "instances available"),
        ("stock-limit:free=0", "shows none free"),
        ("never-ready", "no SSH port within"),
        ("no-sshd", "no SSH login"),
        ("error-state", "ERROR"),
        ("pull-fails", "no SSH port within"),
        ("zero-gpus:when=create", "GPU"),
    ],
)
def test_host_or_place_that_will_not_do_leads_to_the_next(
    bench: Bench, fault: str, reason: str
) -> None:
    """The candidate is passed over with its reason, its pod released, and the next one taken."""
    more = "," if ":" in fault else ":"
    status, output = ended(bench, [f"{fault}{more}gpu=NVIDIA L4"], pod=TWO, budget=SOON)

    assert status == 0, output
    assert bench.manifest()["gpu_id"] == "NVIDIA RTX A5000"
    refused = [event for event in bench.events() if event["event"] == "candidate_refused"]
    assert reason in " ".join(str(event["reason"]) for event in refused)
    assert bench.pods() == []


@pytest.mark.parametrize(
    ("fault", "status"), [("balance-too-low", 5), ("image-refused", 1), ("stock-out", 3)]
)
def test_refusal_that_nothing_can_help_stops_at_once(bench: Bench, fault: str, status: int) -> None:
    """Account, image and stock have an exit status each, and nothing was created."""
    assert ended(bench, [fault], pod=TWO)[0] == status
    assert bench.history()["pods"] == []


@pytest.mark.parametrize(
    "fault",
    [
        "pod-killed:seconds=8,then=exited",
        "pod-killed:seconds=8,then=error",
        "pod-killed:seconds=8,then=gone",
        "error-state:seconds=8",
        "balance-gone:seconds=8",
    ],
)
def test_pod_that_dies_under_the_job_fails_the_run(bench: Bench, fault: str) -> None:
    """The run ends at once with the cause, and never as a success."""
    budget = {"poll_interval_sec": 5}
    status, output = ended(bench, [fault], run={"body": "sleep 60\n"}, budget=budget)

    assert status == 1, output
    assert bench.manifest()["cause"] == "pod_killed"
    assert bench.pods() == []


@pytest.mark.parametrize("fault", ["lost-answer:path=*/action", "server-error:path=*/action"])
def test_stop_whose_answer_is_lost_is_confirmed(bench: Bench, fault: str) -> None:
    """Whether a stop had its effect is asked of the API, not of the answer."""
    status, output = ended(bench, [fault], **FAILS)

    assert status == 1, output
    assert [pod["status"] for pod in bench.pods()] == ["EXITED"]
    assert bench.manifest()["pod_final_state"] == "EXITED"


def test_changed_host_key_stops_the_run(bench: Bench) -> None:
    """Another machine at the pod's address gets nothing; the reason names both keys."""
    status, output = ended(bench, ["host-key-change:seconds=8"], run={"body": "sleep 60\n"})

    assert status == 1, output
    assert "host key" in output
    assert bench.manifest()["cause"] == "HostKeyChanged"
    assert bench.pods() == []


def test_host_key_that_the_log_does_not_name_stops_the_run(bench: Bench) -> None:
    """Before a script or a secret is sent, the shown key is held against the log of the pod."""
    status, output = ended(bench, ["host-key-forged"])

    assert status == 1, output
    assert "its log names SHA256:AAAA" in output
    assert bench.manifest()["cause"] == "HostKeyChanged"
    assert bench.manifest()["host_key_confirmed"] is False
    assert bench.pods() == []


def test_command_that_hangs_ends_with_its_time(bench: Bench) -> None:
    """A setup command that never begins fails the run after its own limit."""
    status, output = ended(
        bench,
        ["hung-command:command=*setup-1*"],
        setup=[{"command": "true", "timeout_sec": 3}],
    )

    assert status == 1, output
    assert "did not end within 3 s" in output
    assert bench.pods() == []


def test_connection_cut_under_a_setup_command_fails_the_run(bench: Bench) -> None:
    """What half a command did is not known, so it is not run a second time."""
    status, output = ended(
        bench,
        ["ssh-cut:during=command,command=*setup-1*"],
        setup=[{"command": "sleep 3"}],
    )

    assert status == 1, output
    assert bench.manifest()["cause"] == "ConnectionLost"
    assert bench.pods() == []


def test_full_disk_fails_the_job_with_its_own_exit_code(bench: Bench) -> None:
    """A job that fills the disk fails with what it said, and its end and its log come home."""
    status, output = ended(
        bench,
        ["disk-full:mib=16"],
        run={"body": "head -c 64M /dev/zero >/root/filled || exit 7\n"},
    )

    assert status == 1, output
    assert bench.manifest()["exit_code"] == 7
    assert bench.manifest()["cause"] == "exit_code"
    assert bench.pods() == []


def transfer(bench: Bench) -> dict[str, Any]:
    """Return a job that sends ten megabytes there and back."""
    bench.write("src/data.bin", os.urandom(10_000_000))
    return {
        "staging": [{"label": "src", "source": "src", "destination": "/root/src"}],
        "run": {
            "body": "mkdir -p /root/out; cp /root/src/data.bin /root/out/; sleep 2; echo end\n"
        },
        "artifacts": [{"label": "out", "remote_path": "/root/out"}],
    }


@pytest.mark.parametrize("dark", [0, 30])
def test_cut_in_an_upload_a_job_and_a_pull_costs_no_byte(bench: Bench, dark: int) -> None:
    """SSH breaks, for half a minute or at once, in each of the three: the run succeeds, bytes are equal."""
    job = transfer(bench)
    cuts = [
        f"ssh-cut:during=upload,kib=3000,dark={dark}",
        f"ssh-cut:during=command,command=*supervisor.sh*wait*,dark={dark}",
        f"ssh-cut:during=pull,kib=3000,dark={dark}",
    ]
    status, output = ended(bench, cuts, **job)

    assert status == 0, output
    sent = hashlib.sha256((bench.project / "src" / "data.bin").read_bytes()).hexdigest()
    got = hashlib.sha256((bench.last_run() / "out" / "data.bin").read_bytes()).hexdigest()
    assert got == sent
    assert (bench.last_run() / "run.log").read_text() == "end\n"
    assert bench.pods() == []


def test_scenario_file_sets_the_scene(bench: Bench) -> None:
    """Several faults from one file, in their time, on a clock that runs fast."""
    scenario = bench.write(
        "scenario.yaml",
        "description: a bad day\n"
        "billing_speed: 10\n"
        "faults:\n"
        "- {kind: stock-out, gpu: NVIDIA L4}\n"
        "- {kind: server-error, times: 3}\n"
        "- ssh-drop:seconds=2\n"
        "- {kind: balance-too-low, after: 100000}\n",
    )
    bench.emulator(scenario=scenario)
    bench.job(pod=TWO, run={"body": "date +%s; sleep 40; date +%s\n"})
    status, output = bench.run(*RUN)

    assert status == 0, output
    assert bench.manifest()["gpu_id"] == "NVIDIA RTX A5000"
    first, last = map(int, (bench.last_run() / "run.log").read_text().split())
    assert last - first >= 39


def test_scenario_that_cannot_be_understood_is_explained(bench: Bench) -> None:
    """`emulator up` names the file, the fault and the word that was probably meant."""
    bench.write("scenario.yaml", "- {kind: slow}\n- {kind: ssh-cutt}\n")
    status, output = bench.run("emulator", "up", "--scenario", "scenario.yaml")

    assert status != 0
    assert "fault 2: unknown fault kind 'ssh-cutt'; did you mean 'ssh-cut'?" in output
    assert "Traceback" not in output

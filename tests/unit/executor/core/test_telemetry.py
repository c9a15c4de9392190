"""What is kept about the pod: samples without gap or repetition, masked snapshots, never a failure."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from runpod_deploy.compiler.plan import PlanTelemetry
from runpod_deploy.errors import ConnectionLost, Unavailable
from runpod_deploy.executor import telemetry
from runpod_deploy.executor.ports import Completed
from runpod_deploy.executor.telemetry import is_observed
from support.fakes import FakeMachine
from support.plans import changed, small_plan
from support.rig import Rig, RigMaker

ENV = (
    "Linux pod 6.1 x86_64\nPython 3.12.3\nUbuntu 24.04\nPATH=/bin\nHF_TOKEN=hf_secret\n"
    "CUDA_VERSION=12.8\nRUNPOD_API_KEY=rpa_x\nNV_KEY=abcdef\nRUNPOD_POD_ID=p1\n"
)


def on_machine(rig: Rig, act: Any) -> None:
    """Change the pod's inside before anything is asked of it."""

    def once(_number: int, _name: str) -> None:
        if rig.machines:
            act(rig.machines[0])
            rig.clock.gate.act = None

    rig.clock.gate.act = once


def answers(rig: Rig, replies: dict[str, Any]) -> None:
    """Let the pod answer commands that match."""
    on_machine(rig, lambda machine: machine.replies.update(replies))


def sampled(rig: Rig, content: bytes) -> list[int]:
    """Give the pod a metrics file, which it reads out as `tail` and `head` do.

    Returns:
        Where each look began, filled while the run goes on.
    """
    asked: list[int] = []

    def act(machine: FakeMachine) -> None:
        scripted = machine.scripted

        def answer(command: str) -> Any:
            found = re.search(r"tail -c \+(\d+) .*metrics.jsonl.* head -c (\d+)", command)
            if found is None:
                return scripted(command)
            start = int(found[1]) - 1
            asked.append(start)
            return content[start : start + int(found[2])]

        machine.scripted = answer

    on_machine(rig, act)
    return asked


@pytest.fixture
def rig(make_rig: RigMaker) -> Rig:
    """A run with all telemetry on."""
    return make_rig(with_telemetry())


def with_telemetry() -> Any:
    """Return a plan that keeps everything."""
    everything = PlanTelemetry(
        enabled=True,
        sample_interval_sec=10.0,
        capture_nvidia_smi=True,
        capture_dmesg=True,
        capture_pod_describe=True,
        capture_remote_env=True,
        capture_local_git=True,
        capture_payload_lockfile=True,
    )
    return replace(small_plan(), telemetry=everything)


def events(rig: Rig, name: str) -> list[Any]:
    """Return the events of one kind."""
    return [event for event in rig.ctx.journal.events if event.event == name]


def test_a_run_keeps_what_it_promises(rig: Rig) -> None:
    """Snapshots from start and end, the describe object and the environment lie in the run folder."""
    answers(
        rig,
        {
            "sampler.sh": b"",
            "pip freeze": b"torch==2.9.0\nmine @ git+https://user:pw@example.org/x.git\n",
            "dmesg": b"[1] fine\n",
            "environ": ENV.encode(),
        },
    )
    assert rig.run().state == "SUCCEEDED"
    folder = rig.ctx.folder.path
    names = {path.name for path in folder.iterdir()}

    assert names >= {
        *("nvidia_smi_start.txt", "nvidia_smi_end.txt", "dmesg_tail.txt", "pip_freeze.txt"),
        *("pod_describe_start.json", "pod_describe_end.json", "remote_env.json"),
    }
    assert "user:pw" not in (folder / "pip_freeze.txt").read_text()
    assert "https://example.org/x.git" in (folder / "pip_freeze.txt").read_text()


def test_only_names_without_secrets_are_kept_of_the_environment(rig: Rig) -> None:
    """Keys and tokens of the pod never reach the run folder, the versions do."""
    answers(rig, {"environ": ENV.encode()})
    rig.run()
    told = json.loads((rig.ctx.folder.path / "remote_env.json").read_text())

    assert told == {
        "uname": "Linux pod 6.1 x86_64",
        "python_version": "Python 3.12.3",
        "os": "Ubuntu 24.04",
        "env": {"CUDA_VERSION": "12.8", "PATH": "/bin", "RUNPOD_POD_ID": "p1"},
    }


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("RUNPOD_TCP_PORT_22", True),
        ("NCCL_DEBUG", True),
        ("RUNPOD_API_KEY", False),
        ("TORCH_HUB_TOKEN", False),
        ("UV_INDEX_PASSWORD", False),
        ("AWS_PROFILE", False),
        ("PATHS", False),
    ],
)
def test_the_list_of_names_is_closed(name: str, kept: bool) -> None:
    """What is not on it is not kept, nor what is called like a secret."""
    assert is_observed(name) is kept


def test_the_describe_object_hides_every_value_of_the_environment(rig: Rig) -> None:
    """Names stay, values go, whatever they are called."""
    raw = {"id": "p1", "env": {"PUBLIC_KEY": "ssh-ed25519 A", "X": "y"}, "cost": 0.5}

    assert telemetry.masked_describe(rig.ctx, raw) == {
        "id": "p1",
        "cost": 0.5,
        "env": {"PUBLIC_KEY": "***", "X": "***"},
    }


def test_nothing_that_is_missing_fails_a_run(rig: Rig) -> None:
    """Each thing that cannot be had is one event that names its file."""
    answers(
        rig,
        {
            "sampler.sh start": Completed(exit_status=2, stdout=b"", stderr=b"no setsid"),
            "dmesg": ConnectionLost("gone"),
            "pip freeze": b"",
            "environ": TimeoutError(),
        },
    )
    assert rig.run().state == "SUCCEEDED"
    files = {event["file"]: event["reason"] for event in events(rig, "capture_failed")}

    assert files["metrics.jsonl"] == "no setsid"
    assert files["dmesg_tail.txt"] == "gone"
    assert set(files) >= {"pip_freeze.txt", "remote_env.json"}


def test_samples_come_without_gap_or_repetition(rig: Rig) -> None:
    """Each look begins where the file here ends, and only whole lines are taken."""
    asked = sampled(rig, b'{"ts_utc":"a"}\n{"ts_utc":"b"}\n{"ts_u')
    local = rig.ctx.folder.path / "metrics.jsonl"
    local.write_bytes(b'{"ts_utc":"a"}\n')
    rig.job.lasts = 60.0
    rig.run()

    assert local.read_bytes() == b'{"ts_utc":"a"}\n{"ts_utc":"b"}\n'
    assert asked[0] == 15
    assert set(asked[1:]) == {30}


def test_samples_of_a_failed_run_come_home_too(rig: Rig) -> None:
    """The end of the samples is what tells why it failed."""
    content = b'{"ts_utc":"a"}\n'
    sampled(rig, content)
    rig.job.exit_code = 3

    assert rig.run().state == "FAILED"
    assert (rig.ctx.folder.path / "metrics.jsonl").read_bytes() == content
    assert (rig.ctx.folder.path / "nvidia_smi_end.txt").exists()


def test_telemetry_that_is_switched_off_asks_for_nothing(make_rig: RigMaker) -> None:
    """No sampler, no snapshot, no file."""
    plan = small_plan()
    rig = make_rig(replace(plan, telemetry=replace(plan.telemetry, enabled=False)))
    rig.run()

    assert not any("sampler" in command for command in rig.machines[0].commands)
    assert not (rig.ctx.folder.path / "nvidia_smi_end.txt").exists()


def test_an_api_that_is_away_costs_the_description_only(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on; the event says what is missing."""
    real, failed = rig.cloud.get, []

    async def get(pod_id: str) -> Any:
        begun = any("sampler.sh start" in one for one in rig.machines[0].commands)
        if begun and not failed:
            failed.append(pod_id)
            raise Unavailable("not now")
        return await real(pod_id)

    monkeypatch.setattr(rig.cloud, "get", get)

    assert rig.run().state == "SUCCEEDED"
    assert "pod_describe_start.json" in {event["file"] for event in events(rig, "capture_failed")}


def test_an_idle_limit_that_nothing_measures_is_told(make_rig: RigMaker) -> None:
    """The run goes on, with a warning; one that the sampler ended failed for that reason."""
    rig = make_rig(changed(with_telemetry(), budget={"idle_gpu_minutes": 15.0}))
    rig.answering({"sampler.sh start": Completed(exit_status=2, stdout=b"", stderr=b"no setsid")})
    rig.job.exit_code, rig.job.ended_by = 143, "idle_gpu"
    run = rig.run()

    assert ("FAILED", "idle_gpu") == (run.state, run.cause)
    assert "no GPU did anything" in str(rig.engine.failure)
    assert any("budget.idle_gpu_minutes has no effect" in one for one in run.warnings)

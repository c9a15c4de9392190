"""What the tests of the command line share: a project, a plan, and a way to call the commands."""

import hashlib
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runpod_deploy.cli.app import build
from runpod_deploy.cli.style import Style
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.views.watch import Watch
from runpod_deploy.compiler.image_name import ImageReference
from runpod_deploy.compiler.plan import (
    PLAN_FORMAT,
    Candidate,
    GitFacts,
    LockfileFacts,
    Observed,
    PayloadEntry,
    Plan,
    PlanAdmission,
    PlanArtifact,
    PlanBudget,
    PlanCapacity,
    PlanFile,
    PlanJob,
    PlanLease,
    PlanLifecycle,
    PlanPod,
    PlanRun,
    PlanSecret,
    PlanStaging,
    PlanStorage,
    PlanTelemetry,
    Script,
    StepPlan,
)
from runpod_deploy.executor.registry import ImageAnswer
from runpod_deploy.executor.run import Target
from runpod_deploy.record.events import Event

JOB = """\
schema_version: 3
name: small
variables:
  seed: "7"
pod:
  image: runpod/pytorch:1.0.7-cu1281-torch291-ubuntu2204
  gpu_order: [NVIDIA L4]
  min_cuda: "12.8"
budget:
  cost_cap_usd: 0.25
  max_runtime_minutes: 5
run:
  body: |
    echo "seed {{ seed }}"
artifacts:
  - label: out
    remote_path: /root/out
"""


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's terminal or account reaches a test."""
    for name in ("NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS", "RUNPOD_API_KEY", "RUNPOD_API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("RUNPOD_DEPLOY_CLOUD", raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture(autouse=True)
def no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that says nothing, unless a test puts another in its place."""

    async def ask(image: ImageReference) -> ImageAnswer:
        return ImageAnswer(found="unknown", registry=image.registry, why="nobody was asked")

    monkeypatch.setattr("runpod_deploy.executor.registry.ask_registry", ask)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one job file, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "job.yaml").write_text(JOB)
    return tmp_path


@pytest.fixture
def call() -> Callable[..., tuple[int, str, str]]:
    """Call the command line; returns exit status, stdout and stderr."""

    def run(*args: str, answer: str | None = None) -> tuple[int, str, str]:
        result = CliRunner().invoke(build(), list(args), input=answer)
        return result.exit_code, result.stdout, result.stderr

    return run


def _script(name: str, phase: str, text: str, timeout: float | None = None) -> Script:
    return Script(
        name=name,
        phase=phase,
        path=f"/root/.runpod-deploy/@@rd:run_id@@/{name}",
        mode="0700",
        command=("bash", name),
        timeout_sec=timeout,
        with_env=True,
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )


@pytest.fixture
def sample() -> PlanFile:
    """A plan with something in every section, made without the compiler."""
    files = tuple(
        PayloadEntry(
            path=f"src/part_{number:02}.py",
            type="file",
            size=100 * number,
            exec=False,
            sha256=f"{number:064x}",
        )
        for number in range(1, 13)
    )
    plan = Plan(
        protocol=1,
        job=PlanJob(
            name="sample",
            file="jobs/sample.yaml",
            schema_version=3,
            run_id_prefix="sample",
            variables={"seed": "7"},
        ),
        candidates=(
            Candidate(gpu="NVIDIA L4", datacenter=None, cloud="SECURE"),
            Candidate(gpu="NVIDIA GeForce RTX 4090", datacenter="EU-RO-1", cloud="COMMUNITY"),
        ),
        capacity=PlanCapacity(wait_minutes=10.0, attempts=3),
        pod=PlanPod(
            image="runpod/pytorch:1.0.7-cu1281-torch291-ubuntu2204",
            template_id=None,
            registry_auth=None,
            gpu_count=2,
            min_cuda="12.8",
            max_price_per_hour_usd=0.8,
            container_disk_gb=20,
            ports=("22/tcp",),
            env={"MODE": "fast"},
            start_command=None,
            args=None,
            python_version=None,
            prefer="gpu",
            ssh_key_path=None,
            admission=PlanAdmission(
                enabled=True,
                gpu_count=2,
                gpu_name=None,
                min_gpu_memory_gb=20.0,
                min_driver=None,
                min_cuda="12.8",
                min_disk_gb=None,
            ),
        ),
        storage=PlanStorage(mode="ephemeral", mount="/workspace", volume_name=None, volume_gb=50),
        home="/root/.runpod-deploy/@@rd:run_id@@",
        required_paths=("data",),
        scripts=(
            _script("supervisor", "pod", "#!/bin/sh\nexit 0\n"),
            _script("run", "run", "echo one\necho two\n", 900.0),
        ),
        staging=(
            PlanStaging(
                label="code",
                source="src",
                destination="/workspace/src",
                excludes=(".git", "__pycache__", "*.pyc"),
                gitignore=True,
                delete=False,
                tree_sha256="sha256:" + "ab" * 32,
                files=12,
                bytes=sum(one.size for one in files),
            ),
        ),
        secrets=(
            PlanSecret(
                name="token",
                destination="/root/.secrets/token.env",
                env=("TOKEN",),
                file=None,
                command=None,
                runpod=None,
                mode="0600",
                export=True,
            ),
        ),
        run=PlanRun(
            script="run",
            workdir="/workspace",
            log_path="/root/.runpod-deploy/@@rd:run_id@@/job/log",
            success_marker="DONE",
            failure_markers=("Traceback",),
            fail_on_markers=True,
        ),
        artifacts=(
            PlanArtifact(
                label="model",
                remote_path="/workspace/model",
                local_path="@@rd:run_dir@@/model",
                required=True,
                excludes=(),
                delete=False,
            ),
        ),
        steps=(
            StepPlan(name="check", timeout_sec=120.0),
            StepPlan(name="provision", timeout_sec=1200.0),
            StepPlan(name="collect", timeout_sec=None, retries=3),
        ),
        lifecycle=PlanLifecycle(
            on_success="delete",
            on_failure="stop",
            on_orphaned="stop",
            accept_loss=False,
            keep_hours=72.0,
        ),
        lease=PlanLease(
            silence_minutes=30.0,
            boot_grace_minutes=30.0,
            while_running="continue",
            required=False,
            at_boot=False,
            spares_results=False,
        ),
        budget=PlanBudget(
            cost_cap_usd=0.5,
            soft_cap_fraction=0.9,
            max_runtime_minutes=15.0,
            assumed_hourly_rate_usd=None,
            poll_interval_sec=60.0,
            ssh_ready_timeout_sec=900.0,
        ),
        telemetry=PlanTelemetry(
            enabled=True,
            sample_interval_sec=30.0,
            capture_nvidia_smi=True,
            capture_dmesg=True,
            capture_pod_describe=True,
            capture_remote_env=True,
            capture_local_git=True,
            capture_payload_lockfile=True,
        ),
    )
    return PlanFile(
        format=PLAN_FORMAT,
        plan_hash="sha256:" + "0123456789abcdef" * 4,
        plan_id="00" * 16,
        plan=plan,
        payload={"code": files},
        observed=Observed(
            compiled_at="2026-05-14T02:12:00Z",
            tool_version="0.1.0",
            git=GitFacts(sha="cafe" * 10, branch="main", dirty=True, prefix=""),
            lockfile=LockfileFacts(name="uv.lock", sha256="ef" * 32),
        ),
    )


def _event(seq: int, name: str, /, **fields: Any) -> Event:
    stamp = f"2026-05-14T02:12:{seq:02}.000000Z"
    return Event(event=name, ts_utc=stamp, seq=seq, fields=fields)


_L4 = {"gpu_id": "NVIDIA L4", "datacenter_id": None, "cloud_type": "SECURE"}
_4090 = {
    "gpu_id": "NVIDIA GeForce RTX 4090",
    "datacenter_id": "EU-RO-1",
    "cloud_type": "COMMUNITY",
}


@pytest.fixture
def events() -> list[Event]:
    """A run of `sample` that goes well after a first candidate without stock."""
    told: list[tuple[str, dict[str, Any]]] = [
        ("run_started", {"run_id": "sample-1", "job_name": "sample"}),
        ("state_changed", {"state": "WORKING", "cause": None}),
        ("step_started", {"step": "check"}),
        ("step_completed", {"step": "check", "duration_sec": 0.01}),
        ("step_started", {"step": "provision"}),
        ("pod_create_intended", {"op_id": "rd-1", "name": "rd-1", **_L4}),
        ("pod_create_settled", {"op_id": "rd-1", "outcome": "refused", "error": "no stock"}),
        ("candidate_refused", {**_L4, "reason": "no stock", "status": 400}),
        ("pod_create_intended", {"op_id": "rd-2", "name": "rd-2", **_4090}),
        (
            "pod_create_settled",
            {
                "op_id": "rd-2",
                "outcome": "created",
                "pod_id": "k3j5h2",
                "cost_per_hour_usd": 0.69,
                "error": None,
            },
        ),
        ("step_completed", {"step": "provision", "duration_sec": 4.0}),
        ("step_started", {"step": "collect"}),
        (
            "job_ended",
            {
                "outcome": "succeeded",
                "exit_code": 0,
                "cause": None,
                "log_bytes": 9,
                "success_marker_seen": True,
                "failure_markers_seen": [],
            },
        ),
        (
            "artifact_pull_completed",
            {"label": "model", "duration_sec": 1.0, "files": 2, "bytes": 51000, "sha256": "ab"},
        ),
        ("step_completed", {"step": "collect", "duration_sec": 2.0}),
        ("pod_delete_settled", {"op_id": "d", "pod_id": "k3j5h2", "outcome": "gone"}),
        ("state_changed", {"state": "SUCCEEDED", "cause": None}),
    ]
    return [_event(seq, name, **fields) for seq, (name, fields) in enumerate(told, 1)]


@pytest.fixture
def watch(sample: PlanFile) -> Watch:
    """The watch over a run of `sample` on RunPod that has not begun."""
    target = Target(label="runpod", api_url="https://api.runpod.io", api_key="rpa_SECRET")
    return Watch(plan_file=sample, target=target)


@pytest.fixture
def terminal() -> Terminal:
    """A terminal without colour that is no terminal, its two streams in memory."""
    return Terminal(
        stdout=StringIO(), stderr=StringIO(), out=Style(color=False), err=Style(color=False)
    )

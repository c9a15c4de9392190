"""Plans, events and schemas that the tests of the record share."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from runpod_deploy.compiler import plan as p
from runpod_deploy.record.events import Event
from runpod_deploy.record.journal import Journal
from runpod_deploy.record.masking import Masker

SHA = "a" * 64
NOON = 1_772_366_400.0  # 2026-03-01T12:00:00Z


def schema(name: str) -> dict[str, Any]:
    """Return a published schema as data."""
    data: dict[str, Any] = json.loads(
        (files("runpod_deploy.schema") / f"{name}.schema.json").read_text(encoding="utf-8")
    )
    return data


def validator(name: str) -> Draft202012Validator:
    """Return a validator of a published schema."""
    return Draft202012Validator(schema(name))


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return seconds since the epoch."""
        return self.now


def open_journal(folder: Path, **more: Any) -> Journal:
    """Open a journal with a standing clock and no secrets."""
    return Journal(folder, **{"masker": Masker(), "now": Clock(), **more})


def event(name: str, at: str = "2026-03-01T12:00:00.000000Z", /, **fields: Any) -> Event:
    """Return an event as it would be read."""
    return Event(event=name, ts_utc=at, seq=1, fields=fields)


def plan_file() -> p.PlanFile:
    """Return a whole plan with one of everything."""
    script = p.Script(
        name="run",
        phase="run",
        path="/root/run.sh",
        mode="0700",
        command=("bash", "/root/run.sh"),
        timeout_sec=None,
        with_env=True,
        text="true\n",
        sha256=SHA,
    )
    plan = p.Plan(
        protocol=p.POD_PROTOCOL,
        job=p.PlanJob(
            name="train",
            file="job.yaml",
            schema_version=3,
            run_id_prefix="train",
            variables={"seed": "0"},
        ),
        candidates=(p.Candidate(gpu="NVIDIA A40", datacenter=None, cloud="SECURE"),),
        capacity=p.PlanCapacity(wait_minutes=0.0, attempts=None),
        pod=p.PlanPod(
            image="img",
            template_id=None,
            registry_auth=None,
            gpu_count=1,
            min_cuda=None,
            max_price_per_hour_usd=None,
            container_disk_gb=20,
            ports=("22/tcp",),
            env={"A": "b"},
            start_command=None,
            args=None,
            python_version=None,
            prefer="gpu",
            ssh_key_path=None,
            admission=p.PlanAdmission(
                enabled=True,
                gpu_count=1,
                gpu_name=None,
                min_gpu_memory_gb=None,
                min_driver=None,
                min_cuda=None,
                min_disk_gb=None,
            ),
        ),
        storage=p.PlanStorage(mode="none", mount=None, volume_name=None, volume_gb=None),
        home="/root/.rd",
        required_paths=(),
        scripts=(script,),
        staging=(
            p.PlanStaging(
                label="code",
                source=".",
                destination="/root/code",
                excludes=(".git",),
                gitignore=True,
                delete=False,
                tree_sha256=f"sha256:{SHA}",
                files=1,
                bytes=3,
            ),
        ),
        secrets=(
            p.PlanSecret(
                name="hf",
                destination="/root/hf",
                env=("HF",),
                file=None,
                command=None,
                runpod=None,
                mode="0600",
                export=True,
            ),
        ),
        run=p.PlanRun(
            script="run",
            workdir=None,
            log_path="/root/run.log",
            success_marker=None,
            failure_markers=("Traceback",),
            fail_on_markers=False,
        ),
        artifacts=(
            p.PlanArtifact(
                label="model",
                remote_path="/root/out",
                local_path="@@rd:run_dir@@/model",
                required=True,
                excludes=(),
                delete=False,
            ),
        ),
        steps=(p.StepPlan(name="check", timeout_sec=None),),
        lifecycle=p.PlanLifecycle(
            on_success="delete",
            on_failure="delete",
            on_orphaned="delete",
            accept_loss=False,
            keep_hours=72.0,
        ),
        lease=p.PlanLease(
            silence_minutes=30.0,
            boot_grace_minutes=30.0,
            while_running="continue",
            required=False,
            at_boot=False,
            spares_results=False,
        ),
        budget=p.PlanBudget(
            cost_cap_usd=10.0,
            soft_cap_fraction=0.9,
            max_runtime_minutes=None,
            assumed_hourly_rate_usd=None,
            poll_interval_sec=60.0,
            ssh_ready_timeout_sec=900.0,
        ),
        telemetry=p.PlanTelemetry(
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
    return p.PlanFile(
        format=p.PLAN_FORMAT,
        plan_hash=f"sha256:{SHA}",
        plan_id="0" * 32,
        plan=plan,
        payload={"code": (p.PayloadEntry(path="a", type="file", size=3, exec=False, sha256=SHA),)},
        observed=p.Observed(
            compiled_at="2026-03-01T12:00:00Z",
            tool_version="1",
            git=p.GitFacts(sha="c0ffee", branch="main", dirty=False, prefix=""),
            lockfile=p.LockfileFacts(name="uv.lock", sha256=SHA),
        ),
    )

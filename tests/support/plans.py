"""Builds a small valid plan; what a test changes stands in the test."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from runpod_deploy.compiler.plan import (
    PLAN_FORMAT,
    POD_PROTOCOL,
    Candidate,
    Observed,
    Phase,
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
    PlanStorage,
    PlanTelemetry,
    Script,
    StepPlan,
)
from runpod_deploy.compiler.planfile import plan_hash

HOME = "/root/.runpod-deploy/@@rd:run_id@@"
L4 = Candidate(gpu="NVIDIA L4", datacenter="EU-RO-1", cloud="SECURE")
A4000 = Candidate(gpu="NVIDIA RTX A4000", datacenter="EU-SE-1", cloud="SECURE")

STEPS = (
    StepPlan(name="check", timeout_sec=120.0),
    StepPlan(name="provision", timeout_sec=3600.0),
    StepPlan(name="connect", timeout_sec=300.0),
    StepPlan(name="admit", timeout_sec=120.0, retries=1),
    StepPlan(name="setup", timeout_sec=600.0),
    StepPlan(name="stage", timeout_sec=600.0, retries=2),
    StepPlan(name="secrets", timeout_sec=120.0, retries=2),
    StepPlan(name="preflight", timeout_sec=600.0),
    StepPlan(name="execute", timeout_sec=3600.0),
    StepPlan(name="collect", timeout_sec=None, retries=3),
    StepPlan(name="release", timeout_sec=600.0, retries=5),
)


def script(name: str, phase: Phase, text: str = "true\n", **changes: Any) -> Script:
    """Return a script of the plan."""
    path = f"{HOME}/scripts/{name}.sh"
    made = Script(
        name=name,
        phase=phase,
        path=path,
        mode="0700",
        command=("bash", path),
        timeout_sec=60.0,
        with_env=True,
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )
    return replace(made, **changes)


def artifact(label: str = "results", **changes: Any) -> PlanArtifact:
    """Return an artifact that is required."""
    made = PlanArtifact(
        label=label,
        remote_path=f"/workspace/{label}",
        local_path=f"@@rd:run_dir@@/{label}",
        required=True,
        excludes=(),
        delete=False,
    )
    return replace(made, **changes)


def secret(name: str = "hf", **changes: Any) -> PlanSecret:
    """Return a secret that comes from the variable HF_TOKEN."""
    made = PlanSecret(
        name=name,
        destination=f"/root/.secrets/{name}",
        env=("HF_TOKEN",),
        file=None,
        command=None,
        runpod=None,
        mode="0600",
        export=True,
    )
    return replace(made, **changes)


def small_plan() -> Plan:
    """Return a plan for one GPU with one artifact, released by deletion."""
    return Plan(
        protocol=POD_PROTOCOL,
        job=PlanJob(name="demo", file="job.yaml", schema_version=3, run_id_prefix="demo"),
        candidates=(L4, A4000),
        capacity=PlanCapacity(wait_minutes=0.0, attempts=None),
        pod=_pod(),
        storage=PlanStorage(mode="none", mount=None, volume_name=None, volume_gb=None),
        home=HOME,
        required_paths=(),
        scripts=(script("setup-1", "setup"), script("run", "run")),
        staging=(),
        secrets=(),
        run=PlanRun(
            script="run",
            workdir=None,
            log_path=f"{HOME}/job/log",
            success_marker=None,
            failure_markers=(),
            fail_on_markers=False,
        ),
        artifacts=(artifact(),),
        steps=STEPS,
        lifecycle=PlanLifecycle(
            on_success="delete",
            on_failure="delete",
            on_orphaned="delete",
            accept_loss=False,
            keep_hours=24.0,
        ),
        lease=PlanLease(
            silence_minutes=20.0,
            boot_grace_minutes=45.0,
            while_running="continue",
            required=False,
            at_boot=False,
            spares_results=False,
        ),
        budget=PlanBudget(
            cost_cap_usd=10.0,
            soft_cap_fraction=0.9,
            max_runtime_minutes=60.0,
            assumed_hourly_rate_usd=None,
            poll_interval_sec=10.0,
            ssh_ready_timeout_sec=300.0,
        ),
        telemetry=PlanTelemetry(
            enabled=False,
            sample_interval_sec=10.0,
            capture_nvidia_smi=False,
            capture_dmesg=False,
            capture_pod_describe=False,
            capture_remote_env=False,
            capture_local_git=False,
            capture_payload_lockfile=False,
        ),
    )


def _pod() -> PlanPod:
    return PlanPod(
        image="runpod/base:1",
        template_id=None,
        registry_auth=None,
        gpu_count=1,
        min_cuda=None,
        max_price_per_hour_usd=None,
        container_disk_gb=20,
        ports=("22/tcp",),
        env={},
        start_command=None,
        args=None,
        python_version=None,
        prefer="gpu",
        ssh_key_path=None,
        admission=PlanAdmission(
            enabled=True,
            gpu_count=1,
            gpu_name=None,
            min_gpu_memory_gb=None,
            min_driver=None,
            min_cuda=None,
            min_disk_gb=None,
        ),
    )


def plan_file(plan: Plan | None = None) -> PlanFile:
    """Return `plan` as it is saved, sealed by its hash."""
    plan = plan or small_plan()
    return PlanFile(
        format=PLAN_FORMAT,
        plan_hash=plan_hash(plan),
        plan_id="0" * 32,
        plan=plan,
        payload={},
        observed=Observed(compiled_at="2027-01-15T08:00:00Z", tool_version="0"),
    )


def changed(plan: Plan, **parts: dict[str, Any]) -> Plan:
    """Return `plan` with fields of its parts changed: `changed(plan, budget={"cost_cap_usd": 1.0})`."""
    return replace(
        plan, **{name: replace(getattr(plan, name), **fields) for name, fields in parts.items()}
    )

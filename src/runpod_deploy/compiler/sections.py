"""The plan's sections, each from the job's section of the same name."""

from runpod_deploy.compiler import lease
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.local_paths import artifact_path, in_project, of_first
from runpod_deploy.compiler.payload_files import sums_of
from runpod_deploy.compiler.plan import (
    PlanAdmission,
    PlanArtifact,
    PlanBudget,
    PlanCluster,
    PlanCpu,
    PlanJob,
    PlanNotify,
    PlanPod,
    PlanRun,
    PlanSecret,
    PlanStaging,
    PlanStorage,
    PlanTelemetry,
)
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.compiler.scripts import log_path
from runpod_deploy.compiler.uploads import upload_of


def job(config: Resolved, facts: Facts) -> PlanJob:
    """Return which job this is."""
    return PlanJob(
        name=config.name,
        file=facts.job_file,
        schema_version=config.schema_version,
        run_id_prefix=config.run_id_prefix or config.name,
        variables=config.variables,
    )


def pod(config: Resolved) -> PlanPod:
    """Return the machine; the pod's own floor for CUDA is also what admission looks for."""
    said = config.pod
    gpus = said.gpu_count if said.cpu is None else 0
    admission = PlanAdmission(
        enabled=said.admission.enabled,
        gpu_count=gpus,
        gpu_name=said.admission.gpu_name,
        min_gpu_memory_gb=said.admission.min_gpu_memory_gb,
        min_driver=said.admission.min_driver,
        min_cuda=said.admission.min_cuda or said.min_cuda,
        min_disk_gb=said.admission.min_disk_gb,
    )
    return PlanPod(
        image=said.image,
        template_id=said.template_id,
        registry_auth=said.registry_auth,
        gpu_count=gpus,
        min_cuda=said.min_cuda,
        max_price_per_hour_usd=said.max_price_per_hour_usd,
        container_disk_gb=said.container_disk_gb,
        ports=said.ports,
        env=said.env,
        start_command=said.start_command,
        args=lease.args(config),
        python_version=said.python_version,
        prefer=said.prefer,
        ssh_key_path=config.ssh.key_path,
        admission=admission,
        cpu=None if said.cpu is None else PlanCpu(flavor=said.cpu.flavor, vcpus=said.cpu.vcpus),
    )


def storage(config: Resolved) -> PlanStorage:
    """Return what survives a stop."""
    said = config.storage
    return PlanStorage(
        mode=said.mode,
        mount=None if said.mode == "none" else said.volume_mount,
        volume_name=said.volume_name,
        volume_gb=said.volume_gb,
    )


def staging(config: Resolved, facts: Facts) -> tuple[PlanStaging, ...]:
    """Return what is sent, each tree by its digest."""
    sealed = []
    for entry in config.staging:
        files = facts.payload.get(entry.label, ())
        sums = sums_of(files)
        sealed.append(
            PlanStaging(
                label=entry.label,
                source=in_project(entry.source),
                destination=entry.destination,
                excludes=facts.excludes.get(entry.label, ()),
                gitignore=entry.gitignore,
                delete=entry.delete,
                tree_sha256=sums.tree_sha256,
                files=len(files),
                bytes=sums.bytes,
            )
        )
    return tuple(sealed)


def secrets(config: Resolved) -> tuple[PlanSecret, ...]:
    """Return the secrets, by reference."""
    return tuple(
        PlanSecret(
            name=entry.name,
            destination=entry.destination,
            env=entry.env,
            file=entry.file,
            command=entry.command,
            runpod=entry.runpod,
            mode=entry.mode,
            export=entry.export,
        )
        for entry in config.secrets
    )


def run(config: Resolved, script: str) -> PlanRun:
    """Return how the script called `script` is judged."""
    return PlanRun(
        script=script,
        workdir=config.run.workdir,
        log_path=log_path(config),
        success_marker=config.run.success_marker,
        failure_markers=config.run.failure_markers,
        fail_on_markers=config.run.fail_on_markers,
    )


def artifacts(config: Resolved) -> tuple[PlanArtifact, ...]:
    """Return the results to pull."""
    every = config.cluster is not None and config.cluster.collect == "all"
    place = of_first if every else str
    return tuple(
        PlanArtifact(
            label=entry.label,
            remote_path=entry.remote_path,
            local_path=place(artifact_path(entry)),
            required=entry.required,
            excludes=entry.excludes,
            delete=entry.delete,
            every_minutes=entry.every_minutes,
            upload=upload_of(config, entry),
        )
        for entry in config.artifacts
    )


def budget(config: Resolved) -> PlanBudget:
    """Return what the run may cost."""
    said = config.budget
    return PlanBudget(
        cost_cap_usd=said.cost_cap_usd,
        soft_cap_fraction=said.soft_cap_fraction,
        max_runtime_minutes=said.max_runtime_minutes,
        assumed_hourly_rate_usd=said.assumed_hourly_rate_usd,
        poll_interval_sec=said.poll_interval_sec,
        ssh_ready_timeout_sec=said.ssh_ready_timeout_sec,
        monthly_cap_usd=said.monthly_cap_usd,
        idle_gpu_minutes=said.idle_gpu_minutes,
    )


def telemetry(config: Resolved) -> PlanTelemetry:
    """Return what is recorded beside the log."""
    said = config.telemetry
    return PlanTelemetry(
        enabled=said.enabled,
        sample_interval_sec=said.sample_interval_sec,
        capture_nvidia_smi=said.capture_nvidia_smi and config.pod.cpu is None,
        capture_dmesg=said.capture_dmesg,
        capture_pod_describe=said.capture_pod_describe,
        capture_remote_env=said.capture_remote_env,
        capture_local_git=said.capture_local_git,
        capture_payload_lockfile=said.capture_payload_lockfile,
    )


def notify(config: Resolved) -> PlanNotify | None:
    """Return who is told of the end."""
    said = config.notify
    if said is None:
        return None
    return PlanNotify(
        webhook_env=said.webhook.env if said.webhook else None,
        webhook_file=said.webhook.file if said.webhook else None,
        command=said.command,
        on=said.on,
    )


def cluster(config: Resolved) -> PlanCluster | None:
    """Return the nodes of a job that runs on several pods."""
    said = config.cluster
    if said is None:
        return None
    # The schema lets no other type come so far.
    return PlanCluster(nodes=said.nodes, type="TRAINING", collect=said.collect)

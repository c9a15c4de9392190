"""A plan's sections as labelled rows; a value that nobody had to write counts as a default."""

from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

from runpod_deploy.cli.amounts import count, limit, usd
from runpod_deploy.cli.layout import Row
from runpod_deploy.compiler.late_bound import LATE_BOUND, fill
from runpod_deploy.compiler.observed import ObservedImage
from runpod_deploy.compiler.plan import (
    Plan,
    PlanAdmission,
    PlanCluster,
    PlanNotify,
    PlanSecret,
    PlanUpload,
)
from runpod_deploy.compiler.rates import stopped_disk_per_day, volume_per_month
from runpod_deploy.schema.job import (
    BudgetSection,
    CapacitySection,
    LeaseSection,
    LifecycleSection,
    NotifySection,
    PodSection,
    RunSection,
    TelemetrySection,
)

_SHOWN_TOKENS = {name: f"<{name}>" for name in LATE_BOUND}


def with_names(text: str) -> str:
    """Return `text` with late-bound tokens as `<run_dir>`."""
    return fill(text, _SHOWN_TOKENS)


def secret_source(secret: PlanSecret) -> str:
    """Return where a secret comes from; a command word for word."""
    if secret.command is not None:
        return f"command {secret.command}"
    if secret.runpod is not None:
        return f"RunPod secret {secret.runpod}"
    return f"file {secret.file}" if secret.file else f"env {', '.join(secret.env)}"


def upload_place(upload: PlanUpload) -> str:
    """Return where the pod sends results, of which store, and by which secret."""
    store = "" if upload.endpoint is None else f" at {upload.endpoint}"
    return f"{with_names(upload.to)}{store} with the secret {upload.secret}"


def _default(section: type[Any], field: str) -> Any:
    found = next(one for one in fields(section) if one.name == field)
    return None if found.default is MISSING else found.default


def _same(section: type[Any], field: str, value: object) -> bool:
    return bool(_default(section, field) == value)


def pod(plan: Plan, image: ObservedImage | None = None) -> Iterator[Row]:
    """Return what machine is rented, and which image its tag points at when that was looked up."""
    of = plan.pod
    if of.template_id:
        yield Row(label="template", text=of.template_id)
    if of.image or not of.template_id:
        yield Row(label="image", text=of.image or "")
    if image is not None:
        yield Row(label="image now", text=image.digest)
    if of.registry_auth:
        yield Row(label="registry", text=of.registry_auth)
    if plan.cluster is not None:
        yield Row(label="cluster", text=_cluster(plan.cluster))
    if of.cpu is not None:
        yield Row(label="CPU", text=f"{count(of.cpu.vcpus, 'vCPU')} of {of.cpu.flavor}, no GPU")
    else:
        each = "" if plan.cluster is None else f" on each node, {of.gpu_count * plan.nodes} in all"
        default = of.gpu_count == 1 and not each
        yield Row(label="GPUs", text=f"{of.gpu_count}{each}", default=default)
    ceiling = of.max_price_per_hour_usd
    yield Row(
        label="price at most",
        text="no ceiling" if ceiling is None else f"{usd(ceiling)}/h for {whole(plan)}",
        default=ceiling is None,
    )
    if of.min_cuda:
        yield Row(label="CUDA at least", text=of.min_cuda)
    disk = of.container_disk_gb
    yield Row(
        label="container disk",
        text=f"{disk} GB",
        default=_same(PodSection, "container_disk_gb", disk),
    )
    yield Row(label="ports", text=", ".join(of.ports), default=_same(PodSection, "ports", of.ports))
    if of.env:
        yield Row(label="env", text=_pairs(of.env))
    if of.start_command:
        yield Row(label="start command", text=with_names(of.start_command))
    if of.python_version:
        yield Row(label="python", text=of.python_version)
    if of.ssh_key_path:
        yield Row(label="extra SSH key", text=of.ssh_key_path)
    yield _admission(of.admission)


def whole(plan: Plan) -> str:
    """Return what a price of the whole is for."""
    return "the whole pod" if plan.cluster is None else f"all {plan.nodes} nodes together"


def _cluster(of: PlanCluster) -> str:
    home = "the first node's" if of.collect == "first" else "every node's"
    return f"{of.nodes} nodes, {of.type}: the script runs on each; {home} artifacts come home"


def _admission(of: PlanAdmission) -> Row:
    if not of.enabled:
        return Row(label="admission", text="off")
    gpus = count(of.gpu_count, "GPU") if of.gpu_count else "nothing"
    asked = [
        f"{of.gpu_count} × {of.gpu_name}" if of.gpu_name else gpus,
        _at_least("GPU memory", of.min_gpu_memory_gb, " GB"),
        _at_least("driver", of.min_driver),
        _at_least("CUDA", of.min_cuda),
        _at_least("free disk", of.min_disk_gb, " GB"),
    ]
    text = ", ".join(one for one in asked if one)
    return Row(label="must show", text=text, default=asked[1:] == [""] * 4 and not of.gpu_name)


def _at_least(name: str, value: float | str | None, unit: str = "") -> str:
    if value is None:
        return ""
    return f"{name} ≥ {value if isinstance(value, str) else f'{value:g}'}{unit}"


def storage(plan: Plan) -> Iterator[Row]:
    """Return what survives a stop."""
    of = plan.storage
    if of.mode == "none":
        yield Row(label="storage", text="none: nothing outlives the pod", default=True)
    elif of.mode == "ephemeral":
        yield Row(
            label="storage", text=f"{of.volume_gb} GB at {of.mount}, until the pod is deleted"
        )
    else:
        made = f", {_made(of.volume_gb)}" if of.volume_gb else ""
        yield Row(label="storage", text=f"network volume {of.volume_name} at {of.mount}{made}")


def _made(size_gb: int) -> str:
    """Return what making a volume begins: money that no cap of a run ends."""
    monthly = f"{usd(volume_per_month(size_gb))} a month until it is removed"
    return f"made with {size_gb} GB if there is none, for {monthly}"


def money(plan: Plan) -> Iterator[Row]:
    """Return what the run may cost and how long it may take."""
    of, capacity = plan.budget, plan.capacity
    yield Row(
        label="cost at most",
        text=f"{usd(of.cost_cap_usd)}; the job is ended at {of.soft_cap_fraction:.0%}",
        default=_same(BudgetSection, "cost_cap_usd", of.cost_cap_usd)
        and _same(BudgetSection, "soft_cap_fraction", of.soft_cap_fraction),
    )
    if of.monthly_cap_usd is not None:
        yield Row(label="in a month", text=f"{usd(of.monthly_cap_usd)} for all runs together")
    runtime = of.max_runtime_minutes
    yield Row(
        label="run at most",
        text="as long as the money lasts" if runtime is None else limit(runtime * 60),
        default=runtime is None,
    )
    if of.idle_gpu_minutes is not None:
        yield Row(
            label="idle at most",
            text=f"{limit(of.idle_gpu_minutes * 60)} in which no GPU does anything, then the job is ended",
        )
    if of.assumed_hourly_rate_usd is not None:
        yield Row(label="assumed rate", text=f"{usd(of.assumed_hourly_rate_usd)}/h if none is told")
    yield Row(
        label="polling",
        text=f"every {of.poll_interval_sec:g} s, SSH within {limit(of.ssh_ready_timeout_sec)}",
        default=_same(BudgetSection, "poll_interval_sec", of.poll_interval_sec)
        and _same(BudgetSection, "ssh_ready_timeout_sec", of.ssh_ready_timeout_sec),
    )
    wait = capacity.wait_minutes
    rounds = "" if capacity.attempts is None else f", at most {capacity.attempts} rounds"
    yield Row(
        label="when all taken",
        text=(f"go round again for {limit(wait * 60)}" if wait else "give up") + rounds,
        default=_same(CapacitySection, "wait_minutes", wait) and not rounds,
    )


def run(plan: Plan) -> Iterator[Row]:
    """Return how the job is judged."""
    of = plan.run
    if plan.required_paths:
        yield Row(label="needs here", text=", ".join(plan.required_paths))
    yield Row(
        label="folder",
        text=with_names(of.workdir or "the home folder"),
        default=of.workdir is None,
    )
    yield Row(label="log on the pod", text=with_names(of.log_path), default=True)
    for number, port in enumerate(plan.forward):
        text = (
            f"127.0.0.1:{port.local} here leads to port {port.pod} of the pod while it is watched"
        )
        yield Row(label="" if number else "forward", text=text)
    success = "exit code 0"
    if of.success_marker:
        success += f" and {of.success_marker!r} in the log"
    yield Row(label="success", text=success, default=not of.success_marker)
    verb = "failure" if of.fail_on_markers else "warning"
    if of.failure_markers:
        yield Row(
            label=f"{verb} on",
            text=", ".join(of.failure_markers),
            default=not of.fail_on_markers
            and _same(RunSection, "failure_markers", of.failure_markers),
        )


def ending(plan: Plan) -> Iterator[Row]:
    """Return what becomes of the pod, and who ends it when nobody is there."""
    of = plan.lifecycle
    texts = [of.on_success, of.on_failure, of.on_orphaned]
    for label, action in zip(("on success", "on failure", "on orphaned"), texts, strict=True):
        if action == "recycle":
            yield from _recycling(plan, label)
        else:
            yield Row(label=label, text=f"{action} the pod", default=action == "delete")
    if of.retry:
        saved = [one.label for one in plan.artifacts if one.every_minutes is not None]
        kept = f", with the last {', '.join(saved)} that came home" if saved else ""
        yield Row(
            label="on loss",
            text=f"{count(of.retry, 'more attempt')} on the next candidate{kept}; all within "
            f"{usd(plan.budget.cost_cap_usd)}",
        )
    if of.may_stop:
        yield Row(
            label="keep stopped",
            text=f"{of.keep_hours:g} h",
            default=_same(LifecycleSection, "keep_hours", of.keep_hours),
        )
    if of.accept_loss:
        yield Row(label="accept loss", text="yes: results on a wiped disk may be lost")
    yield from _lease(plan)
    if plan.notify is not None:
        yield from _telling(plan.notify)


def _telling(of: PlanNotify) -> Iterator[Row]:
    """Return who is told of the end; a command word for word."""
    every = _same(NotifySection, "on", of.on)
    ends = "any end" if every else f"the ends {', '.join(of.on)}"
    outlets = []
    if of.webhook_env is not None or of.webhook_file is not None:
        where = f"env {of.webhook_env}" if of.webhook_file is None else f"file {of.webhook_file}"
        outlets.append(f"the webhook in {where}")
    if of.command is not None:
        outlets.append(f"command {with_names(of.command)}")
    for number, outlet in enumerate(outlets):
        yield Row(label="" if number else "tell", text=f"{outlet} of {ends}")


def _recycling(plan: Plan, label: str) -> Iterator[Row]:
    """Return what is done to keep the pod, and what that costs."""
    yield Row(label=label, text=f"stop the pod and keep it, in {plan.lifecycle.state_file}")
    yield Row(
        label="",
        text="the next run starts it again if image, GPU, disks, ports and place are still these; "
        "else it is deleted and another one rented",
    )
    persistent = (plan.storage.volume_gb or 0) if plan.storage.mode == "ephemeral" else 0
    disk = (
        f"{usd(stopped_disk_per_day(persistent))} a day for its disk" if persistent else "nothing"
    )
    yield Row(label="", text=f"while it is stopped it costs {disk}")


def _lease(plan: Plan) -> Iterator[Row]:
    of, action = plan.lease, plan.lifecycle.on_orphaned
    if action == "preserve":
        yield Row(label="lease", text="none: nothing on the pod ends it when nobody comes back")
        return
    booting = f"{of.boot_grace_minutes:g} min after its start if nobody logs in"
    yield Row(
        label="lease",
        text=f"a watchdog on the pod does that: {booting}"
        if of.at_boot
        else "a watchdog on the pod does that, from the first login on; none while it boots",
        default=of.at_boot and _same(LeaseSection, "boot_grace_minutes", of.boot_grace_minutes),
    )
    running = "also while the job runs" if of.while_running == "stop" else "not while the job runs"
    after = "; once it has begun, when the money is spent" if of.spares_results else ""
    yield Row(
        label="",
        text=f"{of.silence_minutes:g} min after the last sign of us, {running}{after}",
        default=of.while_running == "continue"
        and _same(LeaseSection, "silence_minutes", of.silence_minutes),
    )
    if of.required:
        yield Row(label="", text="required: the run ends before setup where it cannot work")


def telemetry(plan: Plan) -> Row:
    """Return what is recorded beside the log."""
    of = plan.telemetry
    if not of.enabled:
        return Row(label="telemetry", text="off")
    captured = [
        one.name.removeprefix("capture_").replace("_", " ")
        for one in fields(of)
        if one.name.startswith("capture_") and getattr(of, one.name)
    ]
    every = of.sample_interval_sec
    all_there = len(captured) == sum(one.name.startswith("capture_") for one in fields(of))
    text = f"a sample every {every:g} s, {', '.join(captured) or 'nothing else'}"
    default = _same(TelemetrySection, "sample_interval_sec", every) and all_there
    return Row(label="telemetry", text=text, default=default)


def variables(plan: Plan) -> Iterator[Row]:
    """Return the values that filled the templates."""
    for name, value in plan.job.variables.items():
        yield Row(label=name, text=value)


def _pairs(values: Any) -> str:
    return "\n".join(f"{name}={with_names(value)}" for name, value in values.items())

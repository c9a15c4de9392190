"""admit: what nvidia-smi and df show must be what the plan pays for, before anything else is done."""

from __future__ import annotations

import re

from runpod_deploy.compiler.plan import PlanAdmission
from runpod_deploy.errors import HostUnusable
from runpod_deploy.executor import starting
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.hardware import Hardware, parse_hardware, probe_command


async def do(ctx: RunContext) -> None:
    """Compare the pod's hardware with `pod.admission`.

    Raises:
        HostUnusable: It is not what was asked for; the next candidate is tried.
    """
    wanted = ctx.plan.pod.admission
    again = starting.was_started_again(ctx)
    if not wanted.enabled and not again:
        return
    home = ctx.fill(ctx.plan.home)
    try:
        done = await ctx.need_transport().run(probe_command(home), timeout=60)
    except TimeoutError as error:
        # What a GPU that fell off its bus looks like.
        raise HostUnusable(
            "the host was not admitted: nvidia-smi hangs", cause="not_admitted"
        ) from error
    seen = parse_hardware(done.stdout.decode("utf-8", "replace"))
    gpu = ctx.late_bound["gpu_id"]
    nvidia = not gpu.startswith("AMD") and ctx.plan.pod.cpu is None
    # A host may have let its GPUs to others while the pod was stopped.
    problems = (
        find_problems(wanted, seen, nvidia=nvidia)
        if wanted.enabled
        else _count_problems(wanted, seen) * nvidia
    )
    ctx.journal.write(
        "admission_checked",
        gpus=[card.name for card in seen.gpus],
        driver=seen.driver,
        problems=problems,
    )
    if problems:
        raise HostUnusable(
            f"the host was not admitted: {'; '.join(problems)}", cause="not_admitted"
        )


def find_problems(wanted: PlanAdmission, seen: Hardware, *, nvidia: bool) -> list[str]:
    """Return what the hardware lacks, each as a clause of a sentence; pure."""
    problems = []
    if nvidia:
        problems += _gpu_problems(wanted, seen)
    if wanted.min_disk_gb is not None and (seen.disk_gb or 0.0) < wanted.min_disk_gb:
        problems.append(
            f"{seen.disk_gb or 0:.0f} GB of disk are free, {wanted.min_disk_gb:g} needed"
        )
    return problems


def _gpu_problems(wanted: PlanAdmission, seen: Hardware) -> list[str]:
    if seen.driver is None and not seen.gpus:
        return [f"nvidia-smi shows no GPU ({seen.trouble or 'no output'})"]
    problems = _count_problems(wanted, seen)
    for card in seen.gpus:
        if wanted.gpu_name and wanted.gpu_name.lower() not in card.name.lower():
            problems.append(f"the GPU is {card.name!r}, not {wanted.gpu_name!r}")
        floor = wanted.min_gpu_memory_gb
        if floor is not None and card.memory_gb < floor:
            problems.append(f"the GPU has {card.memory_gb:.1f} GB, {floor:g} needed")
    if wanted.min_driver and version(seen.driver) < version(wanted.min_driver):
        problems.append(f"the driver is {seen.driver}, {wanted.min_driver} needed")
    if wanted.min_cuda and version(seen.cuda) < version(wanted.min_cuda):
        problems.append(f"the driver offers CUDA {seen.cuda}, {wanted.min_cuda} needed")
    return problems


def _count_problems(wanted: PlanAdmission, seen: Hardware) -> list[str]:
    if len(seen.gpus) == wanted.gpu_count:
        return []
    return [f"nvidia-smi shows {len(seen.gpus)} GPUs, {wanted.gpu_count} are paid for"]


def version(text: str | None) -> tuple[int, ...]:
    """Return the numbers of a version; an unknown one is older than every other."""
    return tuple(int(number) for number in re.findall(r"[0-9]{1,9}", text or ""))

"""The image that a plan's tag points at: asked for where a plan is made live, and before it is applied."""

from __future__ import annotations

from runpod_deploy.compiler.freshness import ImageNow
from runpod_deploy.compiler.image_name import parse_image
from runpod_deploy.compiler.plan import Plan, PlanFile

PULLS = "runpod"
"""The label of the cloud that pulls images; the emulator pulls none, so nobody is asked for it."""


async def image_of(plan: Plan, cloud: str) -> ImageNow | None:
    """Return what the registry says about a plan's image.

    Returns:
        None when there is nothing to ask: the cloud pulls no image, the plan names none, or names
        it by its digest, which cannot come to mean another.
    """
    reference = parse_image(plan.pod.image) if plan.pod.image else None
    if cloud != PULLS or reference is None or reference.pinned:
        return None
    from runpod_deploy.executor.registry import ask_registry  # noqa: PLC0415 - few ask

    answer = await ask_registry(reference)
    return ImageNow(digest=answer.digest if answer.found == "there" else None, why=answer.why)


async def image_now(plan_file: PlanFile, cloud: str) -> ImageNow | None:
    """Return the same for a saved plan; nobody is asked when it shows no digest."""
    if plan_file.observed.image is None:
        return None
    return await image_of(plan_file.plan, cloud)


def image_to_pull(plan_file: PlanFile) -> str | None:
    """Return the image that a pod is created with: the one that was reviewed, where it is known which.

    A tag may be moved between the look at it and the pull; with its digest in the name it cannot.
    """
    seen, image = plan_file.observed.image, plan_file.plan.pod.image
    return image if seen is None or image is None else f"{image}@{seen.digest}"

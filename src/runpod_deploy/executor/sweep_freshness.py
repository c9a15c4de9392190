"""Whether a saved sweep still fits its project, before anything of it is claimed or begun.

Each run is held against its plan once more when it begins; this is the look of the moment at which
somebody says yes, with prices and images of now, as a saved plan of one run gets it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from runpod_deploy.compiler.market import asks_the_same
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.sweep_diff import shard_name
from runpod_deploy.errors import PlanRefused
from runpod_deploy.executor.freshness import fresh
from runpod_deploy.executor.image_now import image_now
from runpod_deploy.executor.price_now import Offers
from runpod_deploy.executor.run import Target, offers_at
from runpod_deploy.facts.payload_now import Read


async def refuse_stale(
    plan_files: Sequence[PlanFile],
    project_root: Path,
    *,
    target: Target,
    environ: Mapping[str, str],
    allow_paths: Sequence[Path] = (),
) -> None:
    """Hold the plans of a sweep against the project as it is now; staged files are read once.

    Args:
        plan_files: Those of the runs that are to be carried out.
        project_root: Absolute, links resolved.

    Raises:
        PlanRefused: One differs; nothing was done.
        CloudError: The API that the plans' prices are from cannot be reached.
        AccountError: It refused the key.
    """
    read: Read = {}
    asked: list[tuple[PlanFile, Offers]] = []
    for plan_file in plan_files:
        offers = await _offers(plan_file, asked, target)
        image = await image_now(plan_file, target.label)
        try:
            await asyncio.to_thread(
                fresh,
                plan_file,
                project_root,
                allow_paths=allow_paths,
                environ=environ,
                offers=offers,
                image=image,
                read=read,
            )
        except PlanRefused as error:
            raise PlanRefused(
                f"The run {shard_name(plan_file)} of the sweep cannot be carried out as planned.\n"
                f"{error.message}",
                help=_help(plan_file, error),
            ) from error


async def _offers(
    plan_file: PlanFile, asked: list[tuple[PlanFile, Offers]], target: Target
) -> Offers:
    """Return what the catalog says now; runs of a sweep mostly ask for the same, at the same time."""
    for other, offers in asked:
        same_look = other.observed.catalog == plan_file.observed.catalog
        if same_look and asks_the_same(other.plan, plan_file.plan):
            return offers
    offers = await offers_at(plan_file, target)
    asked.append((plan_file, offers))
    return offers


def _help(plan_file: PlanFile, error: PlanRefused) -> str:
    if error.help is not None and "--allow-path" in error.help:
        return error.help
    return (
        "Look at the change, then plan the sweep anew:\n"
        f"  runpod-deploy plan {plan_file.plan.job.file} -o sweep.json"
    )

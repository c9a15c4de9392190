"""Asks the cloud about prices and stock for a command, and puts what it says beside a plan."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from runpod_deploy.cli.printable import line
from runpod_deploy.cli.target import CloudName, choose_cloud, emulator_target, runpod_target
from runpod_deploy.compiler.estimate import estimate, first_choice
from runpod_deploy.compiler.market import Asking, asks_the_same
from runpod_deploy.compiler.observed import ObservedCatalog, ObservedImage, ObservedVolume
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.sweepfile import SweepFile
from runpod_deploy.executor.catalog import candidate_offers, stock_query, the_volume
from runpod_deploy.executor.catalog_cache import CatalogCache, Reading, cache_folder
from runpod_deploy.executor.image_now import image_of
from runpod_deploy.executor.ports import StockQuery
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.forensics.typical import typical_run
from runpod_deploy.record.journal import utc_stamp

if TYPE_CHECKING:
    from runpod_deploy.cli.terminal import Terminal
    from runpod_deploy.executor.run import Target

STOCK_KEPT_SEC = 60.0
PRICES_KEPT_SEC = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Market:
    """A cloud whose catalog can be asked.

    Attributes:
        refresh: Ask anew, whatever was kept.
    """

    target: Target
    environ: Mapping[str, str]
    refresh: bool = False

    def read(self, query: StockQuery, *, max_age_sec: float = STOCK_KEPT_SEC) -> Reading:
        """Return the catalog, kept at most so long.

        Raises:
            CloudError: The API could not be asked.
            AccountError: It refused the key.
        """
        return asyncio.run(self._read(query, max_age_sec))[0]

    def see(self, plan: Asking, *, max_age_sec: float = STOCK_KEPT_SEC) -> ObservedCatalog:
        """Return price and stock of a plan's candidates; the errors are those of `read`."""
        reading, volume = asyncio.run(self._read(stock_query(plan), max_age_sec, plan))
        return ObservedCatalog(
            cloud=str(self.target.label),
            read_at=f"{utc_stamp(reading.read_at)[:19]}Z",
            candidates=candidate_offers(plan, reading.offers, volume),
            volume=volume,
        )

    async def _read(
        self, query: StockQuery, max_age_sec: float, plan: Asking | None = None
    ) -> tuple[Reading, ObservedVolume | None]:
        target = self.target
        cloud = RunPodCloud(target.api_url, target.api_key, target.label)
        cache = CatalogCache(cache_folder(self.environ), target.api_url, time.time)
        try:
            reading = await cache.read(
                cloud, query, max_age_sec=0.0 if self.refresh else max_age_sec
            )
            on_volume = plan is not None and plan.storage.mode == "network_volume"
            volumes = await cloud.volumes() if on_volume else []
        finally:
            await cloud.close()
        return reading, None if plan is None else the_volume(plan, volumes)


def open_market(cloud: CloudName | None, terminal: Terminal, *, refresh: bool) -> Market:
    """Return the cloud that is to be asked: that of the flag, else RUNPOD_DEPLOY_CLOUD, else RunPod.

    Raises:
        AccountError: There is no key.
        InvalidInput: RUNPOD_DEPLOY_CLOUD names no cloud.
        RunpodDeployError: The emulator did not start.
    """
    environ = terminal.environ
    if choose_cloud(cloud, environ) is CloudName.RUNPOD:
        target = runpod_target(environ)
    else:
        target = emulator_target(environ)
    return Market(target=target, environ=environ, refresh=refresh)


def seen_live(plan_file: PlanFile, market: Market, project_root: Path) -> PlanFile:
    """Return a plan file with what the cloud says now, and what a run would cost by it.

    The hash stays as it is: what is seen is no part of the plan.

    Args:
        project_root: Where the earlier runs of the job lie.
    """
    plan = plan_file.plan
    seen = market.see(plan)
    choice = first_choice(plan, seen)
    usual = typical_run(
        project_root,
        plan.job.name,
        cloud=seen.cloud,
        gpu=None if choice is None else plan.candidates[choice].gpu,
    )
    observed = replace(plan_file.observed, catalog=seen, estimate=estimate(plan, seen, usual))
    return replace(plan_file, observed=observed)


def sweep_seen_live(sweep_file: SweepFile, market: Market, project_root: Path) -> SweepFile:
    """Return a sweep whose plans say what the cloud says now; runs that ask for the same ask once."""
    asked: list[PlanFile] = []
    shards = []
    for one in sweep_file.shards:
        known = next((live for live in asked if asks_the_same(live.plan, one.plan)), None)
        if known is None:
            known = seen_live(one, market, project_root)
            asked.append(known)
        observed = replace(
            one.observed, catalog=known.observed.catalog, estimate=known.observed.estimate
        )
        shards.append(replace(one, observed=observed))
    return replace(sweep_file, shards=tuple(shards))


def with_image(plan_file: PlanFile, market: Market, terminal: Terminal) -> PlanFile:
    """Return a plan file with the digest of its image, by its registry; what that kept is told."""
    now = asyncio.run(image_of(plan_file.plan, market.target.label))
    if now is None:
        return plan_file
    if now.digest is None:
        terminal.alert(f"note: the digest of the image is not known: {line(now.why)}.")
        return plan_file
    read_at = f"{utc_stamp(time.time())[:19]}Z"
    image = ObservedImage(digest=now.digest, read_at=read_at)
    return replace(plan_file, observed=replace(plan_file.observed, image=image))


def sweep_with_images(sweep_file: SweepFile, market: Market, terminal: Terminal) -> SweepFile:
    """Return a sweep with the digests of its images; each image is asked for once."""
    known: dict[str | None, ObservedImage | None] = {}
    shards = []
    for one in sweep_file.shards:
        name = one.plan.pod.image
        if name not in known:
            known[name] = with_image(one, market, terminal).observed.image
        shards.append(replace(one, observed=replace(one.observed, image=known[name])))
    return replace(sweep_file, shards=tuple(shards))

"""The network volume of a run: found by its name or id, or made where the job asks for that."""

from __future__ import annotations

import asyncio
import contextlib
from weakref import WeakKeyDictionary

from runpod_deploy.compiler.rates import volume_per_month
from runpod_deploy.errors import CloudError, EffectUnknown, RunpodDeployError, StepFailed
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.creation import LATEST_LISTED_SEC, LOOK_EVERY_SEC
from runpod_deploy.executor.ports import Volume
from runpod_deploy.executor.shielding import finish
from runpod_deploy.record import tolerant
from runpod_deploy.record.events import Event

# Runs of one sweep find out one after the other, so that one of them makes the volume.
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def mounted_volume(ctx: RunContext) -> Volume | None:
    """Return the volume that the run's pods mount, None when the plan has none.

    Raises:
        StepFailed: There is none, there are several of that name, or it is in another place.
        CloudError: RunPod refused to make it, or cannot be asked.
        AccountError: It refused the key.
    """
    if ctx.plan.storage.mode != "network_volume":
        return None
    turn = _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    async with turn:
        found = await _called_so(ctx)
        if len(found) > 1:
            raise _ambiguous(ctx, found)
        if found:
            return _in_place(ctx, found[0])
        if ctx.plan.storage.volume_gb is None:
            raise StepFailed(
                f"The account has no network volume called {ctx.plan.storage.volume_name!r}.",
                cause="volume_missing",
                help="Create it with `runpod-deploy volume create`, correct storage.volume_name, or let "
                "the run make it: `create: true` and `volume_gb` below `storage`.",
            )
        made, cancelled = await finish(_make(ctx, ctx.plan.storage.volume_gb))
    if cancelled:
        raise asyncio.CancelledError
    return made


async def _called_so(ctx: RunContext) -> list[Volume]:
    name = ctx.plan.storage.volume_name
    return [volume for volume in await ctx.cloud.volumes() if name in (volume.name, volume.id)]


async def _make(ctx: RunContext, size_gb: int) -> Volume:
    name, place = str(ctx.plan.storage.volume_name), _place(ctx)
    op_id = f"volume:{name}:{len(ctx.journal.events)}"
    ctx.journal.write("volume_create_intended", op_id=op_id, name=name, datacenter_id=place)
    try:
        made = await ctx.cloud.create_volume(name, size_gb, place)
    except EffectUnknown:
        lost = await _look(ctx, name, place, ctx.clock.now() + LATEST_LISTED_SEC)
        if lost is None:
            _settle(ctx, op_id, "unknown")
            ctx.warn(
                "volume-unsettled",
                f"It is not known whether a network volume called {name} exists in {place} now: look for "
                "it with `runpod-deploy volume ls`. It would be billed until it is removed.",
            )
            raise
        _have(ctx, op_id, "adopted", lost)
        return lost
    except RunpodDeployError:
        _settle(ctx, op_id, "refused")
        raise
    _have(ctx, op_id, "created", made)
    found = await _called_so(ctx)
    if len(found) > 1:
        raise _ambiguous(ctx, found)
    return made


async def _look(ctx: RunContext, name: str, place: str, until: float) -> Volume | None:
    """Return the volume that a call made whose answer is not known; one may be listed late.

    An API that does not answer proves nothing, so it is asked again until the time is over.
    """
    while True:
        with contextlib.suppress(CloudError):
            for volume in await ctx.cloud.volumes():
                if (volume.name, volume.datacenter) == (name, place):
                    return volume
        left = until - ctx.clock.now()
        if left <= 0:
            return None
        await ctx.clock.sleep(min(left, LOOK_EVERY_SEC))


async def settle_open_create(ctx: RunContext, intent: Event) -> None:
    """Settle the call of an executor that ended before its answer came: the volume is there, or not.

    Until one that was made at the last moment must be listed, not finding it proves nothing.

    Raises:
        CloudError: It cannot be looked for; the call stays open.
        AccountError: The key is refused.
    """
    listed_at = (tolerant.seconds(intent.ts_utc) or 0.0) + LATEST_LISTED_SEC
    name, place = str(intent["name"]), str(intent["datacenter_id"])
    found = await _look(ctx, name, place, listed_at)
    if found is None:
        await ctx.cloud.volumes()  # that nothing was found counts only if the API answers
        _settle(ctx, str(intent["op_id"]), "none")
    else:
        _have(ctx, str(intent["op_id"]), "adopted", found)


def _have(ctx: RunContext, op_id: str, outcome: str, volume: Volume) -> None:
    _settle(ctx, op_id, outcome, volume)
    ctx.warn(
        "volume-stays",
        f"Network volume {volume.name} ({volume.size_gb} GB in {volume.datacenter}) was made. It is billed "
        f"${volume_per_month(volume.size_gb):.2f} a month until `runpod-deploy volume rm {volume.id}`.",
    )


def _settle(ctx: RunContext, op_id: str, outcome: str, volume: Volume | None = None) -> None:
    ctx.journal.write(
        "volume_create_settled",
        op_id=op_id,
        outcome=outcome,
        volume_id=volume.id if volume else None,
    )


def _place(ctx: RunContext) -> str:
    """Return the one place of all candidates, which a job that makes its volume has to name."""
    places = {candidate.datacenter for candidate in ctx.plan.candidates}
    (place,) = places
    return str(place)


def _in_place(ctx: RunContext, volume: Volume) -> Volume:
    if ctx.plan.storage.volume_gb is not None and volume.datacenter != _place(ctx):
        raise StepFailed(
            f"Network volume {volume.id} ({volume.name}) is in {volume.datacenter}, and the job runs in "
            f"{_place(ctx)}.",
            cause="volume_elsewhere",
            help="Write the volume's data center as pod.datacenters, or give another "
            "storage.volume_name.",
        )
    return volume


def _ambiguous(ctx: RunContext, found: list[Volume]) -> StepFailed:
    name = ctx.plan.storage.volume_name
    places = ", ".join(f"{volume.id} in {volume.datacenter}" for volume in found)
    return StepFailed(
        f"The account has {len(found)} network volumes called {name!r}: {places}.",
        cause="volume_ambiguous",
        help="Write the id of the one you mean as storage.volume_name.",
    )

"""Keeps a run's pods in the user's one ledger, and ends the run when its money or the month's is spent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from runpod_deploy.errors import OverMonthlyCap, RunpodDeployError, StepFailed
from runpod_deploy.executor import lease
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.ports import STOPPED, Pod
from runpod_deploy.record.accounts import Account, Accounts
from runpod_deploy.record.ledger import Ledger
from runpod_deploy.record.run import fold
from runpod_deploy.record.spending import disks_of

# With less than this there is no use in renting: so long a pod takes to get ready.
LEAST_SEC = 300.0
# A pod of another run may be in the making: it is not looked for before it is so old.
SETTLED_SEC = 300.0


async def enter(
    ctx: RunContext, name: str, usd_per_hour: float | None, *, again: bool = False
) -> None:
    """Enter a pod that is about to be asked for; afterwards `ctx.limit_usd` is what the run may cost.

    Under a monthly cap that is not more than the month has left once every other run that is under
    way has cost what it may. So runs that begin in the same moment cannot spend the same money.

    Args:
        usd_per_hour: What is known of the pod's price beforehand.
        again: Whether it is there, stopped, and about to be started for this run.

    Raises:
        OverMonthlyCap: The month has nothing left.
        StepFailed: The ledger cannot be written, and a monthly cap cannot be kept without.
    """
    if ctx.ledger is None:
        return
    cap = ctx.plan.budget.monthly_cap_usd
    try:
        if cap is not None and _affordable(ctx, ctx.ledger.accounts()) is None:
            await _settle(ctx, ctx.ledger)
        with ctx.ledger.locked() as ledger:
            limit = _affordable(ctx, accounts := ledger.accounts())
            if limit is None:
                raise _over(ctx, accounts)
            ctx.limit_usd = limit
            _open(ctx, ledger, name, usd_per_hour, again=again)
    except OSError as error:
        _unwritten(ctx, error)
        return
    if limit < ctx.plan.budget.cost_cap_usd:
        said = f"budget.monthly_cap_usd leaves ${limit:.2f} for this run"
        if said not in ctx.said_once:
            ctx.said_once.add(said)
            ctx.warn("monthly-cap", f"{said}: it is ended there.")


def created(ctx: RunContext, pod: Pod, name: str) -> None:
    """Note that the pod called `name` exists, and what it costs."""
    price = pod.cost if pod.cost is not None else ctx.plan.budget.assumed_hourly_rate_usd
    running = disks_of(ctx.plan).running
    _add(ctx, "created", name, pod_id=pod.id, usd_per_hour=(price or 0.0) + running)


def found_running(ctx: RunContext, pod: Pod, name: str, at: float) -> None:
    """Note that a pod which is entered as stopped runs for this run, since `at`."""
    _add(ctx, "started", name, at=at, **_terms(ctx, pod.cost))


def recall(ctx: RunContext) -> None:
    """Take back what an earlier executor of this run entered and then never asked for; never raises."""
    known = fold(ctx.journal.events).pods
    with contextlib.suppress(OSError):
        accounts = ctx.ledger.accounts() if ctx.ledger is not None else Accounts()
        for account in accounts.pods.values():
            if account.run == _key(ctx) and account.open and account.name not in known:
                never(ctx, account.name)


def never(ctx: RunContext, name: str) -> None:
    """Note that a create call had no effect."""
    _add(ctx, "never", name)


def ended(ctx: RunContext, pod: str, how: str, at: float | None = None) -> None:
    """Note the confirmed end of a pod, by id or name: `gone` or `stopped`; at once, or at a time."""
    _add(ctx, how, pod, at=at)


def tell(ledger: Ledger, pods: Iterable[str], how: str, at: float) -> None:
    """Note the end of pods that no run ended; those that the ledger does not know are passed over.

    Raises:
        OSError: The ledger cannot be written.
    """
    known = ledger.accounts()
    mine = [pod for pod in pods if (one := known.find(pod)) is not None and one.open]
    if mine:
        with ledger.locked():
            for pod in mine:
                ledger.add(how, pod, at)


async def guard(ctx: RunContext, work: asyncio.Task[None]) -> None:
    """End `work` once the run has cost what it may, and leave the reason in `ctx.overspent`.

    The job itself is ended by its supervisor at the soft limit, so that there is money to collect
    with. This is the hard limit: whatever is being done then is given up.
    """
    while ctx.overspent is None:
        now = ctx.clock.now()
        # A pod that nothing would release is not given up.
        runs = ctx.pod is not None and ctx.pod.status not in STOPPED
        in_hand = runs and "pod" in ctx.undo.names()
        end = ctx.capped_at() if in_hand else float("inf")
        if now >= end:
            reached(ctx, "cost_cap")
            ctx.overspent = StepFailed(
                f"The run has cost ${ctx.spent():.2f}, as much as it may.", cause="cost_cap"
            )
        elif in_hand and (spent := _month_spent(ctx)) is not None:
            cap = ctx.plan.budget.monthly_cap_usd or 0.0
            ctx.overspent = StepFailed(
                f"This month's runs have cost ${spent:.2f}; budget.monthly_cap_usd is ${cap:.2f}.",
                cause="monthly_cap",
            )
        else:
            await ctx.clock.sleep(min(ctx.plan.budget.poll_interval_sec, max(0.05, end - now)))
    work.cancel()


def reached(ctx: RunContext, limit: str) -> None:
    """Tell that the run is ended for its cost: at the `soft_cap` or at the `cost_cap`."""
    spent = round(ctx.spent(), 6)
    ctx.note("budget_reached", limit=limit, accrued_usd=spent, cap_usd=ctx.limit())


def _month_spent(ctx: RunContext) -> float | None:
    """Return what the month has cost once that is its cap; None before."""
    cap = ctx.plan.budget.monthly_cap_usd
    if cap is None or ctx.ledger is None:
        return None
    try:
        spent = ctx.ledger.accounts().month_usd(ctx.cloud.label, ctx.clock.now())
    except OSError:
        # What the run may cost was agreed on before its pod was asked for, and holds.
        return None
    return spent if spent >= cap else None


def _affordable(ctx: RunContext, accounts: Accounts) -> float | None:
    """Return what the run may cost as a whole, None when that is not worth a pod."""
    budget, now, cloud = ctx.plan.budget, ctx.clock.now(), ctx.cloud.label
    if budget.monthly_cap_usd is None:
        return budget.cost_cap_usd
    left = budget.monthly_cap_usd - accounts.month_usd(cloud, now)
    left -= accounts.promised_usd(cloud, now, but=_key(ctx))
    least = lease.cheapest_usd(ctx.plan.pod) * ctx.plan.nodes * LEAST_SEC / 3600
    if left < min(least, budget.cost_cap_usd):
        return None
    return min(budget.cost_cap_usd, left + accounts.run_usd(_key(ctx), now))


def _key(ctx: RunContext) -> str:
    # Ids of runs are unique within a project; its folder is so on this machine.
    return str(ctx.folder.path)


def _open(
    ctx: RunContext, ledger: Ledger, name: str, usd_per_hour: float | None, *, again: bool
) -> None:
    terms = _terms(ctx, usd_per_hour)
    if again and ledger.accounts().find(name) is not None:
        # The days that it was stopped stay in the account of the run that kept it.
        ledger.add("started", name, ctx.clock.now(), **terms)
        return
    ledger.add(
        "opened",
        name,
        ctx.clock.now(),
        cloud=ctx.cloud.label,
        api_url=ctx.api_url,
        disk_usd_per_hour=disks_of(ctx.plan).stopped,
        **({"cluster": True} if ctx.plan.cluster is not None else {}),
        **terms,
    )


def _terms(ctx: RunContext, usd_per_hour: float | None) -> dict[str, object]:
    price = usd_per_hour if usd_per_hour is not None else ctx.plan.budget.assumed_hourly_rate_usd
    return {
        "run": _key(ctx),
        "usd_per_hour": (price or 0.0) + disks_of(ctx.plan).running,
        "limit_usd": ctx.limit(),
        "until": lease.dead_after(ctx),
    }


def _over(ctx: RunContext, accounts: Accounts) -> OverMonthlyCap:
    now, cloud = ctx.clock.now(), ctx.cloud.label
    spent = accounts.month_usd(cloud, now)
    promised = accounts.promised_usd(cloud, now, but=_key(ctx))
    going = f", and runs that are under way may still cost ${promised:.2f}" if promised else ""
    return OverMonthlyCap(
        f"budget.monthly_cap_usd is ${ctx.plan.budget.monthly_cap_usd or 0:.2f}. This month's runs "
        f"have cost ${spent:.2f}{going}: nothing is left for another pod.",
        cause="monthly_cap",
        help="Raise the cap, wait for the runs that are under way, or look for pods that are left:\n"
        "  runpod-deploy reap",
    )


def _unwritten(ctx: RunContext, error: OSError) -> None:
    why = f"The ledger of your runs cannot be kept: {error.strerror or error}."
    if ctx.plan.budget.monthly_cap_usd is not None:
        raise StepFailed(
            f"{why} Without it budget.monthly_cap_usd cannot be held.",
            cause="ledger_unwritten",
            help="Make the state folder writable ($XDG_STATE_HOME, else ~/.local/state).",
        ) from error
    if "ledger" not in ctx.said_once:
        ctx.said_once.add("ledger")
        ctx.warn("ledger-unwritten", f"{why} Monthly caps of other runs do not see this one.")


def _add(
    ctx: RunContext, event: str, pod: str, *, at: float | None = None, **fields: object
) -> None:
    """Add a line; never raises, since the pod is what it is."""
    if ctx.ledger is None:
        return
    try:
        with ctx.ledger.locked() as ledger:
            if ledger.accounts().find(pod) is not None:
                ledger.add(event, pod, ctx.clock.now() if at is None else at, **fields)
    except OSError as error:
        if "ledger" not in ctx.said_once:
            ctx.said_once.add("ledger")
            ctx.warn("ledger-unwritten", f"The ledger of your runs cannot be kept: {error}")


async def _settle(ctx: RunContext, ledger: Ledger) -> None:
    """Ask the API for the pods of other runs that the ledger holds to be there.

    One that ended with nobody looking, as by its lease, is taken to have ended when its run's money
    was spent, and not later than now.
    """
    now = ctx.clock.now()
    for account in ledger.accounts().pods.values():
        mine = account.cloud == ctx.cloud.label and account.api_url == ctx.api_url
        young = account.open and now - account.stretches[0].start < SETTLED_SEC
        if not mine or not account.open or young or account.run == _key(ctx):
            continue
        try:
            status = await _status(ctx, account)
        except RunpodDeployError:
            continue
        at = account.spent_at(account.limit_usd, now) if account.running else now
        if status is None or (status in STOPPED and account.running):
            with ledger.locked():
                ledger.add("gone" if status is None else "stopped", account.name, at)


async def _status(ctx: RunContext, account: Account) -> str | None:
    cloud = ctx.account or ctx.cloud
    if ctx.account is not None and not account.cluster:
        # A key that sees no clusters must be able to tell that a pod is gone.
        ctx.account.standing_alone(account.name, account.pod_id or account.name)
    if account.pod_id is not None:
        pod = await cloud.get(account.pod_id)
    else:
        pod = next(iter(await cloud.find(account.name)), None)
    return None if pod is None or pod.status == "TERMINATED" else pod.status

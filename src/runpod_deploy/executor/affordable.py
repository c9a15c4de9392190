"""Whether the account can pay for a run, as far as its money is known: asked before anything is rented."""

from __future__ import annotations

from runpod_deploy.errors import AccountError, CloudError
from runpod_deploy.executor.catalog import candidate_offers, stock_query
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.runpod.sdk_funds import Funds


async def check_funds(ctx: RunContext) -> None:
    """Look at the account's money where that can be done, and warn or stop.

    RunPod rents nothing to an account that cannot pay for an hour, so neither is anything asked for.

    Raises:
        AccountError: The balance does not pay for one hour of any candidate.
    """
    if ctx.funds is None:
        return
    funds = await ctx.funds()
    ctx.journal.write(
        "account_checked",
        balance_usd=funds.balance_usd,
        spend_limit_per_hour_usd=funds.spend_limit_usd,
        spend_per_hour_usd=funds.spend_usd,
        unknown=funds.unknown,
    )
    if funds.unknown is None:
        judge(ctx, funds, await _cheapest(ctx))


def judge(ctx: RunContext, funds: Funds, rate: float | None) -> None:
    """Hold what the account has against the plan.

    Args:
        rate: Of the cheapest candidate, USD per hour for the whole pod; None when not known.

    Raises:
        AccountError: The balance does not pay for one hour of it.
    """
    cap = ctx.plan.budget.cost_cap_usd
    balance = funds.balance_usd
    if balance is not None and rate is not None and balance < rate:
        raise AccountError(
            f"The account has ${balance:.2f}, and one hour of the cheapest candidate costs "
            f"${rate:.2f}: RunPod rents nothing for less than an hour's money.",
            help="Add funds to the RunPod account, or allow a cheaper GPU.",
        )
    if balance is not None and balance <= 0:
        raise AccountError(
            f"The account has ${balance:.2f}: RunPod rents nothing for it.",
            help="Add funds to the RunPod account.",
        )
    if balance is not None and balance < cap:
        ctx.warn(
            "balance-below-cap",
            f"The account has ${balance:.2f}, less than the cost cap of ${cap:.2f}: at $0 RunPod "
            "ends the pod, results included.",
        )
    limit, spend = funds.spend_limit_usd, funds.spend_usd
    if limit is not None and spend is not None and rate is not None and spend + rate > limit:
        ctx.warn(
            "spend-limit",
            f"The account spends ${spend:.2f}/h of the ${limit:.2f}/h that it may; with this pod it "
            f"would be ${spend + rate:.2f}/h, and RunPod may refuse.",
        )


async def _cheapest(ctx: RunContext) -> float | None:
    """Return the rate of the cheapest candidate, None when the catalog does not tell."""
    try:
        rows = await ctx.cloud.catalog(stock_query(ctx.plan))
    except CloudError:
        return None
    rates = [offer.price_per_hour_usd for offer in candidate_offers(ctx.plan, rows)]
    return min((rate for rate in rates if rate is not None), default=None)

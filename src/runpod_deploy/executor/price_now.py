"""The prices that a saved plan is held against: asked for only where the plan shows some."""

from __future__ import annotations

from runpod_deploy.compiler.observed import CandidateOffer
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.price_drift import PricesUnknown
from runpod_deploy.errors import AccountError, CloudError, Unreachable
from runpod_deploy.executor.catalog import candidate_offers, stock_query
from runpod_deploy.executor.ports import Cloud

Offers = tuple[CandidateOffer, ...] | PricesUnknown | None


async def offers_now(plan_file: PlanFile, cloud: Cloud) -> Offers:
    """Return what the catalog says now about a plan's candidates.

    Returns:
        None when the plan shows no prices of this cloud (a rehearsal says nothing about those of
        RunPod); `PricesUnknown` when the catalog failed.

    Raises:
        Unreachable: Nobody answers at the API's address.
        AccountError: The API refused the key.
    """
    seen = plan_file.observed.catalog
    if seen is None or seen.cloud != cloud.label:
        return None
    try:
        rows = await cloud.catalog(stock_query(plan_file.plan))
    except (AccountError, Unreachable):
        raise
    except CloudError as error:
        return PricesUnknown(why=error.message)
    return candidate_offers(plan_file.plan, rows)

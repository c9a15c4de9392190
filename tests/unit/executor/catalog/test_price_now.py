"""The prices that a saved plan is held against: asked for where it shows some, and told when not given."""

import asyncio
from dataclasses import replace

from runpod_deploy.compiler.observed import ObservedCatalog
from runpod_deploy.compiler.price_drift import PricesUnknown
from runpod_deploy.errors import CloudError
from runpod_deploy.executor.catalog import candidate_offers
from runpod_deploy.executor.price_now import offers_now
from support.fakes import FakeClock, FakeCloud
from support.plans import plan_file


def test_a_catalog_that_fails_is_told() -> None:
    """With what it said; nobody is asked for a plan without prices, or with those of another cloud."""
    saved = plan_file()
    cloud = FakeCloud(FakeClock(), offers=CloudError("RunPod answered 500."))
    assert asyncio.run(offers_now(saved, cloud)) is None
    for label, found in (
        ("runpod", None),
        (cloud.label, PricesUnknown(why="RunPod answered 500.")),
    ):
        seen = ObservedCatalog(
            cloud=label, read_at="now", candidates=candidate_offers(saved.plan, ())
        )
        shown = replace(saved, observed=replace(saved.observed, catalog=seen))
        assert found == asyncio.run(offers_now(shown, cloud))

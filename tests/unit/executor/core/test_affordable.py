"""The account's money, held against the plan before anything is rented."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest

from runpod_deploy.errors import AccountError, Unavailable
from runpod_deploy.executor.ports import GpuOffer
from runpod_deploy.executor.runpod.sdk_funds import Funds, read_answer
from runpod_deploy.record.run import RunState
from support.plans import small_plan
from support.rig import Rig, RigMaker

PLAN = small_plan()
GPU = PLAN.candidates[0].gpu
OFFERS = [GpuOffer(id=GPU, memory_gb=24, secure_price=0.5, community_price=0.4)]


def having(**money: float | str) -> Callable[[], Awaitable[Funds]]:
    """Return an account that has so much."""

    async def funds() -> Funds:
        return Funds(**money)

    return funds


def run_with(make_rig: RigMaker, offers: list[GpuOffer] | Exception, **money: float | str) -> Rig:
    """Carry a run out for an account that has so much."""
    rig = make_rig()
    rig.cloud.offers = offers
    rig.ctx.funds = having(**money)
    rig.run()
    return rig


def warnings(rig: Rig) -> list[str]:
    """Return the codes of what was warned of because of money."""
    codes = [event["code"] for event in rig.events if event.event == "warning"]
    return [code for code in codes if code in {"balance-below-cap", "spend-limit"}]


def test_enough_money_is_noted_and_nothing_is_said(make_rig: RigMaker) -> None:
    """The journal keeps what was known at that moment."""
    rig = run_with(make_rig, OFFERS, balance_usd=1000.0, spend_usd=1.5, spend_limit_usd=80.0)
    event = rig.one("account_checked")
    assert (1000.0, 1.5, 80.0, None) == tuple(
        event[name]
        for name in ("balance_usd", "spend_per_hour_usd", "spend_limit_per_hour_usd", "unknown")
    )
    assert [] == warnings(rig)
    assert RunState.SUCCEEDED == rig.engine.state


@pytest.mark.parametrize("balance", [0.39, 0.0, -3.0])
def test_less_than_an_hour_of_the_cheapest_candidate_ends_the_run_before_it_costs(
    make_rig: RigMaker, balance: float
) -> None:
    """RunPod would refuse every candidate."""
    rig = run_with(make_rig, OFFERS, balance_usd=balance)
    assert isinstance(rig.engine.failure, AccountError)
    assert 0 == rig.cloud.made
    assert [] == rig.names("pod_create_intended")


def test_less_than_the_cap_is_warned_of(make_rig: RigMaker) -> None:
    """The run may end at $0, results included; it is the user's to decide."""
    cap = PLAN.budget.cost_cap_usd
    rig = run_with(make_rig, OFFERS, balance_usd=cap - 0.01)
    assert ["balance-below-cap"] == warnings(rig)
    assert RunState.SUCCEEDED == rig.engine.state
    assert [] == warnings(run_with(make_rig, OFFERS, balance_usd=cap))


def test_a_spend_limit_that_the_pod_would_break_is_warned_of(make_rig: RigMaker) -> None:
    """Counted with what the account spends already."""
    limits = {"balance_usd": 1000.0, "spend_limit_usd": 80.0}
    assert ["spend-limit"] == warnings(run_with(make_rig, OFFERS, **limits, spend_usd=79.9))
    assert [] == warnings(run_with(make_rig, OFFERS, **limits, spend_usd=79.0))


@pytest.mark.parametrize("offers", [[], Unavailable("no catalog")], ids=["no price", "no catalog"])
def test_without_a_price_only_an_empty_account_ends_the_run(
    make_rig: RigMaker, offers: list[GpuOffer] | Exception
) -> None:
    """What is not known stops nobody."""
    rig = make_rig()
    rig.ctx.funds = having(balance_usd=0.01)
    rig.cloud.offers = offers
    rig.run()
    assert not isinstance(rig.engine.failure, AccountError)
    rig = make_rig()
    rig.ctx.funds = having(balance_usd=0.0)
    rig.cloud.offers = offers
    rig.run()
    assert isinstance(rig.engine.failure, AccountError)


def test_money_that_is_not_known_stops_nobody(make_rig: RigMaker) -> None:
    """The journal says why; without the extra it says nothing at all."""
    rig = run_with(make_rig, OFFERS, unknown="RunPod's GraphQL says: gone")
    assert "RunPod's GraphQL says: gone" == rig.one("account_checked")["unknown"]
    assert RunState.SUCCEEDED == rig.engine.state
    rig = make_rig()
    rig.run()
    assert [] == rig.names("account_checked")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            b'noise\n{"data": {"myself": {"clientBalance": 17, "currentSpendPerHr": 0.5}}}\n',
            Funds(balance_usd=17.0, spend_usd=0.5),
        ),
        (
            b'{"data": {"myself": {"clientBalance": true, "spendLimit": 80}}}',
            Funds(spend_limit_usd=80.0),
        ),
    ],
)
def test_an_answer_is_read_as_far_as_it_goes(output: bytes, expected: Funds) -> None:
    """The last line counts, and what is no number is not known."""
    assert expected == read_answer(output, "key")


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"no json",
        b"[1]",
        b"[" * 5000,
        b'{"data": null}',
        b'{"data": {"myself": null}}',
        b'{"data": {"myself": {"clientBalance": "17"}}}',
        b'{"data": {"myself": {"clientBalance": NaN}}}',
        b'{"data": {"myself": {"clientBalance": 1e999}}}',
        b"\xff\xfe",
    ],
)
def test_an_answer_that_says_nothing_is_unknown(output: bytes) -> None:
    """Whatever the SDK and the API make of it."""
    assert read_answer(output, "key").unknown


def test_what_the_sdk_complains_about_is_harmless_and_without_the_key() -> None:
    """Control characters are made visible; the key is masked."""
    said = json.dumps({"unknown": "refused rpa_KEY \x1b[31m" + "x" * 1000})
    unknown = read_answer(said.encode(), "rpa_KEY").unknown
    assert unknown is not None
    assert unknown.startswith("refused *** \\x1b[31mxxx")
    assert len(unknown) <= 301

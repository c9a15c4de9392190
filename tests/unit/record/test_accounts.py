"""What the ledger's lines add up to: pods, runs, and the month."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from runpod_deploy.record.accounts import Accounts, add_up, month_start

HOUR = 3600.0
START = datetime(2026, 3, 15, 12, tzinfo=UTC).timestamp()


def line(event: str, hours: float, pod: str = "a", **fields: Any) -> dict[str, Any]:
    """Return a line of the ledger, so many hours after the start."""
    return {"v": 1, "at": START + hours * HOUR, "event": event, "pod": pod, **fields}


def opened(hours: float = 0.0, pod: str = "a", **changes: Any) -> dict[str, Any]:
    """Return the line of a pod of run `r` at 1 USD per hour that may cost 10."""
    fields = {
        "run": "r",
        "cloud": "runpod",
        "api_url": "u",
        "usd_per_hour": 1.0,
        "disk_usd_per_hour": 0.1,
        "limit_usd": 10.0,
        "until": START + 100 * HOUR,
    }
    return line("opened", hours, pod, **{**fields, **changes})


def month(accounts: Accounts, hours: float, cloud: str = "runpod") -> float:
    """Return what the month has cost, so many hours after the start."""
    return accounts.month_usd(cloud, START + hours * HOUR)


def test_pod_costs_from_the_create_call_to_its_confirmed_end() -> None:
    """Its real price counts from the call on, and nothing counts after the end."""
    lines = [opened(), line("created", 0.1, pod_id="p1", usd_per_hour=2.0), line("gone", 3.0)]

    assert month(add_up(lines[:2]), 1.0) == pytest.approx(2.0)
    assert month(add_up(lines), 50.0) == pytest.approx(6.0)


def test_stopped_pod_costs_its_disk_until_it_is_gone() -> None:
    """The stop ends the price of the compute and begins that of the stopped disk."""
    lines = [opened(), line("stopped", 2.0), line("gone", 12.0, pod="a")]

    assert month(add_up(lines[:2]), 7.0) == pytest.approx(2.0 + 0.5)
    assert month(add_up(lines), 99.0) == pytest.approx(2.0 + 1.0)


def test_create_call_without_effect_costs_nothing() -> None:
    """What was entered before a call that made no pod is taken back."""
    accounts = add_up([opened(), line("never", 0.5)])

    assert month(accounts, 5.0) == 0.0
    assert accounts.promised_usd("runpod", START + HOUR, but="") == 0.0


def test_pod_that_was_taken_for_none_and_is_there_costs_from_when_it_was_seen() -> None:
    """A line that says so is no reason for the file never to be read again."""
    lines = [opened(), line("never", 0.5), line("created", 2.0, pod_id="p1", usd_per_hour=2.0)]

    assert month(add_up(lines), 3.0) == pytest.approx(2.0)
    assert month(add_up([*lines, line("gone", 4.0, pod="p1")]), 9.0) == pytest.approx(4.0)


def test_pod_that_never_was_can_have_used_up_nothing() -> None:
    """When its money was spent is asked for without harm, too."""
    account = add_up([opened(), line("never", 0.5)]).pods["a"]

    assert account.spent_at(10.0, START + HOUR) == START + HOUR


def test_pod_that_runs_again_costs_for_the_run_that_has_it() -> None:
    """A pod that was stopped and is started for another run counts for that one from there."""
    again = line("started", 4.0, run="s", usd_per_hour=3.0, limit_usd=5.0, until=START + 100 * HOUR)
    accounts = add_up([opened(), line("stopped", 1.0), again])

    assert accounts.run_usd("r", START + 5 * HOUR) == pytest.approx(1.0 + 0.3)
    assert accounts.run_usd("s", START + 5 * HOUR) == pytest.approx(3.0)
    assert accounts.promised_usd("runpod", START + 5 * HOUR, but="") == pytest.approx(2.0)


def test_month_counts_its_own_part_of_a_pod() -> None:
    """A pod that runs over the turn of the month costs each month what it ran in it."""
    turn = datetime(2026, 4, 1, tzinfo=UTC).timestamp()
    hours = (turn - START) / HOUR
    accounts = add_up([opened(hours - 2.0, until=turn + 10 * HOUR), line("gone", hours + 3.0)])

    assert month(accounts, hours - 0.001) == pytest.approx(2.0, abs=0.01)
    assert month(accounts, hours + 9.0) == pytest.approx(3.0)
    assert month_start(turn) == turn


def test_clouds_do_not_share_their_money() -> None:
    """What the emulator bills is no part of what RunPod does."""
    accounts = add_up([opened(), opened(pod="b", cloud="emulator", run="e")])

    assert month(accounts, 1.0) == pytest.approx(1.0)
    assert month(accounts, 1.0, "emulator") == pytest.approx(1.0)


def test_run_under_way_is_counted_with_what_it_may_still_cost() -> None:
    """Its limit less what it has cost is promised, once for all its pods, until it has none."""
    lines = [opened(), line("gone", 1.0), opened(1.0, pod="b")]
    accounts = add_up(lines)

    assert accounts.promised_usd("runpod", START + 2 * HOUR, but="") == pytest.approx(8.0)
    assert accounts.promised_usd("runpod", START + 2 * HOUR, but="r") == 0.0
    assert accounts.promised_usd("emulator", START + 2 * HOUR, but="") == 0.0
    over = add_up([line("gone", 2.0, pod="b")], accounts)
    assert over.promised_usd("runpod", START + 2 * HOUR, but="") == 0.0


def test_pod_of_which_nobody_told_the_end_stops_counting_when_nobody_can_want_it() -> None:
    """A run that was killed neither costs nor is promised anything for ever."""
    accounts = add_up([opened(until=START + 5 * HOUR)])

    assert month(accounts, 50.0) == pytest.approx(5.0)
    assert accounts.promised_usd("runpod", START + 50 * HOUR, but="") == 0.0


def test_moment_at_which_the_money_was_spent() -> None:
    """It follows from the pod's rate and what its run cost before, and is never later than asked."""
    account = add_up([opened()]).pods["a"]

    assert account.spent_at(10.0, START + 50 * HOUR) == pytest.approx(START + 10 * HOUR)
    assert account.spent_at(10.0, START + 3 * HOUR) == pytest.approx(START + 3 * HOUR)


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"v": 2, "at": START, "event": "opened", "pod": "z"},
        {"v": 1, "at": "soon", "event": "opened", "pod": "z"},
        line("gone", 1.0, pod="of nobody"),
        line("rejoiced", 1.0),
    ],
)
def test_line_that_says_nothing_changes_nothing(odd: dict[str, Any]) -> None:
    """Lines of another version, spoilt ones, and those about pods that are not known are passed over."""
    assert add_up([opened(), odd]) == add_up([opened()])


def test_pod_is_found_by_its_id_once_that_is_known() -> None:
    """Who ends a pod may know its id alone."""
    accounts = add_up([opened(), line("created", 0.0, pod_id="p1", usd_per_hour=1.0)])

    assert accounts.find("p1") == accounts.find("a") == accounts.pods["a"]
    assert accounts.find("p2") is None
    assert not add_up([line("gone", 1.0, pod="p1")], accounts).pods["a"].open

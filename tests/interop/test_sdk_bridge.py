"""The account's money by RunPod's SDK: asked in a process of its own, and unknown rather than late."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from runpod_deploy.emulator import client
from runpod_deploy.executor.runpod import sdk_funds
from runpod_deploy.executor.runpod.sdk_child import QUERY
from runpod_deploy.executor.runpod.sdk_funds import Funds, account_funds, installed
from support.command import Bench
from support.fake_sdk import GraphQL, graphql_server, install_fake_sdk, python_path

pytestmark = pytest.mark.interop

KEY = "rpa_SECRETSECRET"
RICH = {"data": {"myself": {"clientBalance": 17.06, "currentSpendPerHr": 0.5, "spendLimit": 80}}}
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def server() -> Iterator[GraphQL]:
    """A GraphQL server that knows the account."""
    with graphql_server() as running:
        running.body = RICH
        yield running


def ask(url: str) -> Funds:
    """Ask for the account's money."""
    return asyncio.run(account_funds(url, KEY))


@pytest.fixture
def sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in for the SDK; returns where its imports are noted."""
    log = install_fake_sdk(tmp_path / "sdk")
    monkeypatch.setenv("PYTHONPATH", python_path(tmp_path / "sdk", REPOSITORY / "src"))
    return log


def test_the_account_is_asked_by_a_constant_query(server: GraphQL, sdk: Path) -> None:
    """Balance, spending and limit come back; the key is in one header and nowhere else."""
    assert Funds(balance_usd=17.06, spend_usd=0.5, spend_limit_usd=80.0) == ask(server.url)
    assert [("/graphql", f"Bearer {KEY}", {"query": QUERY})] == server.asked
    assert KEY not in sdk.read_text()
    assert KEY not in QUERY


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (410, {}, "410"),
        (400, {"errors": [{"message": "Cannot query field"}]}, "400"),
        (200, {"errors": [{"message": f"no such field, {KEY}"}]}, "no such field, ***"),
        (200, {"data": {"myself": None}}, "does not tell"),
        (401, {}, "401"),
    ],
)
def test_an_api_that_is_retired_or_refuses_is_unknown(
    server: GraphQL, sdk: Path, status: int, body: object, reason: str
) -> None:
    """The reason is kept, the key is not."""
    server.status, server.body = status, body
    unknown = ask(server.url).unknown
    assert unknown is not None
    assert reason in unknown
    assert sdk.exists()


def test_an_answer_that_is_late_is_unknown(
    server: GraphQL, sdk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RunPod has two seconds; the tests give it a moment only."""
    assert 2.0 == sdk_funds.PATIENCE_SEC
    monkeypatch.setattr(sdk_funds, "PATIENCE_SEC", 0.2)
    server.delay = 3.0
    assert "RunPod's GraphQL did not answer in time" == ask(server.url).unknown
    assert sdk.exists()


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (
            "raise RuntimeError('half installed')",
            "cannot be loaded: RuntimeError('half installed')",
        ),
        ("import os; os._exit(3)", "no answer that can be read"),
        ("import time; time.sleep(60)", "did not answer in time"),
    ],
    ids=["broken", "crashing", "hanging"],
)
def test_an_sdk_that_does_not_work_is_unknown(
    server: GraphQL,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    extra: str,
    reason: str,
) -> None:
    """Whatever it does, it does it in a process that can be ended."""
    install_fake_sdk(tmp_path / "sdk", extra)
    monkeypatch.setenv("PYTHONPATH", python_path(tmp_path / "sdk", REPOSITORY / "src"))
    if "sleep" in extra:
        monkeypatch.setattr(sdk_funds, "IMPORT_SEC", 0.5)
        monkeypatch.setattr(sdk_funds, "PATIENCE_SEC", 0.5)
    assert reason in (ask(server.url).unknown or "")
    assert [] == server.asked


def test_the_real_sdk_asks_the_same(server: GraphQL, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is installed; a cold disk may need its time for it."""
    monkeypatch.setattr(sdk_funds, "IMPORT_SEC", 120.0)
    if importlib.util.find_spec("runpod") is None:
        assert not installed()
        pytest.skip("RunPod's SDK is not installed")
    assert installed()
    assert Funds(balance_usd=17.06, spend_usd=0.5, spend_limit_usd=80.0) == ask(server.url)
    assert [("/graphql", f"Bearer {KEY}", {"query": QUERY})] == server.asked


@pytest.mark.emulated
def test_a_run_that_cannot_be_paid_for_ends_before_it_costs(tmp_path: Path) -> None:
    """Exit status 5, both amounts told, nothing rented, and the SDK only in its own process."""
    answer = '{"data": {"myself": {"clientBalance": 0.05}}}'
    extra = (
        "import sys, types\n"
        "api, graphql = types.ModuleType('runpod.api'), types.ModuleType('runpod.api.graphql')\n"
        f"graphql.run_graphql_query = lambda *_: __import__('json').loads('{answer}')\n"
        "sys.modules.update({'runpod.api': api, 'runpod.api.graphql': graphql})\n"
    )
    log = install_fake_sdk(tmp_path / "sdk", extra)
    bench = Bench(
        tmp_path / "bench", {"PYTHONPATH": python_path(tmp_path / "sdk", REPOSITORY / "src")}
    )
    try:
        bench.extra["RUNPOD_API_KEY"] = KEY
        bench.emulator()
        bench.job()
        assert 0 == bench.run("run", "job.yaml", "--cloud", "emulator")[0]
        assert not log.exists()
        info = client.find(bench.env)
        assert info is not None
        bench.extra["RUNPOD_API_URL"] = info.url
        status, output = bench.run("run", "job.yaml", "--cloud", "runpod")
        assert 5 == status, output
        assert "the account has $0.0500" in output
        assert "$0.05, and one hour of the cheapest candidate costs $0.4" in output
        assert 1 == len(bench.history()["pods"])
        assert 1 == len(log.read_text().splitlines())
        assert "sdk_child" in log.read_text()
    finally:
        bench.close()

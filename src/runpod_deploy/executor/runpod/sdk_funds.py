"""Balance and spending of the account, asked for by RunPod's own SDK in a process of its own.

REST v2 has no balance; the SDK's GraphQL has. Importing the SDK takes seconds, changes logging and
loads a hundred packages, so none of it comes into this process, and what hangs can be ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from runpod_deploy.executor.runpod.address import checked_base
from runpod_deploy.executor.untrusted import printable

PATIENCE_SEC = 2.0
"""How long RunPod may take for its answer."""
IMPORT_SEC = 8.0
"""How long the SDK may take to be there."""
_CHILD = "runpod_deploy.executor.runpod.sdk_child"
_LONGEST = 64 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Funds:
    """What the account has and spends; USD, None where the API does not say.

    Attributes:
        spend_limit_usd: Most that all of the account's resources together may cost per hour.
        spend_usd: What they cost per hour now.
        unknown: Why nothing is known, None when something is.
    """

    balance_usd: float | None = None
    spend_limit_usd: float | None = None
    spend_usd: float | None = None
    unknown: str | None = None


def installed() -> bool:
    """Tell whether the SDK is there, without importing it."""
    try:
        return find_spec("runpod") is not None
    except ValueError:
        return False


def funds_of(label: str, api_url: str, api_key: str) -> Callable[[], Awaitable[Funds]] | None:
    """Return how to ask for the account's money: with the extra `sdk`, at RunPod only."""
    if label != "runpod" or not installed():
        return None
    return lambda: account_funds(api_url, api_key)


async def account_funds(api_url: str, api_key: str) -> Funds:
    """Ask for the account's money; never raises, and takes ten seconds at most.

    Args:
        api_url: Base URL of the API; `/graphql` is below it.
        api_key: Handed over on stdin, where no process list shows it.
    """
    base, _ = checked_base(api_url)
    asked = json.dumps({"api_url": base, "api_key": api_key, "patience": PATIENCE_SEC})
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            _CHILD,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        return Funds(unknown=f"RunPod's SDK cannot be started: {error.strerror or error}")
    try:
        async with asyncio.timeout(PATIENCE_SEC + IMPORT_SEC):
            output, _ = await process.communicate(asked.encode())
    except TimeoutError:
        return Funds(unknown="RunPod's SDK did not answer in time")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return read_answer(output[:_LONGEST], api_key)


def read_answer(output: bytes, api_key: str) -> Funds:
    """Return what the child's last line says, however odd."""
    lines = output.decode("utf-8", "replace").splitlines()
    try:
        answer: Any = json.loads(lines[-1]) if lines else None
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        return Funds(unknown="RunPod's SDK gave no answer that can be read")
    if "unknown" in answer:
        said = str(answer["unknown"]).replace(api_key, "***")
        return Funds(unknown=printable(said, 300))
    data = answer.get("data")
    myself = data.get("myself") if isinstance(data, dict) else None
    if not isinstance(myself, dict):
        return Funds(unknown="RunPod's answer does not tell about the account")
    funds = Funds(
        balance_usd=_number(myself.get("clientBalance")),
        spend_limit_usd=_number(myself.get("spendLimit")),
        spend_usd=_number(myself.get("currentSpendPerHr")),
    )
    if funds == Funds():
        return Funds(unknown="RunPod's answer does not tell about the account")
    return funds


def _number(value: object) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if known and abs(value) < 1e12 else None  # type: ignore[arg-type]

"""Which account a plugin works for: the stack's config first, then the environment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from runpod_deploy.emulator.client import EmulatorError, ensure_running
from runpod_deploy.errors import InvalidInput, JobFailed
from runpod_deploy.executor.run import Target
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.executor.runpod.credentials import account_key, api_url

T = TypeVar("T")

NAMESPACE = "runpod"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What the stack's config says; None leaves it to the environment.

    Attributes:
        api_key: `runpod:apiKey`.
        api_url: `runpod:apiUrl`.
    """

    api_key: str | None = field(default=None, repr=False)
    api_url: str | None = None


def target_of(settings: Settings, environ: Mapping[str, str]) -> Target:
    """Return the cloud and its key.

    Raises:
        AccountError: There is no key.
        InvalidInput: RUNPOD_DEPLOY_CLOUD names no cloud, or RunPod's config.toml cannot be read.
        JobFailed: The emulator did not start.
    """
    name = environ.get("RUNPOD_DEPLOY_CLOUD") or "runpod"
    if name not in {"runpod", "emulator"}:
        raise InvalidInput(
            f"RUNPOD_DEPLOY_CLOUD is {name!r}, which is no cloud",
            help="Set it to runpod or emulator.",
        )
    if name == "emulator":
        try:
            info = ensure_running(environ)
        except EmulatorError as error:
            raise JobFailed(str(error)) from error
        return Target(label="emulator", api_url=info.url, api_key=info.api_key)
    return Target(
        label="runpod",
        api_url=settings.api_url or api_url(environ),
        api_key=settings.api_key or account_key(environ),
    )


def on_account(target: Target, work: Callable[[RunPodCloud], Awaitable[T]]) -> T:
    """Run `work` on the account, in an event loop of its own, and return what it gives."""

    async def whole() -> T:
        cloud = RunPodCloud(target.api_url, target.api_key, target.label)
        try:
            return await work(cloud)
        finally:
            await cloud.close()

    return asyncio.run(whole())

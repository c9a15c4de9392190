"""Which cloud a plan is applied to, and the key for it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from runpod_deploy.errors import InvalidInput

if TYPE_CHECKING:
    from runpod_deploy.executor.run import Target


class CloudName(StrEnum):
    """Where a run can take place."""

    RUNPOD = "runpod"
    EMULATOR = "emulator"


def choose_cloud(flag: CloudName | None, environ: Mapping[str, str]) -> CloudName:
    """Return the cloud of the flag, else that of RUNPOD_DEPLOY_CLOUD, else RunPod.

    Raises:
        InvalidInput: RUNPOD_DEPLOY_CLOUD names no cloud.
    """
    if flag is not None:
        return flag
    name = environ.get("RUNPOD_DEPLOY_CLOUD") or CloudName.RUNPOD
    try:
        return CloudName(name)
    except ValueError:
        raise InvalidInput(
            f"RUNPOD_DEPLOY_CLOUD is {name!r}, which is no cloud",
            help="Set it to runpod or emulator.",
        ) from None


def runpod_target(environ: Mapping[str, str]) -> Target:
    """Return RunPod with the account's key: RUNPOD_API_KEY, else that of RunPod's own tools.

    Raises:
        AccountError: There is no key.
        InvalidInput: RunPod's config.toml cannot be read.
    """
    from runpod_deploy.executor.run import Target  # noqa: PLC0415 - loads the whole executor
    from runpod_deploy.executor.runpod.credentials import (  # noqa: PLC0415 - likewise
        account_key,
        api_url,
    )

    return Target(label=CloudName.RUNPOD, api_url=api_url(environ), api_key=account_key(environ))


def emulator_target(environ: Mapping[str, str]) -> Target:
    """Return the emulator that runs on this machine, started if need be.

    Raises:
        RunpodDeployError: It did not start; the message says why.
    """
    from runpod_deploy.cli.emulator_commands import explained  # noqa: PLC0415 - not for RunPod
    from runpod_deploy.emulator.client import ensure_running  # noqa: PLC0415 - likewise
    from runpod_deploy.executor.run import Target  # noqa: PLC0415 - loads the whole executor

    with explained():
        info = ensure_running(environ)
    return Target(label=CloudName.EMULATOR, api_url=info.url, api_key=info.api_key)

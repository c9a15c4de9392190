"""Which cloud a plan is applied to, and the key for it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runpod_deploy.errors import AccountError, InvalidInput

if TYPE_CHECKING:
    from runpod_deploy.executor.run import Target

DEFAULT_URL = "https://api.runpod.io"


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

    key = environ.get("RUNPOD_API_KEY", "").strip() or _key_of_profile(environ)
    if not key:
        raise AccountError(
            "there is no RunPod API key: RUNPOD_API_KEY is not set, and ~/.runpod/config.toml has none",
            help="export RUNPOD_API_KEY=…\n"
            "or rehearse it on this machine, without an account and for nothing:\n"
            "  --cloud emulator",
        )
    return Target(
        label=CloudName.RUNPOD, api_url=environ.get("RUNPOD_API_URL") or DEFAULT_URL, api_key=key
    )


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


def _key_of_profile(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME")
    path = (Path(home) if home else Path.home()) / ".runpod" / "config.toml"
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"RunPod's own {path} cannot be read: {error}",
            help="Mend it, or set RUNPOD_API_KEY, which comes first.",
        ) from error
    profile = content.get("default")
    places = [profile if isinstance(profile, dict) else {}, content]
    found = [place.get(name) for place in places for name in ("api_key", "apikey")]
    return next((key.strip() for key in found if isinstance(key, str) and key.strip()), "")

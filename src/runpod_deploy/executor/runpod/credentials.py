"""Where the account's key comes from: RUNPOD_API_KEY, else RunPod's own config.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runpod_deploy.errors import AccountError, InvalidInput

DEFAULT_URL = "https://api.runpod.io"
PROFILE = "RUNPOD_DEPLOY_PROFILE"
"""Names the profile of RunPod's config.toml whose key is used; `default` without it."""


def account_key(environ: Mapping[str, str]) -> str:
    """Return the account's API key.

    Raises:
        AccountError: There is none.
        InvalidInput: RunPod's config.toml cannot be read, or has no such profile.
    """
    key = environ.get("RUNPOD_API_KEY", "").strip() or _key_of_profile(environ)
    if not key:
        raise AccountError(
            "there is no RunPod API key: RUNPOD_API_KEY is not set, and ~/.runpod/config.toml has none",
            help="export RUNPOD_API_KEY=…\n"
            "or rehearse it on this machine, without an account and for nothing:\n"
            "  --cloud emulator",
        )
    return key


def api_url(environ: Mapping[str, str]) -> str:
    """Return the base URL of the API: RUNPOD_API_URL, else RunPod's."""
    return environ.get("RUNPOD_API_URL") or DEFAULT_URL


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
    wanted = environ.get(PROFILE)
    profile = content.get(wanted or "default")
    if wanted and not isinstance(profile, dict):
        known = ", ".join(sorted(name for name, part in content.items() if isinstance(part, dict)))
        raise InvalidInput(
            f"{PROFILE} names the profile {wanted!r}, which {path} does not have",
            help=f"It has: {known or 'none'}.",
        )
    # RunPod's Python tools write the key into a profile, runpodctl beside the profiles.
    places = [profile if isinstance(profile, dict) else {}, {} if wanted else content]
    found = [place.get(name) for place in places for name in ("api_key", "apikey")]
    return next((key.strip() for key in found if isinstance(key, str) and key.strip()), "")

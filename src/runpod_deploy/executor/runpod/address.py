"""Where the API lives, and whether a key may be sent there."""

import ipaddress
from urllib.parse import urlsplit

from runpod_deploy.errors import AccountError, InvalidInput


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_base(url: str) -> tuple[str, bool]:
    """Return the base URL without a trailing slash or `/v2`, and whether it is loopback.

    Raises:
        InvalidInput: Not an http(s) URL, plain http to another machine, or with a user in it.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if parts.scheme not in {"http", "https"} or not host:
        msg = "the address of RunPod's API is not an http or https URL"
        raise InvalidInput(msg, help="Set RUNPOD_API_URL to something like https://api.runpod.io.")
    if parts.username is not None or parts.query or parts.fragment:
        msg = f"the address of RunPod's API at {host} has a user name, a query or a fragment in it"
        raise InvalidInput(msg, help="Give only scheme, host and port in RUNPOD_API_URL.")
    loopback = is_loopback(host)
    if parts.scheme == "http" and not loopback:
        msg = f"refused to send the API key to {host} over plain http"
        raise InvalidInput(msg, help="Use https in RUNPOD_API_URL; http is for this machine only.")
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port is None else f"{shown}:{port}"
    path = parts.path.rstrip("/").removesuffix("/v2")
    return f"{parts.scheme}://{authority}{path}", loopback


def checked_key(api_key: str) -> str:
    """Return the key without surrounding blanks.

    Raises:
        AccountError: Empty, or holding what cannot stand in an HTTP header; never shows the key.
    """
    key = api_key.strip()
    if not key:
        msg = "there is no RunPod API key"
        raise AccountError(msg, help="Set RUNPOD_API_KEY, or rehearse with --cloud emulator.")
    if not key.isascii() or not key.isprintable() or " " in key:
        msg = "the RunPod API key holds blanks, line breaks or characters that no key has"
        raise AccountError(msg, help="Copy the key into RUNPOD_API_KEY again.")
    return key

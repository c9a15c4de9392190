"""A webhook: where its address is, whether that can be one, and one message sent to it.

The address is a secret: whoever has it can write there. No message of ours shows more than its host.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from runpod_deploy._version import __version__
from runpod_deploy.compiler.plan import PlanNotify
from runpod_deploy.executor.named_files import read_named
from runpod_deploy.executor.runpod.address import is_loopback

ONE_TRY_SEC = 10.0
_LONGEST_ADDRESS = 8192

Post = Callable[[str, bytes], Awaitable[int]]
"""Sends JSON to an address and returns the HTTP status; raises `WebhookFailed` where none came."""


class WebhookFailed(Exception):
    """There is no usable address, or nobody answered; the message shows no more than the host."""


def has_webhook(notify: PlanNotify | None) -> bool:
    """Tell whether a plan has a webhook."""
    return notify is not None and (
        notify.webhook_env is not None or notify.webhook_file is not None
    )


def read_address(
    notify: PlanNotify,
    project_root: Path,
    environ: Mapping[str, str],
    *,
    allowed: Sequence[Path] | None = None,
) -> str:
    """Return the address of a plan's webhook.

    Args:
        allowed: As of `read_named`.

    Raises:
        WebhookFailed: It is not there, or is no https address.
    """
    if notify.webhook_file is not None:
        where = f"the file {notify.webhook_file!r}"
        try:
            text = read_named(notify.webhook_file, project_root, allowed).decode()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it cannot be read as text"
            raise WebhookFailed(f"its address is in {where}: {why}") from None
    else:
        name = notify.webhook_env or ""
        where = f"the variable {name}"
        if name not in environ:
            raise WebhookFailed(f"its address is in {where}, which this command was not given")
        text = environ[name]
    return _checked(text.strip(), where)


def _checked(address: str, where: str) -> str:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    fit = address.isascii() and address.isprintable() and len(address) <= _LONGEST_ADDRESS
    if parts.scheme not in {"http", "https"} or not host or not fit:
        raise WebhookFailed(f"{where} holds no https address")
    if parts.scheme == "http" and not is_loopback(host):
        raise WebhookFailed(f"the address in {where} is plain http; only https keeps it secret")
    return address


def webhook_texts(
    notify: PlanNotify | None,
    project_root: Path,
    environ: Mapping[str, str],
    *,
    allowed: Sequence[Path] | None = None,
) -> list[str]:
    """Return what no sink may show of a plan's webhook: its address, and the path that is its key."""
    if notify is None or not has_webhook(notify):
        return []
    try:
        address = read_address(notify, project_root, environ, allowed=allowed)
    except WebhookFailed:
        return []
    path = urlsplit(address).path.strip("/")
    return [address, *([path] if len(path) >= len("T0/B0/XX") else [])]


def shown_host(address: str) -> str:
    """Return what may be shown of an address."""
    return urlsplit(address).hostname or "the webhook"


async def post(address: str, body: bytes) -> int:
    """Send JSON to an address and return the HTTP status; no redirect is followed.

    Raises:
        WebhookFailed: No answer came within `ONE_TRY_SEC`.
    """
    import httpx  # noqa: PLC0415 - most runs tell nobody

    from runpod_deploy.executor.http_words import broke  # noqa: PLC0415 - likewise

    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"runpod-deploy/{__version__}",
    }
    host = shown_host(address)
    try:
        async with (
            httpx.AsyncClient(
                timeout=ONE_TRY_SEC, follow_redirects=False, trust_env=not is_loopback(host)
            ) as client,
            # The answer's body is not read: it may be without end.
            client.stream("POST", address, content=body, headers=headers) as answer,
        ):
            return answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise WebhookFailed(f"{host} did not answer: {broke(error)}") from None

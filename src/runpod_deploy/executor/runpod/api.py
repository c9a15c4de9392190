"""One HTTP client for the API: sends, and turns whatever is not a success into our errors."""

import functools
import ssl
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx

from runpod_deploy._version import __version__
from runpod_deploy.errors import CloudError, EffectUnknown, Unavailable, Unreachable
from runpod_deploy.executor.runpod.address import checked_base, checked_key
from runpod_deploy.executor.runpod.problems import error_for

# Creating a pod waits for a machine to be found, which takes longer than any read.
_TIMEOUT = httpx.Timeout(connect=10.0, read=90.0, write=30.0, pool=10.0)
_LIMITS = httpx.Limits(max_connections=16, max_keepalive_connections=8, keepalive_expiry=30.0)

# The request cannot have left this machine in whole, so it cannot have had an effect.
_NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)


@functools.cache
def _authorities(*, trust_env: bool) -> ssl.SSLContext:
    # One for the process: to read the certificates is most of what a client costs.
    return httpx.create_ssl_context(trust_env=trust_env)


def _encryption(base: str, *, trust_env: bool) -> ssl.SSLContext:
    if base.startswith("https:"):
        return _authorities(trust_env=trust_env)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # not used, and would believe nobody


class Api:
    """Requests to one base URL with one key."""

    def __init__(
        self, base_url: str, api_key: str, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        base, loopback = checked_base(base_url)
        key = checked_key(api_key)
        self.base_url = base
        self._secrets = (key,)
        self._client = httpx.AsyncClient(
            base_url=base,
            headers={
                "Authorization": f"Bearer {key}",
                "User-Agent": f"runpod-deploy/{__version__}",
                "Accept": "application/json",
            },
            timeout=_TIMEOUT,
            limits=_LIMITS,
            follow_redirects=False,  # a redirect would carry the key to another place
            trust_env=not loopback,  # a proxy must not see what is meant for this machine
            transport=transport,
            verify=_encryption(base, trust_env=not loopback),
        )

    def __repr__(self) -> str:
        return f"Api({self.base_url!r})"

    async def close(self) -> None:
        """Close all connections; idempotent."""
        await self._client.aclose()

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        secrets: tuple[str, ...] = (),
    ) -> Any:
        """Send one request once and return its JSON, None for an empty answer.

        Args:
            method: HTTP method, upper case.
            path: Path from the base, quoted.
            params: Query parameters.
            json: Body.
            secrets: Values of the body that no message may show.

        Raises:
            Unreachable: Nobody answers at the base URL; nothing was sent.
            Unavailable: Nothing was sent, or it was a read; the request may be repeated.
            EffectUnknown: The request was sent and its outcome did not arrive.
            CloudError: The API refused; see `error_for` for which kind.
            AccountError: Key, permission or balance.
        """
        where = f"{method} {path}"
        try:
            response = await self._client.request(
                method, path, params=dict(params) if params else None, json=json
            )
        except _NOT_REACHED as exc:
            raise Unreachable(
                f"{where}: {self.base_url} could not be reached ({type(exc).__name__})",
                help="Check the network, proxy settings and RUNPOD_API_URL.",
            ) from exc
        except httpx.PoolTimeout as exc:
            raise Unavailable(f"{where}: not sent, every connection is busy") from exc
        except httpx.HTTPError as exc:
            kind = Unavailable if method == "GET" else EffectUnknown
            raise kind(f"{where}: no answer arrived ({type(exc).__name__})") from exc
        if not response.is_success:
            raise error_for(
                method,
                response.status_code,
                response.headers,
                response.content,
                path=path,
                secrets=self._secrets + secrets,
            )
        return self._json(where, method, response)

    async def stream_lines(
        self, path: str, *, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> AsyncGenerator[str, None]:
        """Read a stream of text line by line until the API ends it.

        Raises:
            Unavailable: It cannot be read now, or broke; it may be asked for again.
            CloudError: The API refused; see `error_for` for which kind.
            AccountError: Key or permission.
        """
        where = f"GET {path}"
        asked = {**headers, "Accept": "text/event-stream"}
        try:
            async with self._client.stream(
                "GET", path, params=dict(params), headers=asked
            ) as response:
                if not response.is_success:
                    content = await response.aread()
                    raise error_for(
                        "GET",
                        response.status_code,
                        response.headers,
                        content,
                        path=path,
                        secrets=self._secrets,
                    )
                async for line in response.aiter_lines():
                    yield line
        except httpx.HTTPError as exc:
            raise Unavailable(f"{where}: the stream broke ({type(exc).__name__})") from exc

    def _json(self, where: str, method: str, response: httpx.Response) -> Any:
        if not response.content.strip():
            return None
        try:
            return response.json()
        except (ValueError, RecursionError) as exc:
            kind: type[CloudError] = CloudError if method == "GET" else EffectUnknown
            raise kind(
                f"{where} answered HTTP {response.status_code} with something that is not JSON",
                status=response.status_code,
                request_id=response.headers.get("x-request-id"),
            ) from exc

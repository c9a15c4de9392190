"""Asks an image's registry whether it has it: one HEAD request, and a token for the public if need be.

No credential is ever sent. An image that a registry shows only after a login is told as such.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from runpod_deploy._version import __version__
from runpod_deploy.compiler.image_name import HUB, ImageReference
from runpod_deploy.executor.http_words import broke
from runpod_deploy.executor.runpod.address import is_loopback

_HUB_HOST = "registry-1.docker.io"
_KINDS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
_PARAMETER = re.compile(r'(\w+)="([^"]{0,2048})"')
_LARGEST_TOKEN = 64 * 1024
_TIMEOUT = httpx.Timeout(10.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageAnswer:
    """What a registry said about an image.

    Attributes:
        found: `there`, `missing`; `login`: it shows nothing to the public; `unknown`: it could not
            be asked.
        digest: `sha256:…` of what the tag points at now; None when it was not told.
        why: What was answered, or what kept it from being asked.
    """

    found: Literal["there", "missing", "login", "unknown"]
    registry: str
    digest: str | None = None
    why: str = ""


async def ask_registry(
    image: ImageReference, *, transport: httpx.AsyncBaseTransport | None = None
) -> ImageAnswer:
    """Ask for an image; never raises for what a registry or the network does."""
    host = _HUB_HOST if image.registry == HUB else image.registry
    if is_loopback(host.partition(":")[0]):
        return ImageAnswer(
            found="unknown", registry=image.registry, why="RunPod cannot pull from this machine"
        )
    url = f"https://{host}/v2/{image.repository}/manifests/{image.reference}"
    headers = {"User-Agent": f"runpod-deploy/{__version__}"}
    async with httpx.AsyncClient(
        headers=headers, timeout=_TIMEOUT, follow_redirects=False, transport=transport
    ) as client:
        try:
            answer = await client.head(url, headers={"Accept": _KINDS})
            if answer.status_code == 401:
                token = await _token(client, answer.headers.get("www-authenticate", ""))
                if token:
                    answer = await client.head(
                        url, headers={"Accept": _KINDS, "Authorization": f"Bearer {token}"}
                    )
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return ImageAnswer(
                found="unknown",
                registry=image.registry,
                why=f"{image.registry} could not be asked: {broke(error)}",
            )
    return _read(answer, image.registry)


def _read(answer: httpx.Response, registry: str) -> ImageAnswer:
    status = answer.status_code
    why = f"{registry} answered HTTP {status}"
    if status == 200:
        digest = answer.headers.get("docker-content-digest", "")
        known = re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
        return ImageAnswer(
            found="there", registry=registry, digest=digest if known else None, why=why
        )
    if status == 404:
        return ImageAnswer(found="missing", registry=registry, why=why)
    if status in {401, 403}:
        return ImageAnswer(found="login", registry=registry, why=why)
    return ImageAnswer(found="unknown", registry=registry, why=why)


async def _token(client: httpx.AsyncClient, challenge: str) -> str | None:
    """Return the token that a registry hands to everybody; None when it hands out none."""
    kind, _, rest = challenge.partition(" ")
    asked = dict(_PARAMETER.findall(rest))
    realm = asked.pop("realm", "")
    if kind.lower() != "bearer" or urlsplit(realm).scheme != "https":
        return None
    wanted = {name: asked[name] for name in ("service", "scope") if name in asked}
    async with client.stream("GET", realm, params=wanted) as answer:
        if answer.status_code != 200:
            return None
        content = b""
        async for part in answer.aiter_bytes():
            content += part
            if len(content) > _LARGEST_TOKEN:
                return None
    return _token_in(content)


def _token_in(content: bytes) -> str | None:
    try:
        data: Any = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    token = data.get("token") or data.get("access_token")
    usable = isinstance(token, str) and token.isascii() and token.isprintable()
    return token if usable else None

"""Holds the host key that a pod showed against the one that its image printed into the log.

The log comes over the API's HTTPS and not over the way that is to be proven. RunPod's images print the
fingerprints when they start their SSH server; of other images nothing is expected.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from contextlib import aclosing, suppress

from runpod_deploy.compiler.lease import START_SCRIPT
from runpod_deploy.errors import AccountError, CloudError, HostKeyChanged
from runpod_deploy.executor import kept, starting
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.ports import LogLine

EXPECTED_WITHIN_SEC = 10.0
LOOKED_FOR_SEC = 1.0
TAIL = 500

# As `ssh-keygen -l` prints a key: bits, fingerprint, comment, kind.
_LINE = re.compile(r"\d{3,5} (SHA256:[A-Za-z0-9+/]{43}) .{0,200}\(([A-Z0-9-]{2,20})\)\s*")
_KINDS = {"ssh-ed25519": "ED25519", "ssh-rsa": "RSA"}


async def confirm(ctx: RunContext) -> None:
    """Look for the key of the open connection in the pod's log.

    Raises:
        HostKeyChanged: The log names another key of that kind; the connection is closed.
    """
    pod = ctx.need_pod()
    transport = ctx.need_transport()
    key = transport.host_key()
    shown = fingerprint(key)
    # An earlier run's start of the pod printed the key that it had then.
    ours = _of_clients(ctx) | kept.known_host_keys(ctx) | _shown_before(ctx)
    printed: set[str] = set()
    official = (ctx.plan.pod.args or "").endswith(f" {START_SCRIPT}")
    lines = ctx.cloud.logs(pod.id, tail=TAIL)
    try:
        async with (
            asyncio.timeout(EXPECTED_WITHIN_SEC if official else LOOKED_FOR_SEC),
            aclosing(lines),
        ):
            async for line in lines:
                candidate = _printed(line, _kind(key))
                if candidate == shown:
                    ctx.journal.write("host_key_confirmed", pod_id=pod.id, fingerprint=shown)
                    return
                if candidate is not None and candidate not in ours:
                    printed.add(candidate)
    except (TimeoutError, CloudError, AccountError):
        # A log that cannot be read proves nothing; the key stays pinned as it was first seen.
        pass
    if printed:
        await transport.close()
        ctx.transport = None
        raise HostKeyChanged(
            f"pod {pod.id} showed host key {shown}, but its log names {' or '.join(sorted(printed))}",
            help="Somebody else answers at the pod's address, or the image prints a key that it does "
            "not use. Nothing was sent there.",
        )


def _printed(line: LogLine, kind: str) -> str | None:
    found = _LINE.fullmatch(line.line)
    return found[1] if found and line.source == "container" and found[2] == kind else None


def _shown_before(ctx: RunContext) -> set[str]:
    """Return the keys of the pod in hand before it was started again; its log still has them."""
    if not starting.was_started_again(ctx):
        return set()
    return {
        str(event.fields.get("fingerprint"))
        for event in ctx.journal.events
        if event.event == "host_key_enrolled" and event.fields.get("pod_id") == ctx.need_pod().id
    }


def _of_clients(ctx: RunContext) -> set[str]:
    found = set()
    for line in ctx.public_keys().splitlines():
        with suppress(ValueError, IndexError):
            found.add(fingerprint(line))
    return found


def _kind(key: str) -> str:
    name = key.split(maxsplit=1)[0]
    return _KINDS.get(name, "ECDSA" if name.startswith("ecdsa-") else name)


def fingerprint(host_key: str) -> str:
    """Return `SHA256:…` of a host key in OpenSSH format, as `ssh-keygen -l` prints it."""
    blob = base64.b64decode(host_key.split()[1])
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"

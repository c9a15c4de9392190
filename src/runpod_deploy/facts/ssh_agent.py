"""An SSH agent: the keys it holds, and what it signs; it is never waited for without end."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from runpod_deploy.facts.sshsig import KEY_TYPES, BadSignature, key_type

if TYPE_CHECKING:
    from asyncssh import SSHAgentClient

T = TypeVar("T")

LIST_SECONDS = 10.0
SIGN_SECONDS = 120.0
"""A person may have to confirm at the agent, or to touch a security key."""
_RSA_SHA2_512 = 4  # SSH_AGENT_RSA_SHA2_512


class AgentProblem(Exception):
    """There is no agent, or it does not do what was asked; says which in a sentence's end."""


def held_keys(environ: Mapping[str, str]) -> Sequence[bytes]:
    """Return the public keys that the agent holds and that can sign plans.

    Raises:
        AgentProblem: There is none, or it does not answer.
    """

    async def held(agent: "SSHAgentClient") -> Sequence[bytes]:
        return [pair.public_data for pair in await agent.get_keys()]

    return [blob for blob in _asked(environ, held, LIST_SECONDS) if _can_sign(blob)]


def agent_signature(public_key: bytes, data: bytes, environ: Mapping[str, str]) -> bytes:
    """Return the agent's signature over `data`, as SSH encodes it.

    Raises:
        AgentProblem: It refuses, or nobody confirmed within `SIGN_SECONDS`.
    """
    flags = _RSA_SHA2_512 if key_type(public_key) == "ssh-rsa" else 0
    return _asked(environ, lambda agent: agent.sign(public_key, data, flags), SIGN_SECONDS)


def _can_sign(public_key: bytes) -> bool:
    try:
        return key_type(public_key) in KEY_TYPES
    except BadSignature:
        return False


def _asked(
    environ: Mapping[str, str],
    question: Callable[["SSHAgentClient"], Awaitable[T]],
    seconds: float,
) -> T:
    path = environ.get("SSH_AUTH_SOCK")
    if not path:
        raise AgentProblem("no SSH agent runs: SSH_AUTH_SOCK is not set")

    async def ask() -> T:
        import asyncssh  # noqa: PLC0415 - slow to load

        agent = asyncssh.SSHAgentClient(path)
        try:
            async with asyncio.timeout(seconds):
                return await question(agent)
        finally:
            agent.close()

    try:
        return asyncio.run(ask())
    except TimeoutError:
        raise AgentProblem(f"the SSH agent gave no answer within {seconds:g} seconds") from None
    except (OSError, ValueError) as error:
        raise AgentProblem(f"the SSH agent says: {error}") from error

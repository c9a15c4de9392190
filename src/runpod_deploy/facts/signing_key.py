"""The key that a person signs with: from a file, or held by an SSH agent."""

import base64
import binascii
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runpod_deploy.errors import InvalidInput
from runpod_deploy.facts.ssh_agent import AgentProblem, agent_signature, held_keys
from runpod_deploy.facts.ssh_keygen import sign_with_keygen
from runpod_deploy.facts.sshsig import (
    KEY_TYPES,
    BadSignature,
    SshSignature,
    fingerprint,
    is_valid,
    key_type,
    to_be_signed,
)

if TYPE_CHECKING:
    from asyncssh import SSHKey

AGENT = Path("agent")
"""What `--key` says for the only key of the agent."""
DEFAULTS = ("id_ed25519", "id_ecdsa", "id_rsa")
_MAX_BYTES = 2**16
_HASH = "sha512"
_TOUCH = "sk-"
_TO_TOUCH = "Touch the security key when it blinks."


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningKey:
    """A key ready to sign.

    Attributes:
        label: What to call it on the screen.
        sign: Signs a message for a namespace.
        notice: What a person has to do for it.
    """

    label: str
    sign: Callable[[bytes, str], SshSignature]
    notice: str | None = None


def signature_over(message: bytes, namespace: str, key: SigningKey) -> SshSignature:
    """Sign `message` for `namespace`.

    Raises:
        InvalidInput: The key would not sign, or its signature cannot be relied on.
    """
    try:
        made = key.sign(message, namespace)
    except FileNotFoundError as error:
        raise InvalidInput(f"{key.label} needs {error.filename}, which is not on PATH") from error
    except (ValueError, OSError, AgentProblem) as error:
        raise InvalidInput(f"{key.label} did not sign: {error}") from error
    try:
        problem = None if is_valid(made, message) else "its signature does not hold"
    except BadSignature as error:
        problem = str(error)
    if problem is not None:
        raise InvalidInput(f"{key.label} cannot be used: {problem}")
    return made


def find_key(
    file: Path | None, environ: Mapping[str, str], *, asks: bool, plan: str = "plan.json"
) -> SigningKey:
    """Return the key in `file`; without one the agent's only key, else the user's usual one.

    Args:
        file: A private key, a public key whose private half the agent holds or that lies beside
            it, or `AGENT`.
        asks: Whether there is a person at a terminal who knows a passphrase or touches a key.
        plan: How the plan's file was named, for messages.

    Raises:
        InvalidInput: There is no such key, or it cannot be opened.
    """
    try:
        return _found(file, environ, asks=asks)
    except InvalidInput as error:
        if error.help:
            error.help = error.help.replace("sign PLAN", f"sign {shlex.quote(plan)}")
        raise


def _found(file: Path | None, environ: Mapping[str, str], *, asks: bool) -> SigningKey:
    if file is not None and file != AGENT:
        return _from_file(file.expanduser(), environ, asks=asks)
    try:
        held = held_keys(environ)
    except AgentProblem as problem:
        if file is not None:
            raise InvalidInput(f"--key agent: {problem}") from problem
        held = ()
    if len(held) == 1:
        return _by_agent(held[0], environ)
    folder = Path(environ.get("HOME") or Path.home()) / ".ssh"
    usual = [folder / name for name in DEFAULTS if (folder / name).is_file()]
    if usual and file is None:
        return _from_file(usual[0], environ, asks=asks)
    raise _none_to_choose(held, folder, agent_only=file is not None)


def _none_to_choose(held: Sequence[bytes], folder: Path, *, agent_only: bool) -> InvalidInput:
    if held:
        listed = "\n".join(f"  {fingerprint(blob)}  {key_type(blob)}" for blob in held)
        return InvalidInput(
            f"the SSH agent holds {len(held)} keys, and none was named:\n{listed}",
            help="Name one by the file of its public half:\n"
            "  runpod-deploy plan sign PLAN --key ~/.ssh/KEY.pub",
        )
    if agent_only:
        return InvalidInput("--key agent: the SSH agent holds no key", help="ssh-add FILE")
    return InvalidInput(
        f"there is no key to sign with: no SSH agent holds one, and {folder} has none",
        help="Name one:\n  runpod-deploy plan sign PLAN --key FILE\n"
        "or make one:\n  ssh-keygen -t ed25519",
    )


def _from_file(file: Path, environ: Mapping[str, str], *, asks: bool) -> SigningKey:
    content = _content(file)
    public = _public_blob(content)
    if public is None:
        return _private(file, content, environ, asks=asks)
    if _is_held(public, environ):
        return _by_agent(public, environ)
    private = file.with_suffix("")
    if file.suffix == ".pub" and private.is_file():
        return _private(private, _content(private), environ, asks=asks)
    raise InvalidInput(
        f"{file} is a public key, and no SSH agent holds its private half",
        help=f"ssh-add {private}",
    )


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_MAX_BYTES)
    except OSError as error:
        raise InvalidInput(f"the key {file} cannot be read: {error.strerror}") from error


def _private(file: Path, content: bytes, environ: Mapping[str, str], *, asks: bool) -> SigningKey:
    import asyncssh  # noqa: PLC0415 - slow to load

    try:
        key = asyncssh.import_private_key(content)
    except asyncssh.KeyEncryptionError:
        return _locked(file, environ, asks=asks)
    except asyncssh.KeyImportError as error:
        if "passphrase" in str(error).lower():
            return _locked(file, environ, asks=asks)
        raise InvalidInput(f"{file} is no private key that can be used: {error}") from error
    return _opened(key, file, environ, asks=asks)


def _opened(key: "SSHKey", file: Path, environ: Mapping[str, str], *, asks: bool) -> SigningKey:
    kind = key.get_algorithm()
    if kind not in KEY_TYPES:
        raise InvalidInput(f"{file} is a key of the type {kind}, which cannot sign plans")
    if kind.startswith(_TOUCH):
        return _locked(file, environ, asks=asks)
    algorithm = b"rsa-sha2-512" if kind == "ssh-rsa" else kind.encode()
    public = base64.b64decode(key.export_public_key("openssh").split()[1])
    return SigningKey(label=str(file), sign=_with(public, lambda data: key.sign(data, algorithm)))


def _locked(file: Path, environ: Mapping[str, str], *, asks: bool) -> SigningKey:
    """Return a key that needs a person: to type its passphrase, or to touch it.

    The agent may hold it; else OpenSSH asks at the terminal.
    """
    public = _beside(file)
    if public is not None and _is_held(public, environ):
        return _by_agent(public, environ)
    touch = public is not None and key_type(public).startswith(_TOUCH)
    if not asks:
        lack = "must be touched" if touch else "is encrypted or on a security key"
        raise InvalidInput(
            f"the key {file} {lack}, and there is no terminal to ask anybody at",
            help=f"Sign at a terminal, or let an SSH agent hold it:\n  ssh-add {file}\n"
            f"  runpod-deploy plan sign PLAN --key {file}.pub",
        )
    return SigningKey(
        label=str(file),
        sign=lambda message, namespace: sign_with_keygen(file, message, namespace),
        notice=_TO_TOUCH if touch else None,
    )


def _by_agent(public: bytes, environ: Mapping[str, str]) -> SigningKey:
    return SigningKey(
        label=f"the agent's key {fingerprint(public)}",
        sign=_with(public, lambda data: agent_signature(public, data, environ)),
        notice=_TO_TOUCH if key_type(public).startswith(_TOUCH) else None,
    )


def _is_held(public: bytes, environ: Mapping[str, str]) -> bool:
    try:
        return public in held_keys(environ)
    except AgentProblem:
        return False


def _with(public: bytes, sign: Callable[[bytes], bytes]) -> Callable[[bytes, str], SshSignature]:
    """Return how a key signs a message whose raw signature comes from `sign`."""

    def made(message: bytes, namespace: str) -> SshSignature:
        return SshSignature(
            public_key=public,
            namespace=namespace,
            hash_name=_HASH,
            signature=sign(to_be_signed(message, namespace, _HASH)),
        )

    return made


def _public_blob(content: bytes) -> bytes | None:
    """Return the public key in `content`, a line as in `id_ed25519.pub`; None when it is none."""
    words = content.split(None, 2)[:2]
    if len(words) < 2 or words[0].decode("ascii", "replace") not in KEY_TYPES:
        return None
    try:
        blob = base64.b64decode(words[1], validate=True)
        return blob if key_type(blob) == words[0].decode() else None
    except (binascii.Error, BadSignature):
        return None


def _beside(file: Path) -> bytes | None:
    try:
        return _public_blob(file.with_name(f"{file.name}.pub").read_bytes())
    except OSError:
        return None

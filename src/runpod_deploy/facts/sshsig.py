"""SSH signatures of files, as `ssh-keygen -Y sign` writes and `-Y verify` reads them (PROTOCOL.sshsig)."""

import base64
import binascii
import hashlib
import re
import struct
from dataclasses import dataclass

_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_MAGIC = b"SSHSIG"
_VERSION = 1
_WIDTH = 70
_HASHES = ("sha512", "sha256")
_PRESENT = 0x01
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_MIN_RSA_BITS = 2048
KEY_TYPES = frozenset(
    (
        *("ssh-ed25519", "ssh-rsa"),
        *("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
        *("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"),
    )
)
"""Kinds of keys whose signatures can be checked."""


class BadSignature(ValueError):
    """A text is no SSH signature; says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SshSignature:
    """A signature and what it says about itself.

    Attributes:
        public_key: The signer's public key, as SSH encodes it.
        namespace: What the signature is for.
        hash_name: `sha512` or `sha256`: what the message was put through.
        signature: As SSH encodes it, its algorithm in front.
    """

    public_key: bytes
    namespace: str
    hash_name: str
    signature: bytes


def to_be_signed(message: bytes, namespace: str, hash_name: str = "sha512") -> bytes:
    """Return what the key itself signs for `message`."""
    digest = hashlib.new(hash_name, message).digest()
    parts = (namespace.encode(), b"", hash_name.encode(), digest)
    return _MAGIC + b"".join(map(_string, parts))


def armoured(signature: SshSignature) -> str:
    """Return the text of a `.sig` file."""
    parts = (
        signature.public_key,
        signature.namespace.encode(),
        b"",
        signature.hash_name.encode(),
        signature.signature,
    )
    blob = _MAGIC + struct.pack(">I", _VERSION) + b"".join(map(_string, parts))
    text = base64.b64encode(blob).decode()
    lines = [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def read_armoured(text: str) -> SshSignature:
    """Return the signature in the text of a `.sig` file.

    Raises:
        BadSignature: It holds none.
    """
    match = re.fullmatch(f"\\s*{_BEGIN}\\s+([A-Za-z0-9+/=\\s]+){_END}\\s*", text)
    if match is None:
        raise BadSignature("it is no armoured SSH signature")
    try:
        blob = base64.b64decode("".join(match[1].split()), validate=True)
    except binascii.Error as error:
        raise BadSignature("its base64 is damaged") from error
    if not blob.startswith(_MAGIC) or blob[6:10] != struct.pack(">I", _VERSION):
        raise BadSignature("it is no SSH signature of version 1")
    public_key, namespace, _, hash_name, signature = _strings(blob[10:], 5)
    try:
        name, hashed = namespace.decode(), hash_name.decode("ascii")
    except UnicodeDecodeError as error:
        raise BadSignature("its namespace is not text") from error
    if hashed not in _HASHES:
        raise BadSignature(f"it uses the hash {hashed!r}, which signatures may not use")
    return SshSignature(
        public_key=public_key, namespace=name, hash_name=hashed, signature=signature
    )


def key_type(public_key: bytes) -> str:
    """Return the kind of an encoded public key, such as `ssh-ed25519`.

    Raises:
        BadSignature: It is no encoded key.
    """
    return _first_string(public_key).decode("ascii", "backslashreplace")


def fingerprint(public_key: bytes) -> str:
    """Return `SHA256:` and what `ssh-keygen -l` shows of an encoded public key."""
    digest = base64.b64encode(hashlib.sha256(public_key).digest()).decode()
    return f"SHA256:{digest.rstrip('=')}"


def is_valid(signature: SshSignature, message: bytes) -> bool:
    """Return whether the key in `signature` signed `message` for its namespace.

    Raises:
        BadSignature: The key is of a kind or size that cannot be relied on.
    """
    import asyncssh  # noqa: PLC0415 - slow to load

    kind = key_type(signature.public_key)
    if kind not in KEY_TYPES:
        raise BadSignature(f"keys of the type {kind} are not supported")
    algorithm = _first_string(signature.signature).decode("ascii", "backslashreplace")
    if algorithm not in (_RSA if kind == "ssh-rsa" else (kind,)):
        raise BadSignature(f"it uses the algorithm {algorithm}, which is not to be relied on")
    encoded = base64.b64encode(signature.public_key).decode()
    try:
        key = asyncssh.import_public_key(f"{kind} {encoded}")
    except (asyncssh.KeyImportError, ValueError) as error:
        raise BadSignature("its public key is damaged") from error
    if kind == "ssh-rsa" and _rsa_bits(signature.public_key) < _MIN_RSA_BITS:
        raise BadSignature(f"RSA keys below {_MIN_RSA_BITS} bits are not to be relied on")
    if kind.startswith("sk-") and not _touched(signature.signature):
        raise BadSignature("nobody touched the security key")
    data = to_be_signed(message, signature.namespace, signature.hash_name)
    return key.verify(data, signature.signature)


def _touched(signature: bytes) -> bool:
    """Return whether a security key says that somebody was there: flags stand before a counter."""
    _, at = _take(signature, 0)
    _, at = _take(signature, at)
    if len(signature) != at + 5:
        raise BadSignature("it is not a whole one of a security key")
    return bool(signature[at] & _PRESENT)


def _rsa_bits(public_key: bytes) -> int:
    _, _, modulus = _strings(public_key, 3)
    return int.from_bytes(modulus, "big").bit_length()


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _first_string(data: bytes) -> bytes:
    return _take(data, 0)[0]


def _strings(data: bytes, count: int) -> list[bytes]:
    found, at = [], 0
    for _ in range(count):
        part, at = _take(data, at)
        found.append(part)
    if at != len(data):
        raise BadSignature("there is something behind its end")
    return found


def _take(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the length-prefixed string at `at`, and where the next one begins."""
    if at + 4 > len(data):
        raise BadSignature("it is cut off")
    (size,) = struct.unpack_from(">I", data, at)
    end = at + 4 + size
    if end > len(data):
        raise BadSignature("it is cut off")
    return data[at + 4 : end], end

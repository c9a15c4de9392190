"""The derived key of a run, and the user's own keys."""

import base64
from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from runpod_deploy.errors import InvalidInput
from runpod_deploy.executor.ssh.keys import (
    derive_key,
    public_line,
    read_private_key,
    read_public_key,
)

VECTOR = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzLvl8U31FvOTNKQ5jTj2RAfT71KX1mRbJ00KeSAEKy runpod-deploy"
)


def test_the_derivation_never_changes() -> None:
    """A run folder of today must be usable with the version of next year."""
    assert public_line(derive_key("k", bytes(32))) == VECTOR


def test_blanks_around_the_key_do_not_count() -> None:
    """A line break that came along with the variable gives no other key."""
    assert public_line(derive_key(" k\n", bytes(32))) == VECTOR


@pytest.mark.parametrize(("api_key", "salt"), [("k2", bytes(32)), ("k", b"\1" + bytes(31))])
def test_another_account_or_run_has_another_key(api_key: str, salt: bytes) -> None:
    """Both the API key and the salt decide."""
    assert public_line(derive_key(api_key, salt)) != VECTOR


@pytest.mark.parametrize("salt", [b"", bytes(31), bytes(33)])
def test_a_damaged_salt_is_told(salt: bytes) -> None:
    """A salt of another length is an error and not another key."""
    with pytest.raises(InvalidInput, match="salt"):
        derive_key("k", salt)


def test_the_users_key_is_read(tmp_path: Path) -> None:
    """The private key gives its public line; a `.pub` beside it is enough and goes first."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment="me")
    path = tmp_path / "id"
    path.write_bytes(key.export_private_key())
    assert public_line(read_private_key(path)) == public_line(key)
    assert read_public_key(path) == public_line(key)
    other = asyncssh.generate_private_key("ssh-ed25519", comment="other")
    (tmp_path / "id.pub").write_bytes(other.export_public_key())
    assert read_public_key(path) == public_line(other)


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN OPENSSH PRIVATE KEY-----\n"])
def test_what_is_no_key_is_told(tmp_path: Path, content: bytes) -> None:
    """A file that holds no key is named."""
    path = tmp_path / "id"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="id is not an OpenSSH private key"):
        read_private_key(path)
    (tmp_path / "id.pub").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"id\.pub is not an OpenSSH public key"):
        read_public_key(path)


def test_a_missing_key_is_told(tmp_path: Path) -> None:
    """A path that leads nowhere says so."""
    with pytest.raises(InvalidInput, match="No such file"):
        read_public_key(tmp_path / "id")


def locked_openssh() -> bytes:
    """Return a key file that says that it is encrypted; nobody can open it."""

    def string(data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + data

    public = asyncssh.generate_private_key("ssh-ed25519").public_data
    options = string(string(bytes(16)) + (16).to_bytes(4, "big"))
    body = string(b"aes256-ctr") + string(b"bcrypt") + options + (1).to_bytes(4, "big")
    body += string(public) + string(bytes(160))
    text = base64.encodebytes(b"openssh-key-v1\0" + body)
    kind = b"OPENSSH PRIVATE KEY-----\n"
    return b"-----BEGIN " + kind + text + b"-----END " + kind


def locked_pkcs8() -> bytes:
    """Return a key in the other format, really encrypted."""
    return Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )


@pytest.mark.parametrize("make", [locked_openssh, locked_pkcs8])
def test_a_locked_key_is_told(tmp_path: Path, make: Callable[[], bytes]) -> None:
    """A key with a passphrase cannot be used where nobody is there to type it."""
    path = tmp_path / "id"
    path.write_bytes(make())
    with pytest.raises(InvalidInput, match="passphrase"):
        read_private_key(path)

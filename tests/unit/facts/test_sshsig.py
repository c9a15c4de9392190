"""SSH signatures: what holds, and that nothing else does."""

import base64
import random
import warnings
from dataclasses import replace
from functools import cache
from typing import Any

import asyncssh
import pytest

from runpod_deploy.facts.sshsig import (
    BadSignature,
    SshSignature,
    armoured,
    fingerprint,
    is_valid,
    key_type,
    read_armoured,
    to_be_signed,
)

MESSAGE = b'{"plan_hash":"sha256:00"}'
KINDS = {
    "ssh-ed25519": {},
    "ecdsa-sha2-nistp256": {},
    "ecdsa-sha2-nistp521": {},
    "ssh-rsa": {"key_size": 2048},
}


@cache
def key_of(kind: str) -> asyncssh.SSHKey:
    """Return a key of that kind, the same in every test."""
    options: dict[str, Any] = dict(KINDS.get(kind, {}))
    return asyncssh.generate_private_key(kind, **options)


def signed(key: asyncssh.SSHKey, algorithm: str | None = None) -> SshSignature:
    """Return the signature of `key` over `MESSAGE`."""
    data = to_be_signed(MESSAGE, "runpod-deploy")
    usual = "rsa-sha2-512" if key.get_algorithm() == "ssh-rsa" else key.get_algorithm()
    return SshSignature(
        public_key=base64.b64decode(key.export_public_key("openssh").split()[1]),
        namespace="runpod-deploy",
        hash_name="sha512",
        signature=key.sign(data, (algorithm or usual).encode()),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_survives_its_armour_and_holds(kind: str) -> None:
    """Written and read again it is the same, and it holds for its message alone."""
    made = signed(key_of(kind))
    read = read_armoured(armoured(made))
    assert made == read
    assert kind == key_type(read.public_key)
    assert is_valid(read, MESSAGE)
    assert not is_valid(read, MESSAGE + b" ")
    assert not is_valid(replace(read, namespace="git"), MESSAGE)
    assert not is_valid(replace(read, hash_name="sha256"), MESSAGE)
    assert key_of(kind).get_fingerprint() == fingerprint(read.public_key)


@pytest.mark.parametrize("kind", KINDS)
def test_no_signature_with_a_flipped_bit_holds(kind: str) -> None:
    """Of 200 single bits changed, none is accepted and none ends in anything but a refusal."""
    made = signed(key_of(kind))
    text = armoured(made).splitlines()
    blob = bytearray(base64.b64decode("".join(text[1:-1])))
    # The reserved field, an empty string, is not part of what is signed; a flip there breaks lengths.
    for seed in range(200):
        chance = random.Random(seed)
        at, bit = chance.randrange(len(blob)), chance.randrange(8)
        broken = bytes(one ^ (1 << bit if i == at else 0) for i, one in enumerate(blob))
        body = base64.b64encode(broken).decode()
        assert not holds(f"{text[0]}\n{body}\n{text[-1]}\n"), (seed, at, bit)


def holds(text: str) -> bool:
    """Return whether an armoured text is accepted."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a library's remark about a strange key
            return is_valid(read_armoured(text), MESSAGE)
    except BadSignature:
        return False


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n",
        "-----BEGIN SSH SIGNATURE-----\nAAA\n-----END SSH SIGNATURE-----\n",
        "-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAg==\n-----END SSH SIGNATURE-----\n",
        "-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ==\n-----END SSH SIGNATURE-----\n",
    ],
)
def test_what_is_no_signature_is_refused(text: str) -> None:
    """Empty, cut, or of another version."""
    with pytest.raises(BadSignature):
        read_armoured(text)


def test_what_is_too_weak_is_refused() -> None:
    """SHA-1, and an RSA key of 1024 bits, are not relied on."""
    with pytest.raises(BadSignature, match="ssh-rsa"):
        is_valid(signed(key_of("ssh-rsa"), "ssh-rsa"), MESSAGE)
    small = asyncssh.generate_private_key("ssh-rsa", key_size=1024)
    with pytest.raises(BadSignature, match="below 2048 bits"):
        is_valid(signed(small), MESSAGE)


def test_bytes_behind_the_end_are_refused() -> None:
    """A signature with a tail would be another file with the same meaning."""
    made = signed(key_of("ssh-ed25519"))
    assert not is_valid(replace(made, signature=made.signature + b"x"), MESSAGE)
    text = armoured(made).splitlines()
    blob = base64.b64decode("".join(text[1:-1])) + b"x"
    with pytest.raises(BadSignature, match="behind its end"):
        read_armoured(f"{text[0]}\n{base64.b64encode(blob).decode()}\n{text[-1]}\n")

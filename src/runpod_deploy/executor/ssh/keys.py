"""The key pair of a run: derived from the API key and a salt, never stored.

Any machine that has the run folder and the API key derives the same pair; the folder alone, or a
look at the pod, gives nobody anything.
"""

from pathlib import Path

import asyncssh
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from runpod_deploy.errors import InvalidInput

SALT_BYTES = 32
COMMENT = "runpod-deploy"

_INFO = b"runpod-deploy ssh v1"


def derive_key(api_key: str, salt: bytes) -> asyncssh.SSHKey:
    """Derive the run's ed25519 key; the same API key and salt give the same one for ever.

    Args:
        api_key: The key of the account; leading and trailing blanks do not count.
        salt: 32 random bytes of the run, kept in its folder.

    Raises:
        InvalidInput: The salt has another length.
    """
    if len(salt) != SALT_BYTES:
        raise InvalidInput(
            f"the salt of the run's SSH key has {len(salt)} bytes, {SALT_BYTES} are needed",
            help="Restore ssh.salt of the run folder; without it the run's SSH key is lost.",
        )
    kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=_INFO)
    seed = kdf.derive(api_key.strip().encode("utf-8"))
    pem = Ed25519PrivateKey.from_private_bytes(seed).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    private = asyncssh.import_private_key(pem)
    private.set_comment(COMMENT)
    return private


def public_line(key: asyncssh.SSHKey) -> str:
    """Return the public half as a line of `authorized_keys`, without the line break."""
    return key.export_public_key("openssh").decode("utf-8").strip()


def read_private_key(path: Path) -> asyncssh.SSHKey:
    """Read the user's own private key, `ssh.key_path` of the job file.

    Raises:
        InvalidInput: The file is missing, no private key, or locked with a passphrase.
    """
    try:
        return asyncssh.read_private_key(path)
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    except asyncssh.KeyEncryptionError as exc:
        raise _locked(path) from exc
    except asyncssh.KeyImportError as exc:
        # A locked key in an old format says so only in prose.
        if "passphrase" in str(exc).lower():
            raise _locked(path) from exc
        raise InvalidInput(f"ssh.key_path: {path} is not an OpenSSH private key") from exc


def read_public_key(path: Path) -> str:
    """Return the public line of the user's own key, from `PATH.pub` or else the private key itself.

    Raises:
        InvalidInput: Neither file gives a key.
    """
    beside = path.with_name(f"{path.name}.pub")
    try:
        return public_line(asyncssh.read_public_key(beside))
    except FileNotFoundError:
        return public_line(read_private_key(path))
    except OSError as exc:
        raise _unreadable(beside, exc) from exc
    except asyncssh.KeyImportError as exc:
        raise InvalidInput(f"ssh.key_path: {beside} is not an OpenSSH public key") from exc


def _unreadable(path: Path, exc: OSError) -> InvalidInput:
    return InvalidInput(f"ssh.key_path: {path} cannot be read: {exc.strerror or exc}")


def _locked(path: Path) -> InvalidInput:
    return InvalidInput(
        f"ssh.key_path: {path} is locked with a passphrase",
        help="Nobody is there to type it when a run resumes; give a key without one.",
    )

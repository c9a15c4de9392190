"""OpenSSH's own `ssh-keygen -Y sign`: it asks at the terminal for a passphrase, a PIN or a touch."""

import subprocess
from pathlib import Path

from runpod_deploy.facts.sshsig import SshSignature, read_armoured

TYPING_SECONDS = 300.0
_ENDING_SECONDS = 5.0


def sign_with_keygen(file: Path, message: bytes, namespace: str) -> SshSignature:
    """Return the signature of the key in `file` over `message`.

    Only for a command at a terminal: without one there is nobody to be asked.

    Raises:
        ValueError: It did not sign within `TYPING_SECONDS`, or at all; says why.
        OSError: There is no ssh-keygen.
    """
    arguments = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(file)]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            out, said = process.communicate(message, timeout=TYPING_SECONDS)
        except subprocess.TimeoutExpired:
            _end(process)
            raise ValueError(f"nobody answered within {TYPING_SECONDS:g} seconds") from None
        except BaseException:
            _end(process)
            raise
    if process.returncode != 0:
        lines = said.decode("utf-8", "replace").strip().splitlines()
        raise ValueError(lines[-1] if lines else f"ssh-keygen ended with {process.returncode}")
    return read_armoured(out.decode("ascii", "replace"))


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it gently: it gives the terminal its echo back when it may."""
    process.terminate()
    try:
        process.communicate(timeout=_ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()

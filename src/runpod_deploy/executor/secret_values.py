"""Where the values of secrets come from on this machine."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from runpod_deploy.compiler.plan import PlanSecret


def secret_file(secret: PlanSecret, project_root: Path) -> Path:
    """Return the file of a secret as the check of the job file saw it: `~` is the home folder.

    Raises:
        OSError: `~` stands for a home that is not known.
    """
    try:
        return project_root / Path(secret.file or "").expanduser()
    except RuntimeError as error:
        raise FileNotFoundError(str(error)) from error


def read_secret(secret: PlanSecret, project_root: Path, environ: Mapping[str, str]) -> bytes:
    """Return what will lie on the pod of a secret of variables or of a file.

    Raises:
        OSError: Its file cannot be read.
        KeyError: One of its variables is not set.
    """
    if secret.file is not None:
        return secret_file(secret, project_root).read_bytes()
    lines = [f"export {name}={shlex.quote(environ[name])}\n" for name in secret.env]
    return "".join(lines).encode()


def known_texts(
    secrets: tuple[PlanSecret, ...], project_root: Path, environ: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Return every secret text that can be read now, and the names of secrets that cannot.

    No command is run for it, and what RunPod keeps is known to the pod only.
    """
    texts: list[str] = []
    unknown: list[str] = []
    for secret in secrets:
        if secret.command is not None or secret.runpod is not None:
            unknown.append(secret.name)
            continue
        texts += [environ[name] for name in secret.env if name in environ]
        try:
            content = read_secret(secret, project_root, environ)
        except (OSError, KeyError):
            unknown.append(secret.name)
            continue
        if secret.file is not None:
            texts.append(content.decode("utf-8", "replace"))
    return texts, unknown

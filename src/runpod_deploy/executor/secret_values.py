"""Where the values of secrets come from on this machine."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from runpod_deploy.compiler.plan import PlanSecret
from runpod_deploy.executor.named_files import read_named


def read_secret(
    secret: PlanSecret,
    project_root: Path,
    environ: Mapping[str, str],
    *,
    allowed: Sequence[Path] | None = None,
) -> bytes:
    """Return what will lie on the pod of a secret of variables or of a file.

    Args:
        allowed: As of `read_named`.

    Raises:
        OSError: Its file cannot be read.
        KeyError: One of its variables is not set.
    """
    if secret.file is not None:
        return read_named(secret.file, project_root, allowed)
    lines = [f"export {name}={shlex.quote(environ[name])}\n" for name in secret.env]
    return "".join(lines).encode()


def known_texts(
    secrets: tuple[PlanSecret, ...],
    project_root: Path,
    environ: Mapping[str, str],
    *,
    allowed: Sequence[Path] | None = None,
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
            content = read_secret(secret, project_root, environ, allowed=allowed)
        except (OSError, KeyError):
            unknown.append(secret.name)
            continue
        if secret.file is not None:
            texts.append(content.decode("utf-8", "replace"))
    return texts, unknown

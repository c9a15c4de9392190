"""Names: who owns a pod, and what a pod is called."""

import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from runpod_deploy.errors import InvalidInput

_OWNER = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
LONGEST_NAME = 100


def owner_id(environ: Mapping[str, str]) -> str:
    """Return who we are: `RUNPOD_DEPLOY_OWNER`, else a random id kept in the user's config folder.

    Raises:
        InvalidInput: The variable holds something that cannot stand in a pod's name, or the id
            cannot be kept.
    """
    given = environ.get("RUNPOD_DEPLOY_OWNER")
    if given:
        if not _OWNER.fullmatch(given):
            raise InvalidInput(
                f"RUNPOD_DEPLOY_OWNER is {given!r}: lower-case letters, digits and '-' are possible, "
                "at most 32 of them."
            )
        return given
    home = Path(environ.get("HOME") or Path.home())
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    file = config / "runpod-deploy" / "owner"
    try:
        kept = _kept(file)
    except OSError as error:
        raise InvalidInput(
            f"The owner id, which tells your pods from others', cannot be kept in {file}: "
            f"{error.strerror or error}.",
            help="Make that folder writable, or choose an id:\n  export RUNPOD_DEPLOY_OWNER=my-name",
        ) from error
    if not _OWNER.fullmatch(kept):
        raise InvalidInput(f"{file} does not hold an owner id; remove the file to get a new one.")
    return kept


def _kept(file: Path) -> str:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), file.open("x", encoding="ascii") as stream:
            stream.write(secrets.token_hex(4) + "\n")
    return file.read_text("ascii", "replace").strip()


def pod_name(owner: str, job: str, now: float, attempt: int, suffix: str) -> str:
    """Return the name of one create attempt, unique by its four random characters.

    `rd-<owner8>-<job slug, at most 40>-<YYYYmmddTHHMMSSZ>-<attempt><suffix>`
    """
    slug = re.sub(r"[^a-z0-9]+", "-", job.lower()).strip("-")[:40].strip("-") or "job"
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"rd-{owner[:8]}-{slug}-{stamp}-{attempt}{suffix}"[:LONGEST_NAME]


def random_suffix() -> str:
    """Return four random characters."""
    return secrets.token_hex(2)

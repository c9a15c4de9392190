"""The contact file: how clients find the daemon, and how they tell a stale one."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runpod_deploy.emulator.store import write_private


@dataclass(frozen=True, kw_only=True, slots=True)
class EmulatorInfo:
    """A running emulator.

    Attributes:
        url: Base URL, without the `/v2`.
        api_key: The account's key; masked in the repr.
        pid: Of the daemon.
        version: Of the daemon's code.
        started_at: RFC 3339.
        state_dir: Its state folder.
    """

    url: str
    api_key: str
    pid: int
    version: str
    started_at: str
    state_dir: str

    def __repr__(self) -> str:
        """Show everything but the key."""
        return (
            f"EmulatorInfo(url={self.url!r}, api_key='***', pid={self.pid}, "
            f"version={self.version!r}, started_at={self.started_at!r}, "
            f"state_dir={self.state_dir!r})"
        )


def write_contact(path: Path, info: EmulatorInfo) -> None:
    """Replace the contact file at once; only its owner can read it."""
    document = {name: getattr(info, name) for name in info.__slots__}
    born = process_birth(info.pid)
    write_private(path, json.dumps({**document, "pid_birth": born}) + "\n")


def read_contact(path: Path) -> EmulatorInfo | None:
    """Read the contact file; None when it is missing, damaged, someone else's or stale.

    Stale means that no process of that number runs, or another one than wrote the file.
    """
    try:
        if path.stat().st_uid != os.getuid():
            return None
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
        born = raw.pop("pid_birth")
        info = EmulatorInfo(**raw)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if not process_exists(info.pid) or process_birth(info.pid) != born:
        return None
    return info


def process_exists(pid: int) -> bool:
    """Say whether a process of this number runs; one that only waits to be reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _stat(pid)[:1] != ["Z"]


def process_birth(pid: int) -> str:
    """Give a process's start time in the kernel's ticks; empty where there is no /proc."""
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 else ""


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    # The name in parentheses may hold blanks; the state is the first field behind it.
    return text.rpartition(")")[2].split()

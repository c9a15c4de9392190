"""The one ledger of a user: `ledger.jsonl`, appended to under a lock by whoever rents or ends a pod."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runpod_deploy.record.accounts import LEDGER_VERSION, Accounts, add_up
from runpod_deploy.record.atomic import sync_folder, write_all
from runpod_deploy.record.file_lock import locked

LEDGER_NAME = "ledger.jsonl"


def ledger_file(environ: Mapping[str, str]) -> Path:
    """Return where the ledger lies: in the user's state folder."""
    home = Path(environ.get("HOME") or Path.home())
    state = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state")
    return state / "runpod-deploy" / LEDGER_NAME


class Ledger:
    """Reads the ledger and adds to it. What was read once is not read again."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._accounts = Accounts()
        self._read = 0
        self._inode = -1

    def accounts(self) -> Accounts:
        """Return the accounts as they are now; a file that is not there is an empty one.

        Raises:
            OSError: The file cannot be read.
        """
        try:
            with self.file.open("rb") as stream:
                return self._take_in(stream.fileno())
        except FileNotFoundError:
            return Accounts()

    @contextlib.contextmanager
    def locked(self) -> Iterator[Ledger]:
        """Keep everybody else from adding to the ledger meanwhile.

        Raises:
            FileBusy: Somebody else has had the lock for too long.
            OSError: The folder cannot be written.
        """
        lock = self.file.with_name(f"{self.file.name}.lock")
        with locked(self.file, lock, folder_mode=0o700):
            yield self

    def add(self, event: str, pod: str, at: float, **fields: Any) -> None:
        """Add a line; it is on disk when this returns. The lock must be held.

        Raises:
            OSError: It cannot be written.
        """
        line = {"v": LEDGER_VERSION, "at": round(at, 3), "event": event, "pod": pod, **fields}
        new = not self.file.exists()
        fd = os.open(self.file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(fd).st_size
            # A line that a crash or a full disk cut off must not swallow this one.
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            write_all(fd, b"\n" * torn + json.dumps(line, allow_nan=False).encode() + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)
        if new:
            sync_folder(self.file.parent)

    def _take_in(self, fd: int) -> Accounts:
        stat = os.fstat(fd)
        if stat.st_ino != self._inode or stat.st_size < self._read:
            self._accounts, self._read, self._inode = Accounts(), 0, stat.st_ino
        fresh = b""
        while piece := os.pread(fd, 1 << 20, self._read + len(fresh)):
            fresh += piece
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._read += len(whole)
        self._accounts = add_up(_objects(whole), self._accounts)
        return self._accounts


def _objects(text: bytes) -> Iterator[Mapping[str, Any]]:
    for line in text.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(line)
            if isinstance(value, dict):
                yield value

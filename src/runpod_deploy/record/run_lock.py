"""Who carries a run on: one executor at a time, known by its process, host and heartbeat.

The lock of the journal keeps two executors of one machine apart, and ends with its process. What is
written here says who it is, and keeps executors of different machines apart where they share a folder.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from runpod_deploy.errors import JobFailed
from runpod_deploy.record import tolerant
from runpod_deploy.record.atomic import dump_json, write_atomic
from runpod_deploy.record.reading import read_whole

LOCK_NAME = ".executor.json"
BEAT_EVERY_SEC = 15.0
STALE_AFTER_SEC = 120.0


class RunBusy(JobFailed):
    """Another executor carries the run on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """The executor that says it carries a run on.

    Attributes:
        boot: Which start of which machine its process belongs to; empty where that is not known.
        started: When its process began, in the system's own count; empty where that is not known.
        since: Seconds since the epoch when it took the run.
        beat: Seconds since the epoch when it last said that it lives, by the clock of its machine.
        token: Random; tells one taking from another.
    """

    owner: str
    pid: int
    host: str
    boot: str
    started: str
    since: float
    beat: float
    token: str

    def lives(self, now: float) -> bool:
        """Return whether the executor can still be at work.

        On this machine its process is asked for; of another machine the heartbeat is all there is.
        """
        if self.here:
            started = _process_start(self.pid)
            return started is not None and self.started in {"", started}
        return abs(now - self.beat) <= STALE_AFTER_SEC

    @property
    def here(self) -> bool:
        """Whether its process would be one of this machine, since the machine was started.

        Containers can have the name of their machine, and processes of their own.
        """
        return (self.host, self.boot) == (socket.gethostname(), _boot())

    @property
    def ours(self) -> bool:
        """Whether it is this very process."""
        return self.here and self.pid == os.getpid()

    def named(self, now: float) -> str:
        """Return who it is, as people would say it."""
        here = "this machine" if self.here else self.host
        return f"process {self.pid} on {here} (last seen {max(0.0, now - self.beat):.0f} s ago)"


def holder_of(folder: Path) -> Holder | None:
    """Return who last said that it carries the run on; None when nobody did, or the file is spoilt."""
    try:
        data = json.loads(read_whole(folder / LOCK_NAME))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    texts = {
        key: tolerant.text(data, key) or "" for key in ("owner", "host", "boot", "started", "token")
    }
    pid = tolerant.integer(data, "pid")
    since, beat = tolerant.number(data, "since"), tolerant.number(data, "beat")
    if pid is None or pid <= 0 or since is None or beat is None or not texts["host"]:
        return None
    return Holder(**texts, pid=pid, since=since, beat=beat)


def living_holder(folder: Path, now: float) -> Holder | None:
    """Return the executor that is at work on a run; None when nobody is."""
    holder = holder_of(folder)
    return holder if holder is not None and holder.lives(now) else None


class RunLock:
    """Our own claim to a run; made by `take`."""

    def __init__(self, folder: Path, holder: Holder) -> None:
        self._path = folder / LOCK_NAME
        self.folder = folder
        self.holder = holder

    @classmethod
    def take(cls, folder: Path, *, owner: str, now: float) -> RunLock:
        """Claim the run; what a dead executor left is taken over.

        Raises:
            RunBusy: Another executor is at work.
            OSError: The folder cannot be written.
        """
        refuse_if_busy(folder, now)
        pid = os.getpid()
        holder = Holder(
            owner=owner,
            pid=pid,
            host=socket.gethostname(),
            boot=_boot(),
            started=_process_start(pid) or "",
            since=now,
            beat=now,
            token=secrets.token_hex(8),
        )
        lock = cls(folder, holder)
        lock._write(holder)
        return lock

    def beat(self, now: float) -> bool:
        """Say that we live; False when another executor has taken the run meanwhile.

        A heartbeat that cannot be written is no reason to stop: the disk may be full.
        """
        found = holder_of(self.folder)
        if found is not None and found.token != self.holder.token:
            return False
        try:
            self._write(Holder(**{**asdict(self.holder), "beat": now}))
        except OSError:
            return True
        return True

    def release(self) -> None:
        """Give the run up; another executor's claim is left alone."""
        found = holder_of(self.folder)
        if found is not None and found.token == self.holder.token:
            try:
                self._path.unlink(missing_ok=True)
            except OSError:
                return

    def _write(self, holder: Holder) -> None:
        write_atomic(self._path, dump_json(asdict(holder)))


def refuse_if_busy(folder: Path, now: float) -> None:
    """Refuse a run that another executor carries on.

    Raises:
        RunBusy: It does; the message names it.
    """
    holder = living_holder(folder, now)
    if holder is None or holder.ours:
        return
    wait = "Wait until it has come to its end, or end that process first."
    if not holder.here:
        wait += f" If {holder.host} is down, try again in {STALE_AFTER_SEC:.0f} s."
    raise RunBusy(f"The run in {folder} is being carried on by {holder.named(now)}.", help=wait)


def _boot() -> str:
    """Return what tells this start of this machine, and this container, from all others."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _process_start(pid: int) -> str | None:
    """Return when a process began, empty where the system does not say; None when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    except OSError:
        return ""
    else:
        # A zombie runs nothing any more; its parent has not yet asked for its end.
        return None if fields[0] in {b"Z", b"X"} else fields[19].decode("ascii", "replace")
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return ""
    return ""

"""What `boot.sh` and `lease.sh` do on a pod, in virtual time: by the terms of the scripts that lie there.

The scripts themselves are run by real shells elsewhere (`tests/interop/test_lease.py`); this is their rule,
so that a thousand runs can be left alone for days.
"""

from __future__ import annotations

import asyncio
import contextvars
import io
import re
import tarfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from support.fake_pod import FakeJob, FakeMachine, Reply

LATELY_SEC = 120.0
COLLECTING_SEC = 900.0
_TERM = re.compile(r"^([a-z_]+)='?([A-Za-z0-9_./-]*)'?$", re.MULTILINE)
_SAID = re.compile(r"/bin/lease\.sh ([a-z]+)(?: ([0-9]+))?")

Ask = Callable[[str], Awaitable[None]]


@dataclass
class WatchedMachine(FakeMachine):
    """A pod's inside with its watchdog.

    Attributes:
        ask: Asks the API for the pod's own end, `stop` or `terminate`.
        saved: How the job ended, laid on the disk that outlives a stop; shared by all starts of a pod.
        acted: Whether the watchdog has asked.
        holds: What was sent to its container disk, which a start makes anew.
        began_without: Whether a job was begun without its payload.
    """

    ask: Ask | None = None
    saved: list[FakeJob] = field(default_factory=list)
    acted: bool = False
    holds: set[str] = field(default_factory=set)
    began_without: bool = False
    _terms: dict[str, str] = field(default_factory=dict)
    _money: float = 0.0
    _beat: float = 0.0
    _held: bool = False
    _off: bool = False
    _armed: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def boot(self, script: str) -> None:
        """Begin the watch of the start, if the container's environment has one."""
        if script:
            _apart(self._boot(_terms(script)))

    def kill(self) -> None:
        """Power off; a job that runs has no end then."""
        if self.job.started_at is not None and _now() < self.job.ends_at():
            self.job.stopped_at, self.job.exit_code = _now(), None
        super().kill()

    def scripted(self, command: str) -> Reply | None:
        """Do what is said to the lease."""
        if "supervisor.sh start" in command and self.job.started_at is None:
            self.began_without |= "payload" not in self.holds
        said = _SAID.search(command)
        if said is None:
            return super().scripted(command)
        return self._said(said[1], float(said[2] or 0))

    def _said(self, word: str, seconds: float) -> Reply:
        self._beat = _now()
        if word == "arm":
            first, self._armed = not self._armed, True
            self._terms = _terms(self._script("lease"))
            self._money = _now() + seconds if seconds else 0.0
            self._held = self._off = False
            if first:
                _apart(self._watch())
        elif word == "restore" and self.saved and self.job.started_at is None:
            self.job = self.saved.pop()
        self._held |= word == "hold"
        self._off |= word == "disarm"
        self._changed.set()
        return b"armed curl\n" if word == "arm" else b""

    def _script(self, name: str) -> str:
        """Return a script as the executor laid it on the pod."""
        for command, archive in reversed(self.inputs.items()):
            if "tar -xpf" in command:
                with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                    for member in tar.getmembers():
                        file = tar.extractfile(member)
                        if member.name.endswith(f"/bin/{name}.sh") and file is not None:
                            return file.read().decode()
        return ""

    async def _boot(self, terms: dict[str, str]) -> None:
        await asyncio.sleep(float(terms["limit"]))
        wait = 5.0
        while not (self._armed or self.dead):
            await self._act(terms["action"])
            await asyncio.sleep(wait)
            wait = min(wait * 2, 60.0)

    async def _watch(self) -> None:
        wait = 5.0
        while not (self.dead or self._off):
            due = self._due()
            if due > _now():
                self._changed.clear()
                wait = 5.0
                try:
                    async with asyncio.timeout_at(due):
                        await self._changed.wait()
                except TimeoutError:
                    pass
                continue
            self.job.stop(_now(), "orphaned")
            if self._terms["action"] == "stop" and self._ended() and not self.saved:
                self.saved.append(self.job)
            await self._act(self._terms["action"])
            await asyncio.sleep(wait)
            wait = min(wait * 2, 60.0)

    def _due(self) -> float:
        """Return when it is time to act, as `due` of `lease.sh` has it."""
        due = float("inf")
        if self._money:
            due = min(max(self._money, self._beat + LATELY_SEC), self._money + COLLECTING_SEC)
        begun = self.job.started_at is not None
        since = self._beat
        if begun and self._terms["while_running"] == "continue":
            since = max(since, min(self.job.ends_at(), max(_now(), since)))
            if not self._ended() and self.job.ends_at() > _now():
                since = self.job.ends_at()
        patience = float(self._terms["silence"])
        if self._held or (self._terms["spares_results"] == "1" and begun):
            patience = float("inf") if self._money else float(self._terms["keep"])
        return min(due, since + patience)

    def _ended(self) -> bool:
        return (
            self.job.started_at is not None
            and self.job.exit_code is not None
            and _now() >= self.job.ends_at()
        )

    async def _act(self, action: str) -> None:
        self.acted = True
        if self.ask is not None:
            await self.ask(action)


def _terms(script: str) -> dict[str, str]:
    return dict(_TERM.findall(script))


def _apart(work: Awaitable[None]) -> None:
    """Do something that belongs to no executor, and so outlives every one."""
    # The campaign's loop keeps every task.
    asyncio.get_running_loop().create_task(_awaited(work), context=contextvars.Context())


async def _awaited(work: Awaitable[None]) -> None:
    await work


def _now() -> float:
    return asyncio.get_running_loop().time()

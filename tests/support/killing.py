"""An executor on fakes that is killed at a moment that a test chooses, and the one that comes after it."""

from __future__ import annotations

import contextlib

from runpod_deploy.record.journal import Journal, JournalError
from support.fakes import Gate
from support.rig import Rig

KILLED = "killed"


class Killed(BaseException):
    """Ends everything that a killed process would have done next."""


def at_event(rig: Rig, k: int) -> None:
    """Kill the executor after its k-th line of the journal."""
    write = Journal.write

    def watched(self: Journal, name: str, /, **fields: object) -> object:
        if self._fd is None:
            raise Killed
        event = write(self, name, **fields)
        if len(self.events) >= k:
            kill(rig)
            raise Killed
        return event

    rig.ctx.journal.write = watched.__get__(rig.ctx.journal)


def at_call(rig: Rig, k: int) -> None:
    """Kill the executor at its k-th call of cloud, pod or clock, before or after the effect."""

    def act(number: int, _name: str) -> None:
        if number >= k:
            kill(rig)
            raise Killed

    rig.clock.gate.act = act


def kill(rig: Rig) -> None:
    """Let the process of the first executor do nothing more."""

    def dead(_number: int, _name: str) -> None:
        raise Killed

    for node in rig.ctx.nodes:
        node.journal._abandon()
    rig.clock.gate.act = dead
    rig.listener.messages.append(KILLED)


def after(rig: Rig) -> Rig:
    """Return the executor that comes after one that was killed."""
    rig.clock.gate = Gate()
    for machine in rig.machines:
        machine.connections.clear()
    return rig.resumed()


def left_at(rig: Rig, name: str, occurrence: int = 1) -> Rig:
    """Kill a run right after an event of a name; returns the executor that comes next."""
    seen = 0
    write = Journal.write

    def watched(self: Journal, event: str, /, **fields: object) -> object:
        nonlocal seen
        if self._fd is None:
            raise Killed
        written = write(self, event, **fields)
        seen += event == name
        if seen == occurrence and event == name:
            kill(rig)
            raise Killed
        return written

    rig.ctx.journal.write = watched.__get__(rig.ctx.journal)
    with contextlib.suppress(Killed, JournalError):
        rig.run()
    assert KILLED in rig.listener.messages, f"{name} never came"
    return after(rig)


def next_one(rig: Rig) -> Rig:
    """Return the executor that carries the run on, with the same ledger."""
    second = after(rig)
    second.ctx.ledger = rig.ctx.ledger
    return second

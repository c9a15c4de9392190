"""What the faults of one pod do to what travels over its SSH connections."""

import math

from runpod_deploy.emulator.faults import Fault, FaultBoard
from runpod_deploy.emulator.ports import Fate

_KIB = 1024


class SshTrouble:
    """Asks the board on behalf of one pod (see `runpod_deploy.emulator.ports.Trouble`)."""

    def __init__(self, board: FaultBoard, context: dict[str, str]) -> None:
        self._board = board
        self._context = context
        self._bytes = {"upload": 0, "pull": 0}

    def of_command(self, text: str) -> Fate:
        """Decide about a command that is about to begin."""
        context = {**self._context, "command": text}
        if self._board.take("hung-command", **context):
            return Fate(delay=math.inf)
        slow = self._board.take("slow-command", **context)
        cut = self._take_cut("command", **context)
        return Fate(
            delay=slow.number("seconds") if slow else 0.0,
            dark=None if cut is None else cut.number("dark"),
        )

    def of_traffic(self, during: str, size: int) -> float | None:
        """Count bytes; gives the seconds of darkness when they are cut now, else None."""
        self._bytes[during] += size
        waiting = self._board.peek("ssh-cut", **self._context)
        if waiting is None or self._bytes[during] < waiting.number("kib") * _KIB:
            return None
        cut = self._take_cut(during, **self._context)
        if cut is None:
            return None
        self._bytes[during] = 0
        return cut.number("dark")

    def _take_cut(self, during: str, **context: str) -> Fault | None:
        waiting = self._board.peek("ssh-cut", **context)
        if waiting is None or waiting.params["during"] != during:
            return None
        return self._board.take("ssh-cut", **context)

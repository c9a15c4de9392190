"""Sums over all nodes, by way of the first: what torch.distributed does, with the standard library alone.

Who is who stands in the environment that RunPod gives every node of a cluster.
"""

import json
import os
import socket
import time
from collections.abc import Sequence
from types import TracebackType

CONNECT_WITHIN_SEC = 120.0
ANSWER_WITHIN_SEC = 120.0


class Rendezvous:
    """The meeting of all nodes; leaving it closes every connection."""

    def __init__(self) -> None:
        self.rank = int(os.environ["NODE_RANK"])
        self.nodes = int(os.environ["NUM_NODES"])
        self._address = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
        self._others: dict[int, Line] = {}
        self._first: Line | None = None

    def __enter__(self) -> "Rendezvous":
        if self.rank == 0:
            self._welcome()
        else:
            self._first = self._join()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for line in [*self._others.values(), *([self._first] if self._first else [])]:
            line.close()

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """Give every node the sum of what all nodes brought."""
        if self._first is not None:
            self._first.send(list(numbers))
            return self._first.receive()
        # By rank, so that every run adds in the same order and gets the same bits.
        parts = [list(numbers), *(self._others[rank].receive() for rank in sorted(self._others))]
        total = [sum(column) for column in zip(*parts, strict=True)]
        for line in self._others.values():
            line.send(total)
        return total

    def _welcome(self) -> None:
        with socket.create_server(self._address) as door:
            door.settimeout(CONNECT_WITHIN_SEC)
            while len(self._others) < self.nodes - 1:
                connection, _ = door.accept()
                line = Line(connection)
                self._others[int(line.receive()[0])] = line

    def _join(self) -> "Line":
        give_up = time.monotonic() + CONNECT_WITHIN_SEC
        while True:
            try:
                line = Line(socket.create_connection(self._address, timeout=5))
            except OSError:
                # The first node may be slower than this one.
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.2)
            else:
                line.send([self.rank])
                return line


class Line:
    """A connection that carries lists of numbers, one a line."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(ANSWER_WITHIN_SEC)
        self._connection = connection
        self._file = connection.makefile("rw", encoding="utf-8", newline="\n")

    def send(self, numbers: list[float]) -> None:
        """Send a list."""
        self._file.write(json.dumps(numbers) + "\n")
        self._file.flush()

    def receive(self) -> list[float]:
        """Wait for a list."""
        text = self._file.readline()
        if not text:
            raise ConnectionError("a node left before the end")
        numbers: list[float] = json.loads(text)
        return numbers

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._connection.close()

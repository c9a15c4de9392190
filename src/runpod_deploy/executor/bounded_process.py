"""Runs a program of this machine: no more of what it prints is kept than is wanted, and nothing stays behind.

The reading is our own protocol and not `asyncio.subprocess`: a process there counts as ended only once
nobody holds its pipes any more, which a child in the background can do for as long as it likes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

MOST_COMPLAINT = 1 << 16
# What has been printed is in the pipe; who left the group and holds it open is not waited for.
LAST_WORDS_SEC = 1.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended.

    Attributes:
        status: Its exit status, negative for a signal; None: it was ended for what it printed.
        out: What it printed, `most` bytes and one more when it printed too much.
        err: The beginning of its complaint.
    """

    status: int | None
    out: bytes
    err: bytes


class Listener(asyncio.SubprocessProtocol):
    """Keeps what a program prints, within bounds.

    Attributes:
        over: Set when the program has ended, or has printed too much.
        closed: Set when it has ended and nobody holds its pipes.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.out = bytearray()
        self.err = bytearray()
        self.over = asyncio.Event()
        self.closed = asyncio.Event()

    @property
    def too_much(self) -> bool:
        """Whether it printed more than is wanted."""
        return len(self.out) > self.most

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Keep as much as is wanted, and let the rest fall."""
        kept, most = (self.out, self.most + 1) if fd == 1 else (self.err, MOST_COMPLAINT)
        kept += data[: max(0, most - len(kept))]
        if self.too_much:
            self.over.set()

    def process_exited(self) -> None:
        """Note the end of the program itself."""
        self.over.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's
        """Note the end of all that it began."""
        self.over.set()
        self.closed.set()


async def run_bounded(
    words: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    *,
    within_sec: float,
    most: int = 0,
    given: bytes | None = None,
) -> Ended:
    """Run a program; afterwards no process of its group is left, however it ended.

    A program that is given input may leave the rest to children in the background, which have the
    same time; what one prints ends with the program itself.

    Args:
        most: How many bytes of what it prints are wanted; with one more it is ended.
        given: Its input; then what it prints is not read at all. None: it has none.

    Raises:
        TimeoutError: It did not end in time.
        OSError: It cannot be started.
    """
    told = given is not None
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    transport, listener = await asyncio.get_running_loop().subprocess_exec(
        lambda: Listener(most),
        *words,
        cwd=folder,
        env=dict(environ),
        stdin=pipe if told else nothing,
        stdout=nothing if told else pipe,
        stderr=pipe,
        # Its own session: whatever it starts ends with it, and it cannot wait at our terminal.
        start_new_session=True,
    )
    try:
        if given is not None:
            entry = cast("asyncio.WriteTransport", transport.get_pipe_transport(0))
            entry.write(given)
            entry.write_eof()
        async with asyncio.timeout(within_sec):
            await (listener.closed if told else listener.over).wait()
    finally:
        await _end(transport, listener)
    status = None if listener.too_much else transport.get_returncode()
    return Ended(status, bytes(listener.out), bytes(listener.err))


async def _end(transport: asyncio.SubprocessTransport, listener: Listener) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    try:
        async with asyncio.timeout(LAST_WORDS_SEC):
            await listener.closed.wait()
    except TimeoutError:
        pass
    finally:
        transport.close()

"""Moving bytes between a descriptor and the event loop, no faster than the slower side."""

import asyncio
import fcntl
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress

_PIPE_BYTES = 1 << 20
_READ_BYTES = 1 << 17
_HIGH_WATER = 1 << 20
_F_SETPIPE_SZ = 1031


def open_pipe() -> tuple[int, int]:
    """Open a pipe for bulk; gives read end and write end."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    with suppress(OSError):  # the user's share of pipe memory is used up: the default size works
        fcntl.fcntl(write_end, _F_SETPIPE_SZ, _PIPE_BYTES)
    return read_end, write_end


class FdReader:
    """Reads a descriptor, which it owns, and hands on what comes."""

    def __init__(
        self, fd: int, on_data: Callable[[bytes], object], on_end: Callable[[], object]
    ) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._on_data = on_data
        self._on_end = on_end
        self._paused = False
        self._loop.add_reader(fd, self._ready)

    def pause(self) -> None:
        """Stop reading, so that the writer comes to wait."""
        if not self._paused and self._fd != -1:
            self._paused = True
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        """Read on."""
        if self._paused and self._fd != -1:
            self._paused = False
            self._loop.add_reader(self._fd, self._ready)

    def close(self) -> None:
        """Let go of the descriptor without telling anybody; idempotent."""
        if self._fd != -1:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _ready(self) -> None:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        if data:
            self._on_data(data)
        else:
            self.close()
            self._on_end()


class FdWriter:
    """Writes to a descriptor, which it owns, and says when to wait."""

    def __init__(
        self, fd: int, on_full: Callable[[], object], on_drained: Callable[[], object]
    ) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._on_full = on_full
        self._on_drained = on_drained
        self._queue: deque[memoryview] = deque()
        self._queued = 0
        self._full = False
        self._ending = False

    def write(self, data: bytes) -> None:
        """Take data; what no reader wants any more is dropped, as a closed pipe drops it."""
        if self._fd == -1 or self._ending:
            return
        self._queue.append(memoryview(data))
        self._queued += len(data)
        if len(self._queue) == 1:
            self._flush()
            if self._queue:
                self._loop.add_writer(self._fd, self._flush)
        if self._queued > _HIGH_WATER and not self._full:
            self._full = True
            self._on_full()

    def finish(self) -> None:
        """Close once everything taken is written."""
        self._ending = True
        if not self._queue:
            self.close()

    def close(self) -> None:
        """Let go of the descriptor at once; idempotent."""
        if self._fd != -1:
            self._loop.remove_writer(self._fd)
            os.close(self._fd)
            self._fd = -1
        self._queue.clear()
        self._queued = 0
        self._drained()

    def _flush(self) -> None:
        try:
            while self._queue:
                written = os.write(self._fd, self._queue[0])
                self._queued -= written
                if written < len(self._queue[0]):
                    self._queue[0] = self._queue[0][written:]
                else:
                    self._queue.popleft()
        except BlockingIOError:
            pass
        except OSError:  # EPIPE, EIO: nobody reads any more
            self.close()
            return
        if not self._queue:
            self._loop.remove_writer(self._fd)
            if self._ending:
                self.close()
        if self._queued <= _HIGH_WATER // 4:
            self._drained()

    def _drained(self) -> None:
        if self._full:
            self._full = False
            self._on_drained()

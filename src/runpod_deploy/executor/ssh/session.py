"""One remote command: feeds it, drains it, and ends it whatever happens on this side."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any

import asyncssh

from runpod_deploy.errors import ConnectionLost, StepFailed
from runpod_deploy.executor.ssh.process_group import end_group, take_group

Stdin = bytes | AsyncIterator[bytes] | None

_CHUNK = 256 * 1024
_SEND_AHEAD = 512 * 1024
_KILL_SECONDS = 5.0
_GROUP_SECONDS = 1.0


class Session:
    """A command running on the pod over one channel.

    Args:
        process: The open channel, whose command announces its process group.
        token: By which the announcement is known.
        stdin: What the command reads; None is an empty input.
        where: The pod's address, for messages.
        stderr_limit: Bytes of stderr to keep.
        strict: Whether more stderr than that is an error, or dropped.
    """

    def __init__(
        self,
        process: "asyncssh.SSHClientProcess[bytes]",
        stdin: Stdin,
        *,
        token: str,
        where: str,
        stderr_limit: int,
        strict: bool,
    ) -> None:
        self._process = process
        self._token = token
        self._where = where
        self._group: int | None = None
        self._group_known = asyncio.Event()
        process.channel.set_write_buffer_limits(high=_SEND_AHEAD, low=_SEND_AHEAD // 2)
        self._feeder = self._helper(self._feed(stdin))
        self._stderr = self._helper(self._collect_stderr(stderr_limit, strict=strict))

    async def stdout(self) -> AsyncGenerator[bytes, None]:
        """Yield stdout as it comes.

        Raises:
            ConnectionLost: The connection broke.
        """
        while chunk := await self._read(self._process.stdout):
            yield chunk

    async def collect_stdout(self, limit: int) -> bytes:
        """Return all of stdout, at most `limit` bytes.

        Raises:
            StepFailed: There was more (cause `remote_output`).
            ConnectionLost: The connection broke.
        """
        kept = bytearray()
        while chunk := await self._read(self._process.stdout):
            self._check(len(kept) + len(chunk), limit)
            kept += chunk
        return bytes(kept)

    async def finish(self) -> tuple[int, bytes]:
        """Wait for the command's end; return its status, -1 after a signal, and its stderr.

        Raises:
            ConnectionLost: The connection broke before the status arrived.
            Exception: Whatever the iterator given as stdin raised.
        """
        closing = asyncio.ensure_future(self._process.wait_closed())
        try:
            waiting = {closing, self._feeder, self._stderr}
            while not closing.done() and self.failure() is None:
                waiting = {task for task in waiting if not task.done()}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closing.cancel()
        if (exc := self.failure()) is not None:
            raise exc
        stderr = await self._stderr
        status = self._process.exit_status
        if status is None:
            raise self._lost()
        return status, stderr

    async def end(self) -> None:
        """End what still runs, here and on the pod; idempotent."""
        try:
            if self._process.exit_status is None:
                await self._kill()
        finally:
            self._abort()
            for task in (self._feeder, self._stderr):
                task.cancel()
            await asyncio.gather(self._feeder, self._stderr, return_exceptions=True)

    async def _kill(self) -> None:
        """Send SIGTERM to the command's process group over a channel of its own."""
        connection = self._process.channel.get_extra_info("connection")
        if connection is None or connection.is_closed():
            return
        # Where it cannot be done in time, the closing channel is all that the command gets to know.
        with contextlib.suppress(TimeoutError, OSError, asyncssh.Error):
            if not self._stderr.done():
                async with asyncio.timeout(_GROUP_SECONDS):
                    await self._group_known.wait()
            if self._group is not None:
                async with asyncio.timeout(_KILL_SECONDS):
                    await connection.run(end_group(self._group), encoding=None)

    def failure(self) -> BaseException | None:
        """Return what went wrong in feeding or draining, which explains why stdout ended."""
        for task in (self._feeder, self._stderr):
            if task.done() and not task.cancelled() and (exc := task.exception()) is not None:
                return exc
        return None

    def _helper(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.create_task(work)
        task.add_done_callback(self._helper_done)
        return task

    def _helper_done(self, task: "asyncio.Task[Any]") -> None:
        # Whoever reads stdout waits for the pod, which may wait for this side: wake both.
        if not task.cancelled() and task.exception() is not None:
            self._abort()

    def _abort(self) -> None:
        if self._process.exit_status is None:
            with contextlib.suppress(OSError):  # closed already: nothing is left to be told
                self._process.terminate()
        self._process.channel.abort()
        # A command that ignores the signal would keep the channel, and its readers, open.
        self._process.stdout.feed_eof()

    async def _feed(self, stdin: Stdin) -> None:
        writer = self._process.stdin
        try:
            if isinstance(stdin, bytes):
                view = memoryview(stdin)
                for start in range(0, len(view), _CHUNK):
                    if not await self._write(bytes(view[start : start + _CHUNK])):
                        return
            elif stdin is not None:
                async for chunk in stdin:
                    if chunk and not await self._write(chunk):
                        return
        finally:
            if isinstance(stdin, AsyncGenerator):
                await stdin.aclose()
        try:
            writer.write_eof()
        except OSError:
            return  # the command ended first

    async def _write(self, chunk: bytes) -> bool:
        """Send a chunk; False when the command reads no more: its status tells why."""
        try:
            self._process.stdin.write(chunk)
            await self._process.stdin.drain()
        except (OSError, asyncssh.Error):
            return False
        return True

    async def _read(self, reader: "asyncssh.SSHReader[bytes]") -> bytes:
        try:
            return await reader.read(_CHUNK)
        except (OSError, asyncssh.Error) as exc:
            raise self._lost() from exc

    async def _collect_stderr(self, limit: int, *, strict: bool) -> bytes:
        kept = bytearray()
        while chunk := await self._read(self._process.stderr):
            kept += chunk
            if self._group is None:
                self._group = take_group(kept, self._token)
                if self._group is not None:
                    self._group_known.set()
            if strict:
                self._check(len(kept), limit)
            del kept[limit:]
        return bytes(kept)

    def _check(self, size: int, limit: int) -> None:
        if size > limit:
            raise StepFailed(
                f"a command on {self._where} wrote more than {limit >> 20} MiB",
                cause="remote_output",
            )

    def _lost(self) -> ConnectionLost:
        return ConnectionLost(
            f"the SSH connection to {self._where} broke while a command was running",
            help="What was started on the pod may still run.",
        )

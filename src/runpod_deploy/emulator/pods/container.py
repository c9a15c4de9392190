"""The container command of a pod: run with the pod's environment, logged, started again."""

import asyncio
import os
import shlex
from collections.abc import Callable, Mapping

from runpod_deploy.emulator.pods.control import Command, Control, PodGoneError
from runpod_deploy.emulator.pods.pumps import FdReader, open_pipe
from runpod_deploy.emulator.ports import OnLog

_RESTART_SECONDS = 0.5
_LONGEST_LINE = 64 * 1024


class LineSplitter:
    """Cuts a byte stream into lines of text; a line without end is cut at 64 KiB."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take a piece of the stream."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest[:_LONGEST_LINE])
            self._rest = self._rest[_LONGEST_LINE:]
        for line in lines:
            self._on_line(line.removesuffix(b"\r").decode("utf-8", errors="replace"))

    def finish(self) -> None:
        """Give the last line, when it had no end."""
        if self._rest:
            self.feed(b"\n")


async def keep_running(control: Control, args: str, env: Mapping[str, str], on_log: OnLog) -> None:
    """Run the container command again and again, as RunPod does, until the pod is gone."""
    try:
        argv = shlex.split(args)
    except ValueError as error:
        on_log("system", f"the container command cannot be split into words: {error}")
        return
    if not argv:
        on_log("system", "the container command is empty")
        return
    command = Command(argv=argv, file=argv[0], env=env, cwd="/")
    while True:
        on_log("system", "start container")
        try:
            status = await _run_once(control, command, on_log)
        except PodGoneError:
            return
        how = f"status {status}" if status >= 0 else f"signal {-status}"
        on_log("system", f"container command ended with {how}; restarting")
        await asyncio.sleep(_RESTART_SECONDS)


class _LogPipe:
    """A pipe whose lines go to the log; `write_end` is for the command."""

    def __init__(self, on_log: OnLog) -> None:
        read_end, self.write_end = open_pipe()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._splitter = LineSplitter(lambda line: on_log("container", line))
        self._reader = FdReader(read_end, self._splitter.feed, self._on_end)

    def _on_end(self) -> None:
        self._splitter.finish()
        self.ended.set_result(None)

    def close(self) -> None:
        self._reader.close()


async def _run_once(control: Control, command: Command, on_log: OnLog) -> int:
    """Run the command once; gives its status when it has ended and its output is read."""
    stdin = os.open(os.devnull, os.O_RDONLY)
    pipes = [_LogPipe(on_log), _LogPipe(on_log)]
    theirs = [stdin, *(pipe.write_end for pipe in pipes)]
    try:
        try:
            running = await control.run(command, theirs)
        finally:
            for fd in theirs:
                os.close(fd)
        status = await asyncio.shield(running.ended)
        # A process left behind may hold the output; the command's own lines are there by then.
        await asyncio.wait([pipe.ended for pipe in pipes], timeout=_RESTART_SECONDS)
    finally:
        for pipe in pipes:
            pipe.close()
    return status

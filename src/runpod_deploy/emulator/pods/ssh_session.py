"""One SSH session: a shell, a command or a subsystem inside the pod."""

import asyncio
import fcntl
import math
import os
import signal
import struct
import termios
from collections.abc import Callable, Coroutine, Mapping

import asyncssh

from runpod_deploy.emulator.pods.control import Command, Control, PodGoneError, Running
from runpod_deploy.emulator.pods.pumps import FdReader, FdWriter, open_pipe
from runpod_deploy.emulator.ports import Fate, Trouble

_TOO_LONG = 128 * 1024  # what the kernel takes as one argument
_SEND_HIGH_WATER = 1 << 20
_NO_POD_STATUS = 255

Channel = asyncssh.SSHServerChannel[bytes]


class PodSession(asyncssh.SSHServerSession[bytes]):
    """Connects a channel with a command, as sshd does.

    Args:
        control: The pod's PID 1.
        login: The login environment on this connection.
        shell: The login shell.
        subsystems: Programs by the name of their subsystem.
        trouble: Says what goes wrong; None for nothing.
        cut: Cuts every connection of the pod, for so many seconds.
    """

    def __init__(
        self,
        control: Control,
        login: Mapping[str, str],
        shell: str,
        subsystems: Mapping[str, str],
        trouble: Trouble | None = None,
        cut: Callable[[float], None] = lambda _dark: None,
    ) -> None:
        self._control = control
        self._login = login
        self._shell = shell
        self._subsystems = subsystems
        self._trouble = trouble
        self._cut = cut
        self._argv: list[str] = []
        self._file = shell
        self._terminal = False
        self._lost = False
        self._running: Running | None = None
        self._writer: FdWriter | None = None
        self._early: list[bytes] = []
        self._input_ended = False
        self._readers: list[FdReader] = []
        self._open_outputs = 0
        self._status: int | None = None
        self._master: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, chan: Channel) -> None:
        """Keep the channel."""
        self._chan = chan

    def pty_requested(
        self,
        term_type: str,  # noqa: ARG002 - asyncssh's signature; the channel keeps it
        term_size: tuple[int, int, int, int],  # noqa: ARG002 - the same
        term_modes: Mapping[int, int],  # noqa: ARG002 - a new terminal's modes are what a login expects
    ) -> bool:
        """Grant every terminal."""
        self._terminal = True
        return True

    def shell_requested(self) -> bool:
        """Start the login shell."""
        self._argv = [f"-{os.path.basename(self._shell)}"]  # noqa: PTH119 - a path of the pod
        return True

    def exec_requested(self, command: str) -> bool:
        """Start a command through the login shell."""
        if len(command.encode()) >= _TOO_LONG:
            return False
        self._argv = [os.path.basename(self._shell), "-c", command]  # noqa: PTH119 - a path of the pod
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        """Start a subsystem's program inside the pod; refuse one without a program."""
        if subsystem not in self._subsystems:
            return False
        self._file = self._subsystems[subsystem]
        self._argv = [self._file]
        return True

    def session_started(self) -> None:
        """Run what was asked for."""
        self._chan.set_write_buffer_limits(_SEND_HIGH_WATER)
        self._spawn(self._run())

    def data_received(self, data: bytes, datatype: int | None) -> None:  # noqa: ARG002 - clients have one kind
        """Pass on standard input; what comes before the command stands waits for it."""
        self._note_traffic("upload", data)
        if self._writer is not None:
            self._writer.write(data)
        else:
            self._early.append(data)
            self._chan.pause_reading()

    def eof_received(self) -> bool:
        """Close standard input; a terminal has no end of file of its own."""
        self._input_ended = True
        if self._writer is not None and not self._terminal:
            self._writer.finish()
        return True

    def pause_writing(self) -> None:
        """Let the command wait for the client."""
        for reader in self._readers:
            reader.pause()

    def resume_writing(self) -> None:
        """Let the command go on."""
        for reader in self._readers:
            reader.resume()

    def signal_received(self, signal: str) -> None:
        """Pass a signal to the command's process group."""
        number = _signal_number(signal)
        if self._running is not None and number is not None:
            self._spawn(self._running.signal(number))

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        """Resize the terminal; the kernel tells the foreground processes."""
        if self._master is not None:
            size = struct.pack("HHHH", height, width, pixwidth, pixheight)
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason changes nothing
        """Let go of the command: a terminal hangs up, pipes close, and nothing is killed."""
        self._lost = True
        self._release()

    async def _run(self) -> None:
        fate = self._trouble.of_command(self._argv[-1]) if self._trouble else Fate()
        if math.isinf(fate.delay):
            return
        await asyncio.sleep(fate.delay)
        command = Command(
            argv=self._argv,
            file=self._file,
            env=self._environment(),
            cwd="/root",
            terminal=self._chan.get_terminal_size() if self._terminal else None,
        )
        try:
            if self._terminal:
                await self._start_on_terminal(command)
            else:
                await self._start_on_pipes(command)
        except (PodGoneError, OSError) as error:
            if self._control.gone:
                # A pod takes its SSH server with it, so nobody is left to answer.
                self._chan.get_connection().abort()
            elif not self._lost:
                self._chan.write_stderr(f"cannot start a session: {error}\n".encode())
                self._chan.exit(_NO_POD_STATUS)
            return
        if fate.dark is not None:
            self._cut(fate.dark)
        if self._lost:
            self._release()
            return
        assert self._running is not None  # noqa: S101 - both starts set it
        self._status = await asyncio.shield(self._running.ended)
        self._finish()

    async def _start_on_pipes(self, command: Command) -> None:
        pipes = [open_pipe() for _ in range(3)]
        theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
        ours = [pipes[0][1], pipes[1][0], pipes[2][0]]
        try:
            self._running = await self._control.run(command, theirs)
        except BaseException:
            for fd in ours:
                os.close(fd)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        self._attach(ours[0])
        self._read(ours[1], self._chan.write)
        self._read(ours[2], self._chan.write_stderr)

    async def _start_on_terminal(self, command: Command) -> None:
        self._running = await self._control.run(command, ())
        master = self._running.terminal
        assert master is not None  # noqa: S101 - PID 1 answers a terminal's start with its master
        self._master = os.dup(master)
        self._attach(os.dup(master))
        self._read(master, self._chan.write)

    def _attach(self, fd: int) -> None:
        self._writer = FdWriter(fd, self._chan.pause_reading, self._chan.resume_reading)
        for data in self._early:
            self._writer.write(data)
        self._early.clear()
        if self._input_ended and not self._terminal:
            self._writer.finish()
        self._chan.resume_reading()

    def _read(self, fd: int, write: Callable[[bytes], None]) -> None:
        self._open_outputs += 1

        def pass_on(data: bytes) -> None:
            self._note_traffic("pull", data)
            write(data)

        self._readers.append(FdReader(fd, pass_on if self._trouble else write, self._on_output_end))

    def _note_traffic(self, during: str, data: bytes) -> None:
        if self._trouble is None:
            return
        dark = self._trouble.of_traffic(during, len(data))
        if dark is not None:
            self._cut(dark)

    def _on_output_end(self) -> None:
        self._open_outputs -= 1
        self._finish()

    def _finish(self) -> None:
        """Report the end when the command has ended and nobody holds its output any more."""
        if self._status is None or self._open_outputs or self._lost:
            return
        if self._status < 0:
            self._chan.exit_with_signal(_signal_name(-self._status))
        else:
            self._chan.exit(self._status)
        self._release()

    def _release(self) -> None:
        for reader in self._readers:
            reader.close()
        if self._writer is not None:
            self._writer.close()
        if self._master is not None:
            os.close(self._master)
            self._master = None

    def _environment(self) -> dict[str, str]:
        env = dict(self._login)
        env |= {
            name: value
            for name, value in self._chan.get_environment().items()
            if name == "LANG" or name.startswith("LC_")  # what Debian's sshd accepts
        }
        if self._terminal:
            env["TERM"] = self._chan.get_terminal_type() or "dumb"
        return env

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _signal_number(name: str) -> int | None:
    try:
        return int(signal.Signals[f"SIG{name}"])
    except KeyError:
        return None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return f"SIG{number}@runpod-deploy"

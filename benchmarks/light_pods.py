"""An emulated cloud whose pods are SSH servers that only talk: hundreds of them fit into one process.

A program of its own beside what is measured. It prints `{"url": …, "key": …}` once it serves; each job
then prints a line every `--pause` seconds, which begins with the machine's monotonic clock in ns. All
jobs end with the first line on standard input, and the program with the end of it.
"""

import argparse
import asyncio
import contextlib
import json
import re
import sys
import time
from pathlib import Path

import asyncssh

from runpod_deploy.emulator.cloud import EmulatedCloud
from runpod_deploy.emulator.daemon import Server, listen_on
from runpod_deploy.emulator.options import EmulatorOptions
from runpod_deploy.emulator.ports import OnLog, PodSpec

KEY = "rpa_BENCHMARK"
LOOK_SEC = 5.0
PROBE = (
    "NVIDIA L4, 23034, 570.1\n--runpod-deploy--\nCUDA Version: 12.8\n--runpod-deploy--\n"
    "overlay 100000000 10 90000000 1% /\n"
)
_FOLLOW = re.compile(r"tail -c \+(\d+) -F (\S+)")
_REST = re.compile(r"tail -c \+(\d+) \S+ \| head -c (\d+)")


class Job:
    """The one job of a pod: its log is made as it is asked for."""

    def __init__(self, pause: float, over: asyncio.Event) -> None:
        self._pause = pause
        self._over = over
        self._began = False
        self.log = bytearray()
        self.grown = asyncio.Event()
        self.writer: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start to print, once."""
        if self.writer is None:
            self.writer = asyncio.create_task(self._print())

    def report(self) -> str:
        """Say what the supervisor would."""
        if self.writer is None:
            return "lost - 0 -\n"
        state = "exited 0" if self.writer.done() else "running -"
        return f"{state} {len(self.log)} -\n"

    async def _print(self) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            self.log += f"{time.monotonic_ns()} step {number} loss 0.1234 lr 3.0e-4\n".encode()
            self.grown.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), self._pause)
        self.grown.set()


class LightPod:
    """One pod: an SSH server on a port of its own."""

    host_key_fingerprint = ""

    def __init__(self, job: Job, acceptor: asyncssh.SSHAcceptor, key: asyncssh.SSHKey) -> None:
        self._job = job
        self._acceptor = acceptor
        self._stopped = asyncio.Event()
        self.ssh_port = acceptor.get_port()
        self.host_key_fingerprint = key.get_fingerprint()

    async def stop(self) -> None:
        """Close the port."""
        self._acceptor.close()
        if self._job.writer is not None:
            self._job.writer.cancel()
        self._stopped.set()

    async def wait(self) -> int:
        """Wait for `stop`."""
        await self._stopped.wait()
        return 0

    async def drop_connections(self) -> None:
        """Nothing here drops any."""

    async def reopen_ssh(self, **_: object) -> None:
        """Nothing here closes SSH."""

    def open_connections(self) -> int:
        """Nobody asks."""
        return 1


class LightHost:
    """Starts such pods."""

    kind = "light"

    def __init__(self, pause: float, over: asyncio.Event) -> None:
        self._pause = pause
        self._over = over
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")

    async def start(self, spec: PodSpec, on_log: OnLog) -> LightPod:  # noqa: ARG002 - the port's
        """Open its port."""
        job = Job(self._pause, self._over)

        async def serve(process: asyncssh.SSHServerProcess[str]) -> None:
            with contextlib.suppress(BrokenPipeError, ConnectionError, asyncssh.Error):
                process.exit(await answer(job, process))

        acceptor = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[self._host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(spec.env["PUBLIC_KEY"]),
            process_factory=serve,
            encoding="latin-1",
            line_editor=False,
        )
        return LightPod(job, acceptor, self._host_key)

    async def close(self) -> None:
        """Pods are stopped one by one."""


async def answer(job: Job, process: "asyncssh.SSHServerProcess[str]") -> int:
    """Do as a pod would, as far as a run without files asks for it; returns the exit status."""
    command = process.command or ""
    out = process.stdout
    if "supervisor.sh" in command:
        if "supervisor.sh start" in command:
            job.begin()
        if "supervisor.sh wait" in command and job.writer is not None:
            await asyncio.wait([job.writer])
        out.write(job.report())
    elif found := _FOLLOW.search(command):
        await follow(job, int(found[1]) - 1, process, silent="metrics" in found[2])
    elif found := _REST.search(command):
        start = int(found[1]) - 1
        out.write(job.log[start : start + int(found[2])].decode("latin-1"))
    elif "lease.sh" in command:
        out.write("armed curl\n" if " arm " in command else "")
    elif "nvidia-smi" in command:
        out.write(PROBE)
    elif "tar -x" in command:
        await process.stdin.read()
    return 0


async def follow(
    job: Job, sent: int, process: "asyncssh.SSHServerProcess[str]", *, silent: bool
) -> None:
    """Be `tail -F` until the other side hangs up."""
    while not process.is_closing():
        job.grown.clear()
        if not silent and len(job.log) > sent:
            process.stdout.write(job.log[sent:].decode("latin-1"))
            sent = len(job.log)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(job.grown.wait(), LOOK_SEC)


async def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("state", type=Path)
    parser.add_argument("--pause", type=float, default=0.1)
    arguments = parser.parse_args()
    over = asyncio.Event()
    options = EmulatorOptions(idle_seconds=0, capacity=10_000, ready_polls=1)
    cloud = EmulatedCloud(options, arguments.state, LightHost(arguments.pause, over), KEY)
    with listen_on(0) as listener:
        server = Server(cloud, listener)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        async def orders() -> None:
            await asyncio.to_thread(sys.stdin.readline)
            over.set()
            await asyncio.to_thread(sys.stdin.read)
            server.finish()

        waiting = asyncio.create_task(orders())
        await server.run(on_started=lambda: print(json.dumps({"url": url, "key": KEY}), flush=True))
        waiting.cancel()
        await cloud.close()


if __name__ == "__main__":
    asyncio.run(main())

"""A real sshd, a near and a far way to it, rsync and ourselves: what `sync_wire.py` measures with."""

import asyncio
import getpass
import hashlib
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.executor.ports import Endpoint
from runpod_deploy.executor.ssh.connector import AsyncsshConnector
from runpod_deploy.executor.ssh.transport import AsyncsshTransport
from runpod_deploy.executor.sync.download import download
from runpod_deploy.executor.sync.lanes import Lanes
from runpod_deploy.executor.sync.upload import UploadReport, upload

MIB = 1024 * 1024
ONE_WAY_SEC = 0.025
WARM_UP_MIB = 48
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
RELAY = Path(__file__).with_name("delay_relay.py")
_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
LogLevel FATAL
"""
_WORDS = [
    "def",
    "return",
    "import",
    "value",
    "model",
    "train",
    "data",
    "loss",
    "batch",
    "self",
    "optimizer",
    "scale",
]


@dataclass
class Bench:
    """The server, the ports of the ways to it, and a folder for everything."""

    folder: Path
    key: asyncssh.SSHKey
    ports: dict[str, int]

    def rsync(self, way: str, source: str, target: str) -> float:
        """Return the seconds of one `rsync -az`; `far:` stands for the server."""
        host = f"{getpass.getuser()}@127.0.0.1:"
        command = ["rsync", "-az", "-e", " ".join(self._ssh(way))]
        began = time.perf_counter()
        subprocess.run(
            [*command, source.replace("far:", host), target.replace("far:", host)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - began

    def cat(self, way: str, source: Path) -> float:
        """Return the seconds of `ssh cat >/dev/null` fed with a file: the limit of one ssh."""
        host = f"{getpass.getuser()}@127.0.0.1"
        began = time.perf_counter()
        with source.open("rb") as file:
            command = [*self._ssh(way), host, f"cat >{self.folder}/cat"]
            subprocess.run(command, stdin=file, check=True)
        return time.perf_counter() - began

    def _ssh(self, way: str) -> list[str]:
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        flags = [word for option in options for word in ("-o", option)]
        key = ["-F", "none", "-i", str(self.folder / "key"), "-p", str(self.ports[way])]
        return ["ssh", *key, *flags, "-c", "aes128-gcm@openssh.com"]

    def fresh(self, name: str) -> Path:
        """Return a path below the folder at which nothing is."""
        path = self.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        return path

    async def connect(self, way: str) -> AsyncsshTransport:
        """Open one connection of ours."""
        connector = AsyncsshConnector(self.key, self.folder / f"known-{self.ports[way]}")
        to = Endpoint(host="127.0.0.1", port=self.ports[way], username=getpass.getuser())
        return await connector.connect(to, f"pod-{self.ports[way]}", timeout=30)

    def up(
        self, way: str, root: Path, to: Path, entries: Sequence[PayloadEntry], *, warm: bool
    ) -> float:
        """Return the seconds of one upload; warm: after another one over the same connections."""
        return asyncio.run(self._up(way, root, to, entries, warm=warm))

    async def _up(
        self, way: str, root: Path, to: Path, entries: Sequence[PayloadEntry], *, warm: bool
    ) -> float:
        lanes = Lanes(lambda: self.connect(way))
        began = time.perf_counter()
        control = await self.connect(way)
        if warm:
            other = self.folder / "warm-up"
            await send(control, lanes, other, self.fresh("far-warm-up"), entries_of(other))
            began = time.perf_counter()
        await send(control, lanes, root, to, entries)
        took = time.perf_counter() - began
        await lanes.close()
        await control.close()
        return took

    def down(self, way: str, remote: Path, local: Path) -> float:
        """Return the seconds of one pull over connections that are warm."""
        return asyncio.run(self._down(way, remote, local))

    async def _down(self, way: str, remote: Path, local: Path) -> float:
        lanes = Lanes(lambda: self.connect(way))
        control = await self.connect(way)
        await fetch(control, lanes, self.folder / "warm-up", self.fresh("near-warm-up"))
        began = time.perf_counter()
        await fetch(control, lanes, remote, local)
        took = time.perf_counter() - began
        await lanes.close()
        await control.close()
        return took


async def send(
    control: AsyncsshTransport,
    lanes: Lanes,
    root: Path,
    to: Path,
    entries: Sequence[PayloadEntry],
) -> UploadReport:
    """Upload a folder."""
    return await upload(
        control,
        root=root,
        entries=entries,
        destination=str(to),
        delete=False,
        progress=quiet,
        tag="bench",
        lanes=lanes,
    )


async def fetch(control: AsyncsshTransport, lanes: Lanes, remote: Path, local: Path) -> None:
    """Pull a folder whole."""
    report = await download(
        control,
        remote_path=str(remote),
        local=local,
        keep=lambda _path, _folder: True,
        progress=quiet,
        lanes=lanes,
    )
    if report.refused:
        raise SystemExit(f"not measured: {report.refused[0]}")


def quiet(_name: str, _done: int, _total: int) -> None:
    """Take progress and say nothing."""


def entries_of(root: Path) -> list[PayloadEntry]:
    """Return a folder as a plan lists it."""
    found = []
    for path in root.rglob("*"):
        if path.is_file() and path.name != ".runpod-deploy-owned":
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            name, size = path.relative_to(root).as_posix(), path.stat().st_size
            found.append(PayloadEntry(path=name, type="file", size=size, exec=False, sha256=digest))
    return sorted(found, key=lambda entry: entry.path)


def write_small(root: Path, count: int) -> None:
    """Write files of 4 KiB that read like source code."""
    rng = random.Random(7)
    for number in range(count):
        path = root / f"d{number % 100:02}" / f"f{number:05}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(" ".join(rng.choices(_WORDS, k=1200)).encode()[:4096])


def write_random(path: Path, size: int) -> None:
    """Write content that does not shrink."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for start in range(0, size, MIB):
            file.write(os.urandom(min(MIB, size - start)))


@contextmanager
def bench_in(folder: Path) -> Iterator[Bench]:
    """Run a server below `folder`, and the relay that makes it far."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    (folder / "key").write_bytes(key.export_private_key("openssh"))
    (folder / "key").chmod(0o600)
    (folder / "key.pub").write_bytes(key.export_public_key("openssh"))
    host = asyncssh.generate_private_key("ssh-ed25519")
    (folder / "host_key").write_bytes(host.export_private_key("openssh"))
    (folder / "host_key").chmod(0o600)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "sshd_config").write_text(_CONFIG.format(port=port, folder=folder))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    server = subprocess.Popen([SSHD or "sshd", "-D", "-e", "-f", str(folder / "sshd_config")])
    relay = subprocess.Popen(
        [sys.executable, str(RELAY), str(port), str(ONE_WAY_SEC)], stdout=subprocess.PIPE, text=True
    )
    try:
        _wait_for(port)
        far = int((relay.stdout or sys.stdin).readline())
        write_random(folder / "warm-up" / "file", WARM_UP_MIB * MIB)
        yield Bench(folder, key, {"loopback": port, "50 ms": far})
    finally:
        for process in (relay, server):
            process.terminate()
            process.wait()


def _wait_for(port: int) -> None:
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("not measured: sshd does not answer")

"""Transfers over a real sshd whose connections break at random moments, and are made again."""

import asyncio
import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.executor.ports import Endpoint
from runpod_deploy.executor.ssh.connector import AsyncsshConnector
from runpod_deploy.executor.ssh.keys import derive_key, public_line
from runpod_deploy.executor.sync.download import download
from runpod_deploy.executor.sync.lanes import Lanes
from runpod_deploy.executor.sync.upload import upload
from support.cut_wire import CountedTransport, Wire, despite_cuts
from support.openssh import SSHD, openssh_server

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(SSHD is None, reason="needs OpenSSH's sshd on this machine"),
]

KEY = derive_key("an api key", bytes(32))
MIB = 1024 * 1024
CUTS = 20
LARGE_MIB = 48


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    """Return a way to a server of this test alone."""
    folder = tmp_path / "sshd"
    folder.mkdir()
    with openssh_server(folder, public_line(KEY)) as server:
        connector = AsyncsshConnector(KEY, folder / "known_hosts")
        to = Endpoint(host="127.0.0.1", port=server.port, username=server.user)
        yield Wire(lambda: connector.connect(to, "pod1", timeout=60))


def make_tree(root: Path) -> list[PayloadEntry]:
    """Write many small files and a large one; return them as a plan lists them."""
    entries = []
    for number in range(400):
        content = random.Random(number).randbytes(number % 3000)
        entries.append(_write(root, f"d{number % 20:02}/f{number:04}", content))
    entries.append(_write(root, "large", os.urandom(LARGE_MIB * MIB)))
    return sorted(entries, key=lambda entry: entry.path)


def _write(root: Path, name: str, content: bytes) -> PayloadEntry:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return PayloadEntry(path=name, type="file", size=len(content), exec=False, sha256=digest)


def digests(root: Path) -> dict[str, str]:
    """Return the digest of every file, our mark on the pod left out."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and path.name != ".runpod-deploy-owned"
    }


def test_an_upload_is_finished_however_often_it_breaks(wire: Wire, tmp_path: Path) -> None:
    """Every byte arrives, nothing is seen before all is there, and little travels twice."""
    source, far = tmp_path / "source", tmp_path / "far"
    entries = make_tree(source)
    total = sum(entry.size for entry in entries)

    async def work(control: CountedTransport, lanes: Lanes) -> None:
        assert not far.exists()
        await upload(
            control,
            root=source,
            entries=entries,
            destination=str(far),
            delete=False,
            progress=lambda _name, _done, _total: None,
            tag="0123456789abcdef",
            lanes=lanes,
        )

    asyncio.run(despite_cuts(wire, total, CUTS, work))

    assert CUTS == wire.broken
    assert digests(source) == digests(far)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".rd-")] == []
    # A cut costs what was on its way at that moment, and the list of what is there.
    assert wire.carried < total + CUTS * 10 * MIB


def test_a_pull_is_finished_however_often_it_breaks(wire: Wire, tmp_path: Path) -> None:
    """Every byte arrives, no half file ever has its name, and little travels twice."""
    source, back = tmp_path / "source", tmp_path / "back"
    entries = make_tree(source)
    total = sum(entry.size for entry in entries)

    async def work(control: CountedTransport, lanes: Lanes) -> None:
        assert not (back / "large").exists()
        await download(
            control,
            remote_path=str(source),
            local=back,
            keep=lambda _path, _folder: True,
            progress=lambda _name, _done, _total: None,
            lanes=lanes,
        )

    asyncio.run(despite_cuts(wire, total, CUTS, work))

    assert CUTS == wire.broken
    assert digests(source) == digests(back)
    assert list(back.rglob(".rd-*")) == []
    assert wire.carried < total + CUTS * 4 * MIB

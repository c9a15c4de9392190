"""What a plan lists and what lies on the pod afterwards, over random trees and a real sshd."""

import asyncio
import hashlib
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.executor.ports import Endpoint
from runpod_deploy.executor.ssh.connector import AsyncsshConnector
from runpod_deploy.executor.ssh.keys import derive_key, public_line
from runpod_deploy.executor.sync.upload import upload
from runpod_deploy.facts.filters import HYGIENE
from runpod_deploy.facts.payload import find_payload
from support.openssh import SSHD, OpenSshServer, openssh_server

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(SSHD is None, reason="needs OpenSSH's sshd on this machine"),
]

KEY = derive_key("an api key", bytes(32))
TREES = 100
NAMES = (
    *(
        "a",
        "b.py",
        "c.pyc",
        "data",
        "é",
        "a b",
        "-d",
        "new\nline",
        "q'uote",
        "__pycache__",
        "x.log",
    ),
    *(".git", ".hidden", "[x]", "*", "run.sh"),
)
LINES = (
    "*.log",
    "!x.log",
    "data/",
    "/a",
    "*.py[c]",
    "é",
    "**/b.py",
    "a b",
    "\\*",
    "[x]",
    "!data/a",
)
FILTERS = ("*.log", "+ /data/***", "- data/", "/a", "**/b.py", "run.sh", "[[]x]", "new*", "é")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OpenSshServer]:
    """Return a server of this test alone."""
    folder = tmp_path / "sshd"
    folder.mkdir()
    with openssh_server(folder, public_line(KEY)) as running:
        yield running


def grow(root: Path, rng: random.Random, depth: int = 0) -> None:
    """Make a random tree: files, modes, links that stay inside, ignore files."""
    for name in (".gitignore", ".runpodignore"):
        if rng.random() < (0.6 if depth == 0 else 0.2):
            lines = rng.sample(LINES, rng.randint(1, 4))
            (root / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in rng.sample(NAMES, rng.randint(2, 7)):
        path = root / name
        if depth < 3 and rng.random() < 0.4:
            path.mkdir()
            grow(path, rng, depth + 1)
        elif rng.random() < 0.1:
            path.symlink_to(rng.choice([".", "nowhere", "a"]))
        else:
            path.write_bytes(rng.randbytes(rng.choice([0, 1, 3000])))
            path.chmod(rng.choice([0o644, 0o755, 0o600]))


def planned(source: Path, excludes: tuple[str, ...]) -> tuple[PayloadEntry, ...]:
    """Return what a plan lists of a folder."""
    found = find_payload(
        source, excludes, ignore_top=source, gitignore=True, use_cache=False, environ={}
    )
    assert {} == dict(found.obstacles)
    return found.entries


def arrived(folder: Path) -> dict[str, tuple[str, bool, str]]:
    """Return what lies on the pod: name to kind, exec bit, and digest or target."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = ("link", False, str(path.readlink()))
        elif path.is_file() and name != ".runpod-deploy-owned":
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[name] = ("file", bool(path.stat().st_mode & 0o100), digest)
    return found


def test_the_plans_list_and_what_arrived_are_equal(server: OpenSshServer, tmp_path: Path) -> None:
    """File by file, on a hundred random trees, and again after every fourth was changed."""

    async def body() -> None:
        opener = AsyncsshConnector(KEY, server.folder / "known_hosts")
        to = Endpoint(host="127.0.0.1", port=server.port, username=server.user)
        pod = await opener.connect(to, "pod1", timeout=60)
        for seed in range(TREES):
            rng = random.Random(seed)
            source, far = tmp_path / f"s{seed}", tmp_path / f"far{seed}"
            source.mkdir()
            grow(source, rng)
            excludes = (*rng.sample(FILTERS, rng.randint(0, 3)), *HYGIENE)
            for again in (False, True) if seed % 4 == 0 else (False,):
                if again:
                    (source / "a new one").write_bytes(b"new")
                entries = planned(source, excludes)
                await upload(
                    pod,
                    root=source,
                    entries=entries,
                    destination=str(far),
                    delete=True,
                    progress=lambda _name, _done, _total: None,
                )
                listed = {
                    e.path: (e.type, e.exec, e.target if e.type == "link" else e.sha256)
                    for e in entries
                }
                assert listed == arrived(far), (seed, again)
        await pod.close()

    asyncio.run(body())


def test_nothing_that_git_ignores_is_staged(tmp_path: Path) -> None:
    """What git lists as ignored is in no plan, on a hundred random trees."""
    for seed in range(TREES):
        root = tmp_path / str(seed)
        root.mkdir()
        grow(root, random.Random(1000 + seed))
        for own in root.rglob(".git"):
            own.rename(own.with_name("git"))
        subprocess.run(["git", "init", "-q", root], check=True, capture_output=True)
        for unwanted in root.rglob(".runpodignore"):
            unwanted.unlink()
        told = subprocess.run(
            ["git", "ls-files", "-oiz", "--exclude-per-directory=.gitignore"],
            cwd=root,
            check=True,
            capture_output=True,
        )
        ignored = {name.decode() for name in told.stdout.split(b"\0") if name}
        assert set() == ignored & {entry.path for entry in planned(root, HYGIENE)}, seed

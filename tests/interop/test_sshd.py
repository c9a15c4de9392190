"""The SSH adapter and the file movers against a real OpenSSH server on loopback."""

import asyncio
import hashlib
import os
import shlex
import socket
import stat
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import asyncssh
import pytest

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.errors import (
    AuthRejected,
    CommandFailed,
    ConnectFailed,
    ConnectionLost,
    HostKeyChanged,
    StepFailed,
    TransportError,
)
from runpod_deploy.executor.ports import Connector, Endpoint, Transport
from runpod_deploy.executor.ssh.connector import AsyncsshConnector
from runpod_deploy.executor.ssh.keys import derive_key, public_line
from runpod_deploy.executor.sync.download import DownloadReport, download
from runpod_deploy.executor.sync.upload import UploadReport, upload
from support.openssh import SSHD, OpenSshServer, openssh_server

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(SSHD is None, reason="needs OpenSSH's sshd on this machine"),
]

T = TypeVar("T")

KEY = derive_key("an api key", bytes(32))
MIB = 1024 * 1024


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OpenSshServer]:
    """Return a server of this test alone that accepts `KEY`."""
    folder = tmp_path / "sshd"
    folder.mkdir()
    with openssh_server(folder, public_line(KEY)) as running:
        yield running


def endpoint(server: OpenSshServer) -> Endpoint:
    """Return where the server answers."""
    return Endpoint(host="127.0.0.1", port=server.port, username=server.user)


def connector(server: OpenSshServer, key: asyncssh.SSHKey = KEY) -> AsyncsshConnector:
    """Return a connector whose known hosts lie beside the server's files."""
    return AsyncsshConnector(key, server.folder / "known_hosts")


def on_pod(server: OpenSshServer, work: Callable[[Transport], Awaitable[T]]) -> T:
    """Do something over one connection."""

    async def body() -> T:
        opener: Connector = connector(server)
        transport = await opener.connect(endpoint(server), "pod1", timeout=60)
        try:
            return await work(transport)
        finally:
            await transport.close()

    return asyncio.run(body())


def connect(opener: AsyncsshConnector, to: Endpoint, timeout: float = 10) -> str:
    """Connect, close, and return the host key."""

    async def body() -> str:
        transport = await opener.connect(to, "pod1", timeout=timeout)
        try:
            return transport.host_key()
        finally:
            await transport.close()

    return asyncio.run(body())


def eventually(true: Callable[[], bool]) -> bool:
    """Wait a bounded time for something to become true."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False


def group_lives(group: int) -> bool:
    """Tell whether a process group has members that are more than zombies."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False


def test_the_first_login_enrols_the_host_key(server: OpenSshServer) -> None:
    """After one connection the key lies in the run's file, and the next one accepts it."""
    shown = connect(connector(server), endpoint(server))
    known = server.folder / "known_hosts"
    assert known.read_text() == f"runpod-pod1 {shown}\n"
    assert stat.S_IMODE(known.stat().st_mode) == 0o600
    assert connect(connector(server), endpoint(server)) == shown


def test_another_host_key_is_refused(server: OpenSshServer) -> None:
    """Where another machine answers, nothing is sent and both fingerprints are shown."""
    opener = connector(server)
    old = asyncssh.import_public_key(connect(opener, endpoint(server))).get_fingerprint()
    server.stop()
    server.new_host_key()
    server.start()
    new = asyncssh.read_public_key(server.folder / "host_key").get_fingerprint()
    with pytest.raises(HostKeyChanged) as caught:
        connect(opener, endpoint(server))
    assert old in str(caught.value)
    assert new in str(caught.value)


def test_a_foreign_key_is_rejected_and_enrols_nothing(server: OpenSshServer) -> None:
    """A server that does not know our key may be another tenant's: it leaves no trace."""
    with pytest.raises(AuthRejected):
        connect(connector(server, derive_key("another", bytes(32))), endpoint(server))
    assert not (server.folder / "known_hosts").exists()


def test_an_extra_key_is_a_way_in(server: OpenSshServer) -> None:
    """The user's own key opens the pod when the run's does not."""
    opener = AsyncsshConnector(
        derive_key("rotated", bytes(32)), server.folder / "known_hosts", [KEY]
    )
    assert connect(opener, endpoint(server)).startswith("ssh-ed25519 ")


def test_nobody_there_is_a_failed_connection() -> None:
    """A refused connection is told at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        to = Endpoint(host="127.0.0.1", port=taken.getsockname()[1])
        with pytest.raises(ConnectFailed, match="refused"):
            connect(AsyncsshConnector(KEY, Path("/nowhere/known_hosts")), to)


@contextmanager
def speaking(words: bytes | None) -> Iterator[Endpoint]:
    """Run a server that is not SSH: it says `words`, or nothing, and keeps the line open."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lines: list[socket.socket] = []

        def accept() -> None:
            line, _ = listener.accept()
            lines.append(line)
            if words:
                line.sendall(words)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield Endpoint(host="127.0.0.1", port=listener.getsockname()[1])
        finally:
            thread.join()
            for line in lines:
                line.close()


@pytest.mark.parametrize("words", [None, b"SSH-2.0-x\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_the_time_limit_covers_the_whole_handshake(tmp_path: Path, words: bytes | None) -> None:
    """A port that is open but never becomes SSH ends after the given time, not later."""
    began = time.monotonic()
    with speaking(words) as to, pytest.raises(ConnectFailed):
        connect(AsyncsshConnector(KEY, tmp_path / "k"), to, timeout=0.5)
    assert time.monotonic() - began < 5


def test_the_users_own_ssh_setup_takes_no_part(
    server: OpenSshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys, configuration, known hosts and agent of the user neither help nor hinder."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "config").write_text("Host *\n  Port 1\n  ProxyCommand false\n  Bogus yes\n")
    (home / ".ssh" / "id_ed25519").write_bytes(KEY.export_private_key())
    (home / ".ssh" / "known_hosts").write_text("this is no known_hosts file\n")
    (home / ".ssh" / "ca-bundle.crt").write_text("no certificates\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "no-agent"))
    connect(connector(server), endpoint(server))
    assert (home / ".ssh" / "known_hosts").read_text() == "this is no known_hosts file\n"
    with pytest.raises(AuthRejected):
        connect(
            AsyncsshConnector(derive_key("another", bytes(32)), tmp_path / "k"), endpoint(server)
        )


def test_a_command_gives_both_outputs_and_its_status(server: OpenSshServer) -> None:
    """Bytes go in and come out as they are."""
    data = bytes(range(256)) * 1000
    done = on_pod(server, lambda pod: pod.run("cat; printf '\\377' >&2; exit 3", stdin=data))
    assert (done.exit_status, done.stdout, done.stderr) == (3, data, b"\xff")


def test_a_command_without_input_reads_none(server: OpenSshServer) -> None:
    """Standard input is empty and not open for ever."""
    assert on_pod(server, lambda pod: pod.run("wc -c")).stdout.strip() == b"0"


def test_a_command_that_reads_nothing_ends_all_the_same(server: OpenSshServer) -> None:
    """Input that nobody takes does not hide the exit status."""
    done = on_pod(server, lambda pod: pod.run("exit 5", stdin=bytes(32 * MIB)))
    assert done.exit_status == 5


def test_a_signal_is_told_apart(server: OpenSshServer) -> None:
    """A command that a signal ended has the status -1."""
    assert on_pod(server, lambda pod: pod.run("kill -9 $$")).exit_status == -1


def test_a_timeout_kills_the_command(server: OpenSshServer, tmp_path: Path) -> None:
    """After the time the whole process group over there is gone, and the connection lives."""
    pid = tmp_path / "pid"

    async def work(pod: Transport) -> bytes:
        with pytest.raises(TimeoutError, match="within"):
            await pod.run(f"echo $$ >{shlex.quote(str(pid))}; sleep 300; true", timeout=1)
        return (await pod.run("echo alive")).stdout

    assert on_pod(server, work) == b"alive\n"
    group = int(pid.read_text())
    assert eventually(lambda: not group_lives(group))


def test_a_command_that_ignores_the_signal_does_not_hold_us(server: OpenSshServer) -> None:
    """A time limit is kept even against a command that will not go."""
    began = time.monotonic()

    async def work(pod: Transport) -> None:
        with pytest.raises(TimeoutError):
            await pod.run(
                "trap '' TERM; i=0; while [ $i -lt 30 ]; do sleep 0.2; i=$((i+1)); done",
                timeout=0.5,
            )

    on_pod(server, work)
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("where", ["", " >&2"])
def test_too_much_output_is_an_error(server: OpenSshServer, where: str) -> None:
    """More than 16 MiB on either output ends the command with a clear cause."""

    async def work(pod: Transport) -> None:
        await pod.run(f"head -c {17 * MIB} /dev/zero{where}; sleep 60")

    with pytest.raises(StepFailed, match="more than 16 MiB") as caught:
        on_pod(server, work)
    assert caught.value.cause == "remote_output"


def test_a_stream_arrives_as_it_is_written(server: OpenSshServer) -> None:
    """The first line is here long before the command ends."""

    async def work(pod: Transport) -> bytes:
        stream = pod.stream("echo first; sleep 20; echo second")
        async for chunk in stream:
            return chunk
        return b""

    assert on_pod(server, work) == b"first\n"


def test_closing_a_stream_ends_its_command(server: OpenSshServer, tmp_path: Path) -> None:
    """Who stops reading does not leave a process behind."""
    pid = tmp_path / "pid"

    async def work(pod: Transport) -> int:
        stream = pod.stream(
            f"echo $$ >{shlex.quote(str(pid))}; while :; do echo x; sleep 0.05; done"
        )
        async for _ in stream:
            break
        await stream.aclose()
        return (await pod.run("true")).exit_status

    assert on_pod(server, work) == 0
    assert eventually(lambda: not group_lives(int(pid.read_text())))


def test_a_failing_stream_says_why(server: OpenSshServer) -> None:
    """What was written still comes, then the status and the first words of the error."""
    got: list[bytes] = []

    async def work(pod: Transport) -> None:
        stream = pod.stream("echo some; echo '\x1b[31mno such thing' >&2; exit 4")
        got.append(await anext(stream))
        await anext(stream)

    with pytest.raises(CommandFailed, match="no such thing") as caught:
        on_pod(server, work)
    assert got == [b"some\n"]
    assert caught.value.exit_status == 4
    assert "\x1b" not in str(caught.value)


def test_a_stream_with_a_noisy_error_output_does_not_stall(server: OpenSshServer) -> None:
    """Both outputs share one window; the one that nobody reads is drained all the same."""

    async def work(pod: Transport) -> int:
        command = f"head -c {32 * MIB} /dev/zero >&2; head -c {MIB} /dev/zero"
        return sum([len(chunk) async for chunk in pod.stream(command)])

    assert on_pod(server, work) == MIB


def test_what_the_input_raises_comes_back(server: OpenSshServer) -> None:
    """An error on this side ends the command and is not mistaken for one of the pod."""

    async def breaking() -> AsyncIterator[bytes]:
        yield b"x"
        msg = "the disk here failed"
        raise OSError(msg)

    async def work(pod: Transport) -> None:
        await pod.run("trap '' TERM; cat >/dev/null; sleep 5", stdin=breaking())

    began = time.monotonic()
    with pytest.raises(OSError, match="the disk here failed"):
        on_pod(server, work)
    assert time.monotonic() - began < 4


def test_a_killed_connection_is_lost(server: OpenSshServer) -> None:
    """A command in progress ends with ConnectionLost, and so does every later one."""

    async def work(pod: Transport) -> None:
        command = pod.run("sleep 30")
        running = asyncio.ensure_future(command)
        await asyncio.sleep(0.3)
        await pod.run("kill -9 $(ps -o ppid= -p $PPID) $PPID", timeout=10)

        await running

    with pytest.raises(ConnectionLost):
        on_pod(server, work)


def test_after_close_nothing_works(server: OpenSshServer) -> None:
    """A closed transport says so and can be closed again."""

    async def work(pod: Transport) -> None:
        await pod.close()
        await pod.close()
        await pod.run("true")

    with pytest.raises(ConnectionLost):
        on_pod(server, work)


def test_a_full_server_is_told(server: OpenSshServer, tmp_path: Path) -> None:
    """A session too many is an error of its own kind, and what runs already runs on."""

    async def work(pod: Transport) -> list[bytes]:
        wait = f"while [ ! -e {shlex.quote(str(tmp_path))}/go ]; do sleep 0.05; done"
        streams = [pod.stream(f"echo x; {wait}; echo y") for _ in range(10)]
        for stream in streams:
            await anext(stream)
        with pytest.raises(TransportError, match="refused to start"):
            await pod.run("true")
        (tmp_path / "go").touch()
        return [await anext(stream) for stream in streams]

    assert on_pod(server, work) == [b"y\n"] * 10


def test_cancelling_ends_the_command(server: OpenSshServer, tmp_path: Path) -> None:
    """A cancelled task leaves no process behind on the pod."""
    pid = tmp_path / "pid"

    async def work(pod: Transport) -> None:
        task = asyncio.ensure_future(pod.run(f"echo $$ >{shlex.quote(str(pid))}; exec sleep 300"))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await pod.run("true")).exit_status == 0

    on_pod(server, work)
    assert eventually(lambda: not group_lives(int(pid.read_text())))


# Files


def payload(root: Path) -> list[PayloadEntry]:
    """Return the payload of a folder as a plan would list it."""
    entries = []
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            text = os.readlink(path)  # noqa: PTH115 - a Path would tidy the text up
            entries.append(
                PayloadEntry(
                    path=name,
                    type="link",
                    size=len(text.encode()),
                    exec=False,
                    sha256=hashlib.sha256(text.encode()).hexdigest(),
                    target=text,
                )
            )
        elif path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            status = path.stat()
            entries.append(
                PayloadEntry(
                    path=name,
                    type="file",
                    size=status.st_size,
                    exec=bool(status.st_mode & 0o100),
                    sha256=digest,
                )
            )
    return sorted(entries, key=lambda entry: entry.path.encode())


def send(
    server: OpenSshServer, root: Path, to: Path | str, *, delete: bool = False
) -> UploadReport:
    """Upload a folder."""
    entries = payload(root)
    return on_pod(
        server,
        lambda pod: upload(
            pod,
            root=root,
            entries=entries,
            destination=str(to),
            delete=delete,
            progress=lambda _name, _done, _total: None,
        ),
    )


def fetch(server: OpenSshServer, remote: Path, local: Path) -> DownloadReport:
    """Download everything."""
    return on_pod(
        server,
        lambda pod: download(
            pod,
            remote_path=str(remote),
            local=local,
            keep=lambda _path, _folder: True,
            progress=lambda _name, _done, _total: None,
        ),
    )


def hostile_tree(root: Path) -> None:
    """Make a tree whose names and kinds break careless tools."""
    names = [
        "plain",
        " leading and trailing ",
        "new\nline",
        "tab\tand\\backslash",
        "-rf",
        "--help",
        "-",
        "sub/-x/deep",
        "ünï/çödé/日本",
        "quote'and\"double",
        "$(touch pwned)`id`;&|",
        "*?[a]{b}~",
        "carriage\rreturn",
        "\x1b[31mred",
        ".hidden/.file",
        "n" * 255,
        "/".join(["d" * 60] * 5) + "/deep",
    ]
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"content of {name!r}\n".encode() * 3)
    (root / "empty").write_bytes(b"")
    (root / "run me").write_bytes(b"#!/bin/sh\n")
    (root / "run me").chmod(0o755)
    (root / "link to\nline").symlink_to("new\nline")
    (root / "sub" / "up").symlink_to("../plain")
    (root / "dangling").symlink_to("nowhere")


def test_a_hostile_tree_goes_there_and_back(server: OpenSshServer, tmp_path: Path) -> None:
    """Names with anything in them, links, exec bits and empty files come back equal."""
    source, far, back = tmp_path / "source", tmp_path / "far away" / "it's", tmp_path / "back"
    source.mkdir()
    hostile_tree(source)
    report = send(server, source, far)
    assert report.created
    assert [path.name for path in far.parent.iterdir()] == ["it's"]
    assert payload(source) == [e for e in payload(far) if e.path != ".runpod-deploy-owned"]
    got = fetch(server, far, back)
    assert got.refused == ()
    assert payload(source) == payload(back)
    expected = {e.path: e.sha256 for e in payload(source) if e.type == "file"}
    assert {str(e["path"]): e["sha256"] for e in got.entries} == expected


def test_a_second_upload_merges(server: OpenSshServer, tmp_path: Path) -> None:
    """Files are replaced, others stay, and with `delete` what is not in the payload goes."""
    source, far = tmp_path / "source", tmp_path / "far"
    source.mkdir()
    hostile_tree(source)
    send(server, source, far)
    (far / "job made this").write_bytes(b"x")
    (far / "sub" / "left\nover").mkdir()
    (source / "plain").write_bytes(b"new content")
    (source / "sub" / "added").write_bytes(b"more")
    assert not send(server, source, far).created
    assert (far / "plain").read_bytes() == b"new content"
    assert (far / "job made this").exists()
    report = send(server, source, far, delete=True)
    assert report.deleted == ("job made this", "sub/left\nover")
    assert payload(source) == [e for e in payload(far) if e.path != ".runpod-deploy-owned"]


def test_delete_spares_a_folder_that_is_not_ours(server: OpenSshServer, tmp_path: Path) -> None:
    """A destination that was there before keeps everything."""
    source, far = tmp_path / "source", tmp_path / "far"
    source.mkdir()
    far.mkdir()
    (source / "a").write_bytes(b"1")
    (far / "theirs").write_bytes(b"2")
    report = send(server, source, far, delete=True)
    assert report.foreign
    assert sorted(path.name for path in far.iterdir()) == ["a", "theirs"]


@pytest.mark.parametrize("conflict", ["folder for file", "file for folder", "file as destination"])
def test_a_conflict_is_found_before_anything_moves(
    server: OpenSshServer, tmp_path: Path, conflict: str
) -> None:
    """A folder in a file's place, or the reverse, is named and nothing at all was changed."""
    source, far = tmp_path / "source", tmp_path / "far"
    (source / "z").mkdir(parents=True)
    (source / "a").write_bytes(b"new")
    (source / "z" / "b").write_bytes(b"new")
    if conflict == "file as destination":
        far.write_bytes(b"old")
    else:
        far.mkdir()
        (far / "a").write_bytes(b"old")
        if conflict == "folder for file":
            (far / "z" / "b").mkdir(parents=True)
        else:
            (far / "z").write_bytes(b"old")
    with pytest.raises(StepFailed, match="far") as caught:
        send(server, source, far)
    assert caught.value.cause == "destination_conflict"
    if far.is_dir():
        assert (far / "a").read_bytes() == b"old"
        assert sorted(path.name for path in far.iterdir()) == ["a", "z"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".rd-")]


def test_a_changed_file_leaves_nothing_over_there(server: OpenSshServer, tmp_path: Path) -> None:
    """A payload that is not as planned ends the upload before anything is visible."""
    source, far = tmp_path / "source", tmp_path / "parent" / "far"
    source.mkdir()
    (source / "a").write_bytes(b"1" * 3 * MIB)
    (source / "b").write_bytes(b"2")
    entries = payload(source)
    (source / "b").write_bytes(b"3")

    async def work(pod: Transport) -> None:
        await upload(
            pod,
            root=source,
            entries=entries,
            destination=str(far),
            delete=False,
            progress=lambda _name, _done, _total: None,
        )

    with pytest.raises(StepFailed) as caught:
        on_pod(server, work)
    assert caught.value.cause == "payload_changed"
    assert eventually(lambda: not far.parent.exists() or list(far.parent.iterdir()) == [])


def test_a_single_file_goes_to_its_place(server: OpenSshServer, tmp_path: Path) -> None:
    """A source that is a file becomes the destination, or lies in it after a slash."""
    source = tmp_path / "model.bin"
    source.write_bytes(b"weights")
    entry = PayloadEntry(
        path="",
        type="file",
        size=7,
        exec=False,
        sha256=hashlib.sha256(b"weights").hexdigest(),
    )
    for destination in (f"{tmp_path}/far/renamed", f"{tmp_path}/far/folder/"):
        on_pod(
            server,
            lambda pod, to=destination: upload(
                pod,
                root=source,
                entries=[entry],
                destination=to,
                delete=False,
                progress=lambda _name, _done, _total: None,
            ),
        )
    far = tmp_path / "far"
    found = sorted(p.relative_to(far).as_posix() for p in far.rglob("*") if p.is_file())
    assert found == ["folder/model.bin", "renamed"]
    assert fetch(server, far / "renamed", tmp_path / "home").files == 1
    assert (tmp_path / "home").read_bytes() == b"weights"


def test_an_upload_that_arrives_broken_is_not_moved(server: OpenSshServer, tmp_path: Path) -> None:
    """A tar over there that writes other bytes is found out by the digests."""
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "tar").write_text(
        '#!/bin/sh\n/bin/tar "$@" || exit\nfor f do d=$f; done\n'
        '[ ! -d "$d/tree" ] || d=$d/tree\necho spoilt >"$d/a"\n'
    )
    (fake / "tar").chmod(0o755)
    source, far = tmp_path / "source", tmp_path / "far"
    source.mkdir()
    (source / "a").write_bytes(b"good")
    entries = payload(source)

    class Detour:
        """A transport on whose pod another tar comes first."""

        def __init__(self, pod: Transport) -> None:
            self.pod = pod

        def __getattr__(self, name: str) -> object:
            return getattr(self.pod, name)

        def stream(self, command: str, **rest: object) -> AsyncIterator[bytes]:
            if "none 0" in command:
                command = "printf 'none 0\\n'"  # what a pod without python3 says
            return self.pod.stream(f"PATH={fake}:$PATH {command}", **rest)

    async def work(pod: Transport) -> None:
        await upload(
            Detour(pod),
            root=source,
            entries=entries,
            destination=str(far),
            delete=False,
            progress=lambda _name, _done, _total: None,
        )

    with pytest.raises(StepFailed, match=r"\./a") as caught:
        on_pod(server, work)
    assert caught.value.cause == "verify_failed"
    assert not far.exists()


def test_the_far_side_may_have_only_python(server: OpenSshServer, tmp_path: Path) -> None:
    """Without find -printf and sha256sum -z, python3 lists and hashes the same."""
    fake = tmp_path / "bin"
    fake.mkdir()
    for tool, option in (("find", "-printf"), ("sha256sum", "-z")):
        script = (
            f'#!/bin/sh\ncase " $* " in *" {option} "*) exit 1 ;; esac\nexec /usr/bin/{tool} "$@"\n'
        )
        (fake / tool).write_text(script)
        (fake / tool).chmod(0o755)
    source, far, back = tmp_path / "source", tmp_path / "far", tmp_path / "back"
    source.mkdir()
    hostile_tree(source)
    entries = payload(source)

    class Poor:
        """A transport whose pod lacks the GNU options."""

        def __init__(self, pod: Transport) -> None:
            self.pod = pod

        async def run(self, command: str, **rest: object) -> object:
            return await self.pod.run(f"PATH={fake}:$PATH {command}", **rest)

        def stream(self, command: str, **rest: object) -> AsyncIterator[bytes]:
            return self.pod.stream(f"PATH={fake}:$PATH {command}", **rest)

    async def work(pod: Transport) -> DownloadReport:
        poor = Poor(pod)
        await upload(
            poor,
            root=source,
            entries=entries,
            destination=str(far),
            delete=False,
            progress=lambda _name, _done, _total: None,
        )
        return await download(
            poor,
            remote_path=str(far),
            local=back,
            keep=lambda _path, _folder: True,
            progress=lambda _name, _done, _total: None,
        )

    assert on_pod(server, work).refused == ()
    assert payload(source) == payload(back)


def test_what_cannot_be_taken_is_told(server: OpenSshServer, tmp_path: Path) -> None:
    """Pipes, sockets, names that are not UTF-8 and links that leave are refused, the rest comes."""
    far = tmp_path / "far"
    far.mkdir()
    (far / "good").write_bytes(b"1")
    os.mkfifo(far / "pipe")
    (far / "out").symlink_to("/etc/passwd")
    (far / "up").symlink_to("../secret")
    (far / os.fsdecode(b"latin-\xe9")).write_bytes(b"2")
    os.link(far / "good", far / "twin")
    report = fetch(server, far, tmp_path / "back")
    assert [entry["path"] for entry in report.entries] == ["good", "twin"]
    assert [entry["path"] for entry in report.refused] == ["latin-\\udce9", "out", "pipe", "up"]


def test_a_missing_path_is_missing(server: OpenSshServer, tmp_path: Path) -> None:
    """What does not exist over there is told without an error."""
    assert fetch(server, tmp_path / "nothing", tmp_path / "back").missing


def test_three_thousand_files_and_a_large_one(server: OpenSshServer, tmp_path: Path) -> None:
    """Many small files and one of 64 MiB arrive equal both ways."""
    source, far, back = tmp_path / "source", tmp_path / "far", tmp_path / "back"
    for number in range(3000):
        path = source / f"d{number % 50:02}" / f"f{number:04}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hashlib.sha256(str(number).encode()).digest() * (number % 64))
    (source / "large").write_bytes(os.urandom(64 * MIB))
    send(server, source, far)
    report = fetch(server, far, back)
    assert report.files == 3001
    assert payload(source) == payload(back)


def test_a_second_upload_sends_what_differs(server: OpenSshServer, tmp_path: Path) -> None:
    """Equal files stay, a changed one, another mode and another link go, and nothing means nothing."""
    source, far = tmp_path / "source", tmp_path / "far"
    source.mkdir()
    hostile_tree(source)
    (source / "large").write_bytes(os.urandom(9 * MIB))
    first = send(server, source, far)
    assert (first.unchanged, first.created) == (0, True)
    before = {path: path.lstat().st_ino for path in far.rglob("*")}
    again = send(server, source, far)
    assert (again.files, again.links, again.unchanged) == (0, 0, len(payload(source)))
    assert again.sent < 16_000
    assert {path: path.lstat().st_ino for path in far.rglob("*")} == before
    (source / "plain").write_bytes(b"other")
    (source / "run me").chmod(0o644)
    (source / "dangling").unlink()
    (source / "dangling").symlink_to("nowhere else")
    third = send(server, source, far)
    assert (third.files, third.links) == (2, 1)
    assert payload(source) == [e for e in payload(far) if e.path != ".runpod-deploy-owned"]


def test_times_and_modes_travel(server: OpenSshServer, tmp_path: Path) -> None:
    """Small files and those in pieces keep their time and git's bit, and are the user's over there."""
    source, far = tmp_path / "source", tmp_path / "far"
    source.mkdir()
    for name, content in (("small", b"1"), ("large", os.urandom(9 * MIB))):
        (source / name).write_bytes(content)
        (source / name).chmod(0o711)
        os.utime(source / name, (1_500_000_000, 1_500_000_000))
    (source / "twin").write_bytes((source / "large").read_bytes())
    send(server, source, far)
    for name in ("small", "large"):
        status = (far / name).stat()
        assert (status.st_mtime, stat.S_IMODE(status.st_mode)) == (1_500_000_000, 0o755)
        assert status.st_uid == os.geteuid()
    assert payload(source) == [e for e in payload(far) if e.path != ".runpod-deploy-owned"]

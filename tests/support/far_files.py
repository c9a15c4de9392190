"""The far side of a file transfer, in memory, as honest or as hostile as a test wants."""

import hashlib
import shlex
import tarfile
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from runpod_deploy.errors import CommandFailed, ConnectionLost, TransportError
from runpod_deploy.executor.ports import Completed, Reader, Writer
from support.far_agent import FarAgent

Row = tuple[str, int, str, str]


def tar_member(name: str, content: bytes, *, mode: int = 0o644) -> bytes:
    """Return a regular file as GNU tar writes it."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    head = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    return head + content + bytes(-len(content) % 512)


@dataclass
class FarFiles:
    """A transport whose pod holds `files`.

    Attributes:
        files: Name to content, as tar and sha256sum read it now.
        rows: What listings say, `(letter, size, target, name)`, one list for each listing, the last
            for all further ones; None lists `files` as they are.
        kind: What the remote path is: `d`, `f`, `o` or `m`.
        trailer: How a listing ends.
        programs: What the pod can compress with.
        stamp: Mode, times and inode of every file.
        archive: What tar sends instead of what was asked for.
        digests: What sha256sum sends instead.
        ranges: Ranges of large files that were asked for: (name, offset, length).
        cut_range_after: Breaks the connection after so many bytes of a range.
        hashed: Names that were hashed on the pod.
        asked: Names that tar was asked for, one list for each call.
        done: Answer to `run`.
        sent: Standard input of `run`.
        commands: Commands of `run` and of uploads.
        agent: Takes uploads.
        failure: How the far side of an upload ends instead: status and words.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    rows: list[list[Row]] | None = None
    kind: str = "d"
    trailer: bytes = b"E0\0\0"
    programs: str = ""
    stamp: str = "644 1600000000.5 1600000001.5 7"
    archive: bytes | None = None
    digests: bytes | None = None
    listing: bytes | None = None
    asked: list[list[str]] = field(default_factory=list)
    cut_range_after: int | None = None
    hashed: list[str] = field(default_factory=list)
    ranges: list[tuple[str, int, int]] = field(default_factory=list)
    done: Completed = field(
        default_factory=lambda: Completed(exit_status=0, stdout=b"created\n", stderr=b"")
    )
    sent: bytes = b""
    commands: list[str] = field(default_factory=list)
    agent: FarAgent = field(default_factory=FarAgent)
    failure: tuple[int, str] | None = None

    async def run(
        self,
        command: str,
        *,
        stdin: bytes | AsyncIterator[bytes] | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the port has it
    ) -> Completed:
        """Take in what is sent and answer `done`."""
        self.commands.append(command)
        self.sent = await _all(stdin)
        return self.done

    async def stream(
        self, command: str, *, stdin: bytes | AsyncIterator[bytes] | None = None
    ) -> AsyncIterator[bytes]:
        """Answer a listing, a tar, a sha256sum or an upload."""
        if "none 0" in command:
            # The script of `far/`: this pod has no python3.
            yield b"none 0\n"
            return
        if "serve" in command:
            async for answer in self._upload(command, stdin):
                yield answer
            return
        answer = self._answer(command, await _all(stdin))
        step = 700 if len(answer) < 1 << 20 else 65536
        for start in range(0, len(answer), step):
            if "skip_bytes" in command and start >= (self.cut_range_after or len(answer)):
                raise ConnectionLost("cut")
            yield answer[start : start + step]

    async def _upload(
        self, command: str, stdin: bytes | AsyncIterator[bytes] | None
    ) -> AsyncIterator[bytes]:
        self.commands.append(command)
        assert isinstance(stdin, AsyncIterator)
        async for answer in self.agent.serve(stdin):
            if self.failure is not None and not answer.startswith(b"have"):
                break
            yield answer
        if self.failure is not None:
            status, words = self.failure
            raise CommandFailed(
                f"a command on pod ended with status {status}: {words}", exit_status=status
            )

    def _answer(self, command: str, stdin: bytes) -> bytes:
        names = [name.decode()[2:] for name in stdin.split(b"\0") if name]
        if "-printf" in command:
            return self._list(names)
        if "exec python3 -c" in command:
            return self._blocks(command)
        if "skip_bytes" in command:
            return self._range(command)
        if "tar -c" in command:
            self.asked.append(names)
            return self._tar(names)
        if "sha256sum" in command:
            return self._digests(names)
        raise CommandFailed(f"not known here: {command}", exit_status=127)

    async def dial(self, port: int) -> tuple[Reader, Writer]:
        """Open a connection to a port."""
        raise TransportError(f"nobody listens on port {port} of the pod")

    def host_key(self) -> str:
        """Return no key."""
        return ""

    def latency(self) -> float:
        """Return nothing."""
        return 0.0

    async def close(self) -> None:
        """Do nothing."""

    def _list(self, asked: list[str]) -> bytes:
        if self.listing is not None:
            return self.listing
        if self.rows is None:
            rows = [("f", len(content), "", name) for name, content in self.files.items()]
        else:
            rows = self.rows.pop(0) if len(self.rows) > 1 else self.rows[0]
        text = f"{self.kind}\0{self.programs}\0" + "".join(
            f"{letter}\0{size}\0{self.stamp}\0{target}\0{name}\0"
            for letter, size, target, name in rows
        )
        told = [name for name in asked if name in self.files]
        return text.encode("utf-8", "surrogateescape") + self.trailer + self._digests(told)

    def _range(self, command: str) -> bytes:
        *_, name, start, length, codec = shlex.split(command)
        self.ranges.append((name[2:], int(start), int(length)))
        content = self.files[name[2:]][int(start) : int(start) + int(length)]
        return zlib.compress(content, wbits=31) if codec == "gzip" else content

    def _blocks(self, command: str) -> bytes:
        *_, name, size = shlex.split(command)
        content, step = self.files[name[2:]], int(size)
        blocks = [content[at : at + step] for at in range(0, len(content), step)]
        return b"".join(hashlib.sha256(one).hexdigest().encode() + b"\0" for one in blocks)

    def _tar(self, names: list[str]) -> bytes:
        if self.archive is not None:
            return self.archive
        members = [
            tar_member(f"./{name}", self.files[name]) for name in names if name in self.files
        ]
        return b"".join(members) + bytes(10240)

    def _digests(self, names: list[str]) -> bytes:
        if self.digests is not None:
            return self.digests
        self.hashed += names
        return b"".join(
            f"{hashlib.sha256(self.files[name]).hexdigest()}  ./{name}\0".encode()
            for name in names
            if name in self.files
        )


async def _all(stdin: bytes | AsyncIterator[bytes] | None) -> bytes:
    if stdin is None or isinstance(stdin, bytes):
        return stdin or b""
    return b"".join([piece async for piece in stdin])

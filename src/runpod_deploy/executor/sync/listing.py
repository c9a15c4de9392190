"""What lies below a path on the pod: type, size and name of each entry, whatever the names hold."""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal

from runpod_deploy.errors import StepFailed
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.remote import call, digests, plain_path
from runpod_deploy.executor.sync.worker import Workers
from runpod_deploy.executor.untrusted import printable

MOST_ENTRIES = 2_000_000

_LONGEST_FIELD = 64 * 1024
_GONE = "No such file or directory"


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteEntry:
    """One entry, its path relative to the listed folder.

    Attributes:
        kind: find's letter: `f` file, `d` folder, `l` symbolic link, others are special files.
        target: Of a symbolic link, else empty.
        stamp: Mode, times and inode: as long as it is the same, the content is most likely, too.
    """

    path: str
    kind: str
    size: int
    target: str
    stamp: str = ""

    @property
    def executable(self) -> bool:
        """Whether the owner may execute it."""
        mode = self.stamp.partition(" ")[0]
        return (
            mode.isdigit()
            and mode.isascii()
            and "8" not in mode
            and "9" not in mode
            and bool(int(mode, 8) & 0o100)
        )

    @property
    def mtime(self) -> float:
        """Modification time in seconds since the epoch; 0 when the pod told none."""
        try:
            return float(self.stamp.split(" ")[1])
        except (IndexError, ValueError):
            return 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """A listed path; names that are not UTF-8 hold surrogates.

    Attributes:
        entries: Of a folder: everything below it. Of a file: the file alone, under its own name.
        unreadable: What find could not look into, in its words.
        programs: What the pod can compress with: `zstd`, `gzip`.
        digests: Of the files that were asked for and are there: name to sha256.
    """

    kind: Literal["folder", "file", "special", "missing"]
    entries: tuple[RemoteEntry, ...]
    unreadable: tuple[str, ...]
    programs: frozenset[str] = frozenset()
    digests: Mapping[str, str] = field(default_factory=dict)


async def list_remote(
    transport: Transport,
    path: str,
    asked: Mapping[str, int] | None = None,
    workers: Workers | None = None,
) -> Listing:
    """List `path` on the pod; a symbolic link at `path` itself is followed, none below it.

    Args:
        transport: Connection to the pod.
        path: What to list.
        asked: Names of files whose digests are wanted as well, and their sizes as far as known,
            which decides how they are hashed there.
        workers: Has our script over the connection, where the pod can run it; None: a shell is used.

    Raises:
        StepFailed: The listing came incomplete, is no listing, or has too many entries.
    """
    asked = asked or {}
    names = b"".join(b"./" + os.fsencode(name) + b"\0" for name in asked)
    agent = await workers.of(transport) if workers is not None else None
    stream: AsyncIterator[bytes]
    if agent is not None:
        agent.doing = f"listing {path}"
        stream = _told(agent.flow("list", os.fsencode(path) + b"\0" + names))
    else:
        script = digests(len(asked), sum(asked.values())) + _LIST
        stream = transport.stream(call(script, plain_path(path)), stdin=names)
    fields = nul_fields(stream)
    async with aclosing(fields):
        return await _parse(fields, path, asked)


async def _told(flow: AsyncGenerator[tuple[str, bytes]]) -> AsyncGenerator[bytes]:
    async with aclosing(flow):
        async for _, piece in flow:
            yield piece


async def nul_fields(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the NUL-ended fields of a stream; a last one without its NUL is dropped.

    Raises:
        StepFailed: A field is longer than any path (cause `bad_listing`).
    """
    rest = b""
    try:
        async for chunk in stream:
            *fields, rest = (rest + chunk).split(b"\0")
            for field in fields:
                yield field
            if len(rest) > _LONGEST_FIELD:
                raise StepFailed("the pod sent a name of endless length", cause="bad_listing")
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


async def _parse(
    fields: AsyncGenerator[bytes, None], path: str, asked: Mapping[str, int]
) -> Listing:
    kinds: dict[bytes, Literal["folder", "file", "special", "missing"]]
    kinds = {b"d": "folder", b"f": "file", b"o": "special", b"m": "missing"}
    kind = kinds.get(await anext(fields, b""))
    if kind is None:
        raise _bad(path)
    programs = frozenset((await anext(fields, b"")).decode("ascii", "replace").split())
    entries: list[RemoteEntry] = []
    async for letter in fields:
        if letter.startswith(b"E"):
            return Listing(
                kind=kind,
                entries=tuple(entries),
                unreadable=_complaints(letter, await anext(fields, b"")),
                programs=programs,
                digests=await _digests(fields, asked),
            )
        if len(entries) >= MOST_ENTRIES:
            raise StepFailed(
                f"{printable(path)} on the pod has more than {MOST_ENTRIES:,} entries",
                cause="too_many_files",
                help="Pack them into one file in the job, or exclude some.",
            )
        entries.append(await _entry(letter, fields, path))
    raise _bad(path)


async def _entry(letter: bytes, fields: AsyncGenerator[bytes, None], path: str) -> RemoteEntry:
    size, stamp, target, name = [await anext(fields, b"") for _ in range(4)]
    if len(letter) != 1 or not size.isdigit() or len(size) > 19 or not name:
        raise _bad(path)
    return RemoteEntry(
        path=name.decode("utf-8", "surrogateescape"),
        kind=letter.decode("ascii", "replace"),
        size=int(size),
        target=target.decode("utf-8", "surrogateescape"),
        stamp=stamp.decode("ascii", "replace")[:100],
    )


async def _digests(fields: AsyncGenerator[bytes, None], asked: Mapping[str, int]) -> dict[str, str]:
    """Read the digests that follow the list; what nobody asked for is passed over."""
    told: dict[str, str] = {}
    async for line in fields:
        name = line[68:].decode("utf-8", "surrogateescape")
        if name in asked:
            told[name] = line[:64].decode("ascii", "replace")
    return told


def _complaints(status: bytes, words: bytes) -> tuple[str, ...]:
    """Return what could not be read; a file that vanished meanwhile is no loss.

    Raises:
        StepFailed: The image lacks what a listing needs (cause `missing_tool`).
    """
    if status == b"E0":
        return ()
    if status == b"E43":
        raise StepFailed(printable(words.decode("utf-8", "replace")), cause="missing_tool")
    lines = [line for line in words.decode("utf-8", "replace").splitlines() if line.strip()]
    return tuple(printable(line, 300) for line in lines if _GONE not in line)


def _bad(path: str) -> StepFailed:
    return StepFailed(
        f"the list of {printable(path)} came incomplete from the pod", cause="bad_listing"
    )


# $1 path; names to hash on stdin. Fields end with NUL: the kind, the programs, five for each entry,
# then E<status> and complaints, and at last the digests.
_LIST = r"""
exec 4<&0 </dev/null
if [ -d "$1" ]; then k=d; elif [ -f "$1" ]; then k=f; elif [ -e "$1" ]; then k=o; else k=m; fi
printf '%s\0' "$k"
for tool in zstd gzip; do
  if command -v $tool >/dev/null 2>&1; then printf '%s ' $tool; fi
done
printf '\0'
walk() {
  case $k in d) cd -- "$1" || return 1 ;; f) ;; *) return 0 ;; esac
  if find / -maxdepth 0 -printf '' 2>/dev/null; then
    if [ $k = d ]; then find . -mindepth 1 -printf '%y\0%s\0%m %T@ %C@ %i\0%l\0%P\0'
    else find -H "$1" -maxdepth 0 -printf '%y\0%s\0%m %T@ %C@ %i\0\0%f\0'; fi
  elif command -v python3 >/dev/null 2>&1; then
    python3 -c '
import os, stat, sys
out, bad = sys.stdout.buffer, []
def tell(path, name, status):
    kinds = ((stat.S_ISREG, b"f"), (stat.S_ISDIR, b"d"), (stat.S_ISLNK, b"l"))
    kind = next((letter for test, letter in kinds if test(status.st_mode)), b"p")
    target = os.readlink(path) if kind == b"l" else b""
    stamp = "%o %.9f %.9f %d" % (
        stat.S_IMODE(status.st_mode), status.st_mtime, status.st_ctime, status.st_ino
    )
    out.write(b"\0".join((kind, b"%d" % status.st_size, stamp.encode(), target, name, b"")))
if sys.argv[1] == "f":
    path = os.fsencode(sys.argv[2])
    tell(path, os.path.basename(path), os.stat(path))
else:
    for folder, folders, files in os.walk(b".", onerror=bad.append):
        for name in folders + files:
            path = os.path.join(folder, name)
            try:
                tell(path, path[2:], os.lstat(path))
            except OSError as error:
                bad.append(error)
out.flush()
for error in bad:
    sys.stderr.write(str(error) + "\n")
sys.exit(1 if bad else 0)
' "$k" "$1"
  else
    echo 'the image has neither GNU find nor python3' >&2
    return 43
  fi
}
{ e=$(walk "$1" 2>&1 >&3 3>&-); s=$?; } 3>&1
printf 'E%s\0%.8192s\0' "$s" "$e"
regular() {
  if find / -maxdepth 0 -printf '' 2>/dev/null; then
    xargs -0 -r sh -c 'exec find "$@" -maxdepth 0 -type f -print0' rd
  else
    python3 -c '
import os, stat, sys
for name in sys.stdin.buffer.read().split(b"\0")[:-1]:
    try:
        if stat.S_ISREG(os.lstat(name).st_mode):
            sys.stdout.buffer.write(name + b"\0")
    except OSError:
        pass
'
  fi
}
case $k in
  d) cd -- "$1" && regular <&4 2>/dev/null | digests 2>/dev/null ;;
  f)
    if [ "$(head -c 1 <&4 | wc -c)" -gt 0 ] && cd -- "$(dirname -- "$1")"; then
      printf './%s\0' "$(basename -- "$1")" | digests 2>/dev/null
    fi
    ;;
esac
exit 0
"""

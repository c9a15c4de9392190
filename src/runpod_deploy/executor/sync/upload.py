"""Puts a payload on the pod: one archive, checked there, then renamed into place file by file."""

import posixpath
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.errors import InvalidInput
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.mirror import remove_others
from runpod_deploy.executor.sync.names import ours, unsafe
from runpod_deploy.executor.sync.pack import Packer, Progress
from runpod_deploy.executor.sync.remote import call, digests, failure, plain_path
from runpod_deploy.executor.untrusted import printable


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadReport:
    """What an upload did.

    Attributes:
        files: Regular files put in place.
        links: Symbolic links put in place.
        bytes: Content of the files.
        sent: Bytes of the archive that travelled.
        created: Whether the destination was not there before.
        deleted: Paths removed because `delete` was asked for, files and folders.
        foreign: Whether `delete` was asked for in a folder that is not ours: nothing was removed.
    """

    files: int
    links: int
    bytes: int
    sent: int
    created: bool
    deleted: tuple[str, ...]
    foreign: bool


async def upload(
    transport: Transport,
    *,
    root: Path,
    entries: Sequence[PayloadEntry],
    destination: str,
    delete: bool,
    progress: Progress,
    protect: Callable[[str, bool], bool] | None = None,
) -> UploadReport:
    """Send `entries` from `root` to `destination`; all of them arrive as planned or none is seen.

    Files travel into a hidden folder on the destination's own file system, are checked there by
    sha256, and only then renamed to their names, so a half file never bears its final name. Files
    get mode 0644 or 0755, the remote user as owner, and their modification time in whole seconds.
    A payload whose only entry has the path `""` is a single file: it becomes `destination`, or
    lies in it under its own name when `destination` ends with `/`.

    Args:
        transport: Connection to the pod.
        root: Local folder, or the file itself for the entry `""`.
        entries: Files and links to send, relative to `root`.
        destination: Path on the pod; its parents are created.
        delete: Afterwards remove what is not in `entries`, but only where the destination carries
            our marker file, which is written when an upload creates it.
        progress: Called with a path, bytes done and bytes in all.
        protect: Paths that `delete` leaves alone, asked with the path relative to the destination
            and whether it is a folder; what lies in a protected folder is protected too.

    Raises:
        StepFailed: A local file is not what the plan says (cause `payload_changed`), the far side
            has a folder where a file goes or the reverse (`destination_conflict`), what arrived
            differs (`verify_failed`), no room (`disk_full`), or another failure there.
        InvalidInput: An entry has a path that would leave the destination.
        TransportError: The connection failed; nothing was put in place, or all of it.
    """
    _check(entries)
    single = len(entries) == 1 and entries[0].path == ""
    target = _target(destination, root, single=single)
    tag = secrets.token_hex(8)
    files = [entry for entry in entries if entry.type == "file"]
    size = sum(entry.size for entry in files)
    script = digests(len(files), size) + _COMMON + (_PUT_FILE if single else _PUT_TREE)
    packer = Packer(root, entries, progress)
    done = await transport.run(
        call(script, target, posixpath.dirname(target) or ".", tag), stdin=packer.stream()
    )
    if done.exit_status != 0:
        raise failure(done, f"putting files to {target}")
    created = done.stdout.strip() == b"created"
    deleted: tuple[str, ...] | None = ()
    if delete and not single and not created:
        deleted = await remove_others(transport, target, entries, protect)
    return UploadReport(
        files=len(files),
        links=len(entries) - len(files),
        bytes=size,
        sent=packer.sent,
        created=created,
        deleted=deleted or (),
        foreign=deleted is None,
    )


def _target(destination: str, root: Path, *, single: bool) -> str:
    stripped = destination.rstrip("/") or "/"
    if "\0" in destination or not destination:
        msg = "a staging destination must not be empty or hold a NUL"
        raise InvalidInput(msg)
    if single and destination.endswith("/"):
        return plain_path(posixpath.join(stripped, root.name))
    return plain_path(stripped)


def _check(entries: Sequence[PayloadEntry]) -> None:
    """Refuse a payload that could write elsewhere; a saved plan may have been tampered with."""
    seen: set[str] = set()
    folders: set[str] = set()
    for entry in entries:
        if entry.path == "" and len(entries) == 1:
            continue
        why = unsafe(entry.path)
        if ours(entry.path):
            why = "runpod-deploy uses this name itself on the pod"
        if entry.path in seen:
            why = "it is there twice"
        if why is not None:
            raise InvalidInput(f"the payload holds the path {printable(entry.path)!r}: {why}")
        seen.add(entry.path)
        parts = entry.path.split("/")
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
    for path in sorted(seen & folders):
        raise InvalidInput(f"the payload holds {printable(path)!r} both as a file and as a folder")


# $1 destination, $2 its parent, $3 a tag of our own for the hidden folder.
_COMMON = r"""
umask 022
case $1 in /*) D=$1 P=$2 ;; *) D=$PWD/$1 P=$PWD/$2 ;; esac
die() { printf '%s\n' "$2" >&2; exit "$1"; }
unpack() {
  T=$1/.rd-upload-$2
  trap 'rm -rf -- "$T"' EXIT
  trap 'exit 129' HUP INT TERM PIPE
  mkdir -m 700 -- "$T" && mkdir -- "$T/tree" || exit 44
  tar -xpof - -C "$T" || exit 45
  [ -f "$T/complete" ] || die 46 'the archive ended before it was complete'
  (cd "$T/tree" && digests <../names >../actual) || exit $?
  if [ "$(sha256sum <"$T/expected")" != "$(sha256sum <"$T/actual")" ]; then
    sort -z "$T/expected" >"$T/e" && sort -z "$T/actual" >"$T/a"
    printf 'other content on arrival: ' >&2
    comm -z -23 "$T/e" "$T/a" | head -z -n 5 | cut -z -c 67- | tr '\n\0' '? ' >&2
    exit 42
  fi
}
"""

_PUT_FILE = r"""
[ ! -d "$D" ] || die 41 "$D is a folder on the pod, a file was to go there"
mkdir -p -- "$P" || exit 44
unpack "$P" "$3"
mv -f -- "$T/tree/file" "$D" || exit 44
"""

# `move` runs twice: every conflict is found before the first file is touched. Renaming the whole
# tree at once is possible only where nothing is there yet.
_PUT_TREE = r"""
if [ -d "$D" ]; then
  unpack "$D" "$3"
  at() {
    F=$D/$1
    if [ -e "$F" ] || [ -L "$F" ]; then
      [ -d "$F" ] || die 41 "$F is there on the pod and is not a folder"
    fi
    shift
    for x do
      if [ -d "$F/$x" ] && [ ! -L "$F/$x" ]; then
        die 41 "$F/$x is a folder on the pod, a file was to go there"
      fi
    done
  }
  . "$T/move"
  at() {
    F=$D/$1
    [ -d "$F" ] || mkdir -- "$F" || exit 44
    [ $# -gt 1 ] || return 0
    cd "$T/tree/$1" || exit 44
    shift
    mv -f -- "$@" "$F/" || exit 44
  }
  . "$T/move"
  cd /
else
  if [ -e "$D" ] || [ -L "$D" ]; then die 41 "$D is there on the pod and is not a folder"; fi
  mkdir -p -- "$P" || exit 44
  unpack "$P" "$3"
  echo 'Written by runpod-deploy, which may delete in this folder.' \
    >"$T/tree/.runpod-deploy-owned" || exit 44
  if [ -e "$D" ] || [ -L "$D" ]; then die 41 "$D appeared on the pod meanwhile"; fi
  mv -- "$T/tree" "$D" || exit 44
  echo created
fi
"""

"""Puts a payload on the pod: what differs is sent, checked there, and renamed into place."""

from __future__ import annotations

import contextlib
import posixpath
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.errors import InvalidInput, StepFailed, TransportError
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.far_side import receiver
from runpod_deploy.executor.sync.lanes import Lanes
from runpod_deploy.executor.sync.mirror import remove_others
from runpod_deploy.executor.sync.names import ours, unsafe
from runpod_deploy.executor.sync.remote import plain_path
from runpod_deploy.executor.sync.sending import Progress, Sending
from runpod_deploy.executor.sync.speech import ShellSpeech, Speech, WorkerSpeech
from runpod_deploy.executor.untrusted import printable

_DROP_SEC = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadReport:
    """What an upload did.

    Attributes:
        files: Regular files put in place.
        links: Symbolic links put in place.
        bytes: Content of the files.
        unchanged: Files and links that were in place already.
        sent: Bytes that travelled for it, those of the question what is there included.
        created: Whether the destination was not there before.
        deleted: Paths removed because `delete` was asked for, files and folders.
        foreign: Whether `delete` was asked for in a folder that is not ours: nothing was removed.
    """

    files: int
    links: int
    bytes: int
    unchanged: int
    sent: int
    created: bool
    deleted: tuple[str, ...]
    foreign: bool


async def upload(  # noqa: PLR0913 - each is a choice of the caller's
    transport: Transport,
    *,
    root: Path,
    entries: Sequence[PayloadEntry],
    destination: str,
    delete: bool,
    progress: Progress,
    protect: Callable[[str, bool], bool] | None = None,
    tag: str | None = None,
    lanes: Lanes | None = None,
) -> UploadReport:
    """Send what differs of `entries` from `root` to `destination`.

    What is in place with the planned content, exec bit and target is not sent. The rest travels
    into a hidden folder on the destination's own file system, is checked there by sha256, and only
    then renamed to its names, so a half file never bears its final name and nothing is seen before
    all has arrived. Files get mode 0644 or 0755, the remote user as owner, and their modification
    time in whole seconds. A payload whose only entry has the path `""` is a single file: it becomes
    `destination`, or lies in it under its own name when `destination` ends with `/`.

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
        lanes: Further connections to the same pod, for what is worth it.
        tag: Letters and digits that name this upload: called again with the same after a
            connection broke, it goes on where it was. None: it cannot be gone on with.

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
    named = {entry.path or posixpath.basename(target): entry for entry in entries}
    size = sum(entry.size for entry in entries if entry.type == "file")
    tag = tag or secrets.token_hex(8)
    command = receiver(
        target,
        posixpath.dirname(target) or ".",
        tag,
        single=single,
        files=len(entries),
        size=size,
    )
    ways = lanes or Lanes()
    try:
        speech = await _speech(transport, ways, target, tag, single=single, command=command)
        sent = await Sending(transport, speech, root, named, progress).run(ways)
    except StepFailed:
        await _drop(transport, command)
        raise
    finally:
        if lanes is None:
            ways.workers.close()
    deleted: tuple[str, ...] | None = ()
    if delete and not single and not sent.created:
        deleted = await remove_others(transport, target, entries, protect)
    return UploadReport(
        files=sum(entry.type == "file" for entry in sent.placed),
        links=sum(entry.type == "link" for entry in sent.placed),
        bytes=sum(entry.size for entry in sent.placed if entry.type == "file"),
        unchanged=len(entries) - len(sent.placed),
        sent=sent.bytes,
        created=sent.created,
        deleted=deleted or (),
        foreign=deleted is None,
    )


async def _speech(
    transport: Transport, lanes: Lanes, target: str, tag: str, *, single: bool, command: str
) -> Speech:
    doing = f"putting files to {target}"
    if await lanes.workers.of(transport) is None:
        return ShellSpeech(command, doing)
    parent = posixpath.dirname(target) or "."
    return WorkerSpeech(lanes.workers, target, parent, tag, single=single, doing=doing)


async def _drop(transport: Transport, command: str) -> None:
    """Remove what was sent of an upload that cannot be finished, as far as that is possible."""
    with contextlib.suppress(StepFailed, TransportError, TimeoutError):
        await transport.run(command, stdin=b"drop 0\n", timeout=_DROP_SEC)


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

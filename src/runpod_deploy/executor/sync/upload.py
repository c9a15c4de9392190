"""Puts a payload on a pod: one tar stream, verified there, then moved into place file by file."""

from __future__ import annotations

import contextlib
import posixpath
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.errors import CommandFailed, RunpodDeployError, StepFailed
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.digests import far_digests, name_list
from runpod_deploy.executor.sync.pack import SINGLE, Progress, pack
from runpod_deploy.executor.untrusted import first_lines, printable

OWNED = ".runpod-deploy-owned"
PARTIAL = ".runpod-deploy-partial-"
_SHOWN = 10

# Per folder one mv: a rename for each file, so that none is ever seen half written. It must not hold the
# two braces that the find around it replaces.
_MOVE = """\
dest=$1; shift
for folder do
  mkdir -p "$dest/$folder" || exit 1
  find "$folder" -maxdepth 1 ! -type d -print0 | xargs -0 -r mv -f -t "$dest/$folder" -- || exit 1
done
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadReport:
    """What arrived; sizes in bytes."""

    files: int
    bytes: int


async def upload(
    transport: Transport,
    *,
    root: Path,
    entries: Sequence[PayloadEntry],
    destination: str,
    delete: bool,
    progress: Progress,
) -> UploadReport:
    """Send `entries` of `root` to `destination`.

    A source that is a single file becomes `destination` itself, or `destination/<its name>` when
    that ends with `/`. Files that are there already are replaced one by one; with `delete`, files
    that are not of the payload are removed, but only in a folder that an earlier upload made.

    Raises:
        StepFailed: A local file changed (cause `payload_changed`), a file did not arrive whole
            (`not_delivered`), or `delete` was asked for in a foreign folder (`not_owned`).
        CommandFailed: The pod refused: disk full, a file where a folder must be.
        TransportError: The connection broke.
    """
    single = len(entries) == 1 and entries[0].path == ""
    target = destination.rstrip("/") or "/"
    name = root.name
    if single and not destination.endswith("/"):
        target, name = posixpath.split(target)
    partial = posixpath.join(target, PARTIAL + secrets.token_hex(6))
    try:
        await _unpack(transport, root, entries, target, partial, delete=delete, progress=progress)
        await _verify(transport, partial, entries)
        if single:
            await _call(
                transport,
                f"mv -f -T -- {shlex.quote(f'{partial}/{SINGLE}')} "
                f"{shlex.quote(posixpath.join(target, name))}",
            )
        else:
            await _call(
                transport,
                f"cd {shlex.quote(partial)} && find . -type d -exec sh -c {shlex.quote(_MOVE)} "
                f"sh {shlex.quote(target)} {{}} +",
            )
    finally:
        with contextlib.suppress(RunpodDeployError, TimeoutError):
            await transport.run(f"rm -rf -- {shlex.quote(partial)}", timeout=120)
    if delete:
        await _delete_others(transport, target, entries)
    files = [entry for entry in entries if entry.type == "file"]
    return UploadReport(files=len(entries), bytes=sum(entry.size for entry in files))


async def _unpack(
    transport: Transport,
    root: Path,
    entries: Sequence[PayloadEntry],
    target: str,
    partial: str,
    *,
    delete: bool,
    progress: Progress,
) -> None:
    where = shlex.quote(target)
    marker = shlex.quote(posixpath.join(target, OWNED))
    make = f"mkdir -p -- {where}"
    if delete:
        make = (
            f"if [ ! -d {where} ]; then mkdir -p -- {where} && : >{marker}; fi; "
            f"if [ ! -e {marker} ]; then echo not-owned >&2; exit 77; fi"
        )
    command = (
        f"umask 022; {make} && mkdir -m 700 -- {shlex.quote(partial)} && "
        f"tar -xpf - --no-same-owner -C {shlex.quote(partial)}"
    )
    done = await transport.run(command, stdin=pack(root, entries, progress))
    if done.exit_status == 77:
        raise StepFailed(
            f"staging.delete is set for {target}, a folder that no run of ours made; nothing there "
            "was touched.",
            cause="not_owned",
            help="Choose a destination of its own, or leave staging.delete away.",
        )
    if done.exit_status != 0:
        raise _failed(
            f"The payload could not be written to {target}", done.exit_status, done.stderr
        )


async def _verify(transport: Transport, partial: str, entries: Sequence[PayloadEntry]) -> None:
    wanted = {entry.path or SINGLE: entry.sha256 for entry in entries if entry.type == "file"}
    found = await far_digests(transport, partial, list(wanted))
    wrong = [path for path, digest in wanted.items() if found.get(path) != digest]
    if wrong:
        shown = ", ".join(printable(path, 200) for path in wrong[:_SHOWN])
        raise StepFailed(
            f"{len(wrong)} of {len(wanted)} files did not arrive as they were sent: {shown}.",
            cause="not_delivered",
        )


async def _delete_others(
    transport: Transport, target: str, entries: Sequence[PayloadEntry]
) -> None:
    where = shlex.quote(target)
    listed = await transport.run(f"cd {where} && find . -mindepth 1 ! -type d -print0", timeout=600)
    if listed.exit_status != 0:
        raise _failed(f"{target} could not be listed", listed.exit_status, listed.stderr)
    kept = {entry.path for entry in entries} | {OWNED}
    there = [
        raw[2:].decode("utf-8", "surrogateescape") for raw in listed.stdout.split(b"\0") if raw
    ]
    others = [path for path in there if path not in kept]
    if others:
        done = await transport.run(
            f"cd {where} && xargs -0 rm -f --", stdin=name_list(others), timeout=600
        )
        if done.exit_status != 0:
            raise _failed(f"{target} could not be cleaned", done.exit_status, done.stderr)


async def _call(transport: Transport, command: str) -> None:
    done = await transport.run(command, timeout=600)
    if done.exit_status != 0:
        raise _failed("The payload could not be moved into place", done.exit_status, done.stderr)


def _failed(what: str, status: int, stderr: bytes) -> CommandFailed:
    return CommandFailed(
        f"{what}: {first_lines(stderr) or f'exit status {status}'}", exit_status=status
    )

"""Removes from a destination on the pod what is not in the payload."""

from collections.abc import Callable, Iterable, Sequence

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.listing import RemoteEntry, list_remote
from runpod_deploy.executor.sync.names import OWNED_MARKER
from runpod_deploy.executor.sync.remote import call, failure

_REMOVE = r"""
cd -- "$1" || exit 44
[ -f ./.runpod-deploy-owned ] || exit 0
case $2 in
  files) xargs -0 -r rm -f -- || exit 44 ;;
  *) xargs -0 -r rmdir -- 2>/dev/null || : ;;
esac
"""


async def remove_others(
    transport: Transport,
    destination: str,
    entries: Sequence[PayloadEntry],
    protect: Callable[[str, bool], bool] | None,
) -> tuple[str, ...] | None:
    """Remove files, and folders left empty, that are not in `entries`; returns their paths.

    Nothing is removed where the destination does not carry our marker file: then returns None if
    there is something that would have been.

    Raises:
        StepFailed: The far side could not be listed, or a file not be removed.
    """
    listing = await list_remote(transport, destination)
    present = {entry.path: entry for entry in listing.entries}
    marker = present.pop(OWNED_MARKER, None)
    wanted = {entry.path for entry in entries}
    shielded = _shielded(listing.entries, protect)
    others = [entry for path, entry in present.items() if path not in wanted | shielded]
    files = [entry.path for entry in others if entry.kind != "d"]
    needed = _ancestors(wanted | shielded)
    folders = [entry.path for entry in others if entry.kind == "d" and entry.path not in needed]
    if marker is None or marker.kind != "f":
        return None if files or folders else ()
    await _remove(transport, destination, "files", files)
    # The deepest first, so that a folder is empty when its turn comes.
    await _remove(transport, destination, "folders", sorted(folders, reverse=True))
    return tuple(sorted(files + folders))


def _shielded(
    entries: Iterable[RemoteEntry], protect: Callable[[str, bool], bool] | None
) -> set[str]:
    if protect is None:
        return set()
    shielded: set[str] = set()
    for entry in sorted(entries, key=lambda entry: entry.path):
        parent = entry.path.rpartition("/")[0]
        if parent in shielded or protect(entry.path, entry.kind == "d"):
            shielded.add(entry.path)
    return shielded


def _ancestors(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        parts = path.split("/")
        found.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
    return found


async def _remove(transport: Transport, destination: str, what: str, paths: list[str]) -> None:
    if not paths:
        return
    names = b"".join(b"./" + path.encode("utf-8", "surrogateescape") + b"\0" for path in paths)
    done = await transport.run(call(_REMOVE, destination, what), stdin=names)
    if done.exit_status != 0:
        raise failure(done, f"deleting in {destination}")

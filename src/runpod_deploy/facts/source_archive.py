"""A tar of files that git does not hold, the same bytes for the same files, and how it is read back.

An archive may come from a stranger, so reading trusts nothing in it: only files and links, only
below the folder, never through a link and never into git's own folder.
"""

import io
import os
import stat
import tarfile
from collections.abc import Collection
from pathlib import Path

from runpod_deploy.errors import InvalidInput
from runpod_deploy.schema.opening import read_judged

_MODES = {False: 0o644, True: 0o755}


def pack(folder: Path, names: Collection[str]) -> bytes:
    """Return an archive of files and links.

    Args:
        folder: Absolute, links resolved.
        names: Relative to `folder`, `/` separators; no folders.

    Raises:
        OSError: One cannot be read.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(names):
            path = folder / name
            status = path.lstat()
            member = tarfile.TarInfo(name)
            if stat.S_ISLNK(status.st_mode):
                member.type, member.linkname = tarfile.SYMTYPE, os.readlink(path)  # noqa: PTH115 - as written
                archive.addfile(member)
            else:
                content = read_judged(path, -1)
                member.size = len(content)
                member.mode = _MODES[bool(status.st_mode & stat.S_IXUSR)]
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def unpack(data: bytes, folder: Path, taken: Collection[str], name: str) -> tuple[str, ...]:
    """Write the files of an archive into `folder`, and return their names.

    Args:
        folder: Nothing else lies in it but a `.git`.
        taken: Names that are no business of the archive's.
        name: What messages call the archive.

    Raises:
        InvalidInput: It is no archive of ours.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            members = archive.getmembers()
            names = [_checked(member, taken, name) for member in members]
            # Links last: nothing is written through one.
            for member in sorted(members, key=lambda one: one.issym()):
                _write(archive, member, folder)
    except (tarfile.TarError, OSError, ValueError) as error:
        raise InvalidInput(f"{name} cannot be unpacked: {error}") from error
    return tuple(names)


def _checked(member: tarfile.TarInfo, taken: Collection[str], name: str) -> str:
    parts = member.name.split("/")
    odd = any(part in ("", ".", "..") or part.lower() == ".git" for part in parts)
    if odd or "\0" in member.name or not (member.isreg() or member.issym()):
        raise InvalidInput(f"{name} holds {member.name!r}, which no archive of a plan does")
    if member.name in taken:
        raise InvalidInput(f"{name} holds {member.name!r}, which the commit holds as well")
    return member.name


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    path = folder / member.name
    path.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        path.symlink_to(member.linkname)
        return
    stream = archive.extractfile(member)
    assert stream is not None  # noqa: S101 - it is a file
    # Not into what is there already: of two of one name, the first stays.
    with path.open("xb") as file:
        file.write(stream.read())
    path.chmod(_MODES[bool(member.mode & stat.S_IXUSR)])

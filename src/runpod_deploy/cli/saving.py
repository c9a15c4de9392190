"""Writes a result into the file, or the folder, that the user named."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from runpod_deploy.errors import InvalidInput


def save(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step; other than regular files are written as they are.

    Raises:
        InvalidInput: It cannot be written.
    """
    from runpod_deploy.record.atomic import write_atomic  # noqa: PLC0415 - only when writing

    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)  # a pipe or a device
        else:
            write_atomic(path, content)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}") from error


def save_all(folder: Path, files: Mapping[str, bytes], *, force: bool) -> None:
    """Write files into a folder: all, or none that was not there before.

    Args:
        files: Path below the folder to content.
        force: Whether files that are there already are replaced.

    Raises:
        InvalidInput: A file is in the way, or cannot be written.
    """
    if not force:
        _refuse_to_overwrite(folder, files)
    _write(folder, files)


def _refuse_to_overwrite(folder: Path, files: Mapping[str, bytes]) -> None:
    """Refuse before the first file is written; a file that is there with the same content is fine.

    Raises:
        InvalidInput: Names every file in the way.
    """
    in_the_way = [
        str(folder / name)
        for name, content in files.items()
        if os.path.lexists(folder / name) and not _holds(folder / name, content)
    ]
    if in_the_way:
        verb = "is" if len(in_the_way) == 1 else "are"
        raise InvalidInput(
            f"{', '.join(in_the_way)} {verb} there already, and nothing was written",
            help="Name another folder, or replace what is there with --force.",
        )


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.is_file() and path.read_bytes() == content
    except OSError:
        return False


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files or, when one cannot be written, none that was not there before.

    Raises:
        InvalidInput: A file or its folder cannot be written.
    """
    from runpod_deploy.record.atomic import write_atomic  # noqa: PLC0415 - not for `--help`

    new: list[Path] = []
    for name, content in files.items():
        path = folder / name
        fresh = not os.path.lexists(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, content)
        except OSError as error:
            for written in new:
                written.unlink(missing_ok=True)
            raise InvalidInput(f"{path} cannot be written: {error.strerror or error}") from error
        if fresh:
            new.append(path)


@contextmanager
def unnoticed(folder: Path) -> Iterator[None]:
    """Leave the time of a folder as it is: `ls -dt` finds the newest run by it."""
    before = folder.stat()
    try:
        yield
    finally:
        os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))

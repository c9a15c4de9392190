"""Writes a result into the file that the user named."""

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

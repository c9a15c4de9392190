"""The folder that a payload is read from: nothing of it is reached through a link.

The plan was made of what lies below the source. A folder of it that has become a link since would
lead to files that nobody chose, so each part of a path is opened by itself.
"""

import os
from pathlib import Path

from runpod_deploy.schema.opening import FILE, below, open_folder


class SourceFolder:
    """Opens files by their paths in a payload; one folder is kept open, as neighbours are asked for.

    Args:
        root: The source, links resolved; the file itself for the path `""`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._top: int | None = None
        self._folder: tuple[str, int] | None = None

    def open(self, path: str) -> int:
        """Return a descriptor of the file at `path`, which is the caller's to close.

        Raises:
            OSError: It cannot be opened, or is, or lies behind, a link.
        """
        if not path:
            folder = open_folder(self.root.parent)
            try:
                return os.open(self.root.name, FILE, dir_fd=folder)
            finally:
                os.close(folder)
        above, _, name = path.rpartition("/")
        if self._folder is None or self._folder[0] != above:
            self._enter(above)
        assert self._folder is not None  # noqa: S101 - what `_enter` just did
        return os.open(name, FILE, dir_fd=self._folder[1])

    def _enter(self, folder: str) -> None:
        self._leave()
        if self._top is None:
            self._top = open_folder(self.root)
        self._folder = folder, below(os.dup(self._top), folder.split("/") if folder else ())

    def _leave(self) -> None:
        if self._folder is not None:
            os.close(self._folder[1])
            self._folder = None

    def close(self) -> None:
        """Close what is open; idempotent."""
        self._leave()
        if self._top is not None:
            os.close(self._top)
            self._top = None

"""What a walk saw of each folder, so that a later look can tell that it would see the same.

The rules of which file travels need no second asking where names and kinds are the same, and no
file a second reading where its inode, mode, size and both time stamps are. Listings are compared in
the order in which the system gives them: an unchanged folder is listed the same way again.
"""

import hashlib
import marshal
import os
from collections.abc import Iterable
from itertools import chain, compress
from operator import attrgetter, methodcaller
from typing import NamedTuple

PASSED_OVER, TAKEN, ENTERED, RULES = b"-+/#"
"""What the walk did with an entry: RULES is an ignore file that does not travel itself."""

_WITH_STATUS = bytes(code in (TAKEN, RULES) for code in range(256))
_MARSHAL_VERSION = 2  # the last that writes equal values alike, whoever else holds them
_status = methodcaller("stat", follow_symlinks=False)
_is_folder = methodcaller("is_dir", follow_symlinks=False)
_key = attrgetter("st_dev", "st_ino", "st_mode", "st_size", "st_mtime_ns", "st_ctime_ns")


class Seen(NamedTuple):
    """One folder as it was listed.

    Attributes:
        prefix: Its path relative to the source with `/` behind; empty for the source itself.
        done: For each entry, what the walk did with it.
        names: The entries' names.
        folders: For each entry, whether it is a folder.
        statuses: Those of files, links and ignore files, in the order of the entries.
    """

    prefix: str
    done: bytes
    names: list[str]
    folders: bytes
    statuses: list[os.stat_result]


def seen(
    prefix: str, done: bytes, listed: list["os.DirEntry[str]"], statuses: list[os.stat_result]
) -> Seen:
    """Return what was seen of a folder."""
    names = [entry.name for entry in listed]
    return Seen(prefix, done, names, bytes(map(_is_folder, listed)), statuses)


def look_again(root: str, prefix: str, done: bytes) -> Seen | None:
    """Look at a folder once more; None when the walk would surely see something else.

    Raises:
        OSError: It cannot be looked at.
    """
    # Relative to the open folder, the system need not follow the path for each file.
    folder = os.open(f"{root}/{prefix}", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with os.scandir(folder) as entries:
            listed = list(entries)
        if len(listed) != len(done):
            return None
        statuses = list(map(_status, compress(listed, done.translate(_WITH_STATUS))))
        return seen(prefix, done, listed, statuses)
    finally:
        os.close(folder)


def fingerprint(folders: Iterable[Seen]) -> str:
    """Return a digest of everything that was seen: another one, another payload."""
    total = hashlib.sha256()
    for one in folders:
        plain = (*one[:4], list(map(_key, one.statuses)))
        total.update(marshal.dumps(plain, _MARSHAL_VERSION))
    return total.hexdigest()


def youngest_ns(folders: Iterable[Seen]) -> int:
    """Return the latest time stamp of what was seen, in nanoseconds."""
    statuses = chain.from_iterable(one.statuses for one in folders)
    return max((max(one.st_mtime_ns, one.st_ctime_ns) for one in statuses), default=0)

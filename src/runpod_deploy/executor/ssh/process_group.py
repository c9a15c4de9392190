"""Ends a remote command together with its children, whatever server runs it.

SSH has a request for signals, but OpenSSH's server ignores it for root, which is who one is on a
pod. So each command first writes its process id to stderr, from where it is taken out again; the
server makes the command the leader of a process group of its own.
"""

import re


def announced(command: str, token: str) -> str:
    """Return `command` preceded by the announcement of its process id."""
    return f"echo rd-{token}:$$ >&2\n{command}"


def take_group(stderr: bytearray, token: str) -> int | None:
    """Cut the announcement out of what came on stderr; None when it is not there yet."""
    found = re.search(rb"rd-%b:(\d{1,10})\n" % token.encode("ascii"), stderr)
    if found is None:
        return None
    # The match looks at the buffer itself: it must be read before anything is cut out.
    group = int(found[1])
    del stderr[found.start() : found.end()]
    return group


def end_group(group: int) -> str:
    """Return the command that sends SIGTERM to the group, or to its leader where there is none."""
    return f"kill -TERM -- -{group} 2>/dev/null || kill -TERM {group} 2>/dev/null"

"""What a walk saw, as one digest: everything in it counts."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from runpod_deploy.facts.trace import ENTERED, PASSED_OVER, TAKEN, Seen, fingerprint


@dataclass(frozen=True)
class Status:
    """As of `os.stat`, with what counts."""

    st_dev: int = 1
    st_ino: int = 2**63 + 5
    st_mode: int = 0o100644
    st_size: int = 3
    st_mtime_ns: int = -5
    st_ctime_ns: int = 7 * 10**18


def seen(status: Any = Status(), **changes: Any) -> Seen:
    """Return a folder with a file that travels, one that does not, and a folder."""
    said: dict[str, Any] = {
        "prefix": "a/",
        "done": bytes([TAKEN, PASSED_OVER, ENTERED]),
        "names": ["x", "y\udce9", "z"],
        "folders": b"\0\0\1",
        "statuses": [status],
    }
    return Seen(**said | changes)


CHANGES = {
    "prefix": seen(prefix="b/"),
    "what was done": seen(done=bytes([TAKEN, ENTERED, PASSED_OVER])),
    "a name that does not travel": seen(names=["x", "y", "z"]),
    "a kind": seen(folders=b"\0\1\1"),
    "a status less": seen(statuses=[]),
} | {name: seen(replace(Status(), **{name: 0})) for name in Status.__dataclass_fields__}


@pytest.mark.parametrize("other", CHANGES.values(), ids=CHANGES)
def test_each_thing_that_was_seen_counts(other: Seen) -> None:
    """No two different looks have one digest; the same look always has the same."""
    assert fingerprint([seen()]) == fingerprint([seen(Status())])
    assert fingerprint([seen()]) != fingerprint([other])


def test_folders_and_their_order_count() -> None:
    """One folder more, or another order, is another tree."""
    two = [seen(), seen(prefix="b/")]
    assert 3 == len({fingerprint(two), fingerprint(two[:1]), fingerprint(two[::-1])})

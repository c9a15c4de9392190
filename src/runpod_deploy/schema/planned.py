"""Keys that are reserved for later versions: refused by name, so that nobody waits for an effect.

`job.schema.json` describes them, so that a value of the wrong shape is told now. Whoever builds one
of them deletes its line here, the words "planned, refused for now" there, and adds its field to
`job.py`.
"""

import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Planned:
    """One reserved key.

    Attributes:
        pattern: JSON pointer; `*` stands for every item of a list.
        purpose: What it will be for, to follow "It is planned for".
        for_now: What to do now, to follow "For now,".
        value: Refused only with this value; None refuses the key itself.
    """

    pattern: str
    purpose: str
    for_now: str
    value: Any = None


PLANNED = (
    Planned(
        "/cluster/type",
        "jobs that Ray distributes",
        "`TRAINING` runs the script on every node, and it can start Ray there itself",
        "RAY",
    ),
    Planned(
        "/cluster/type",
        "jobs that Slurm distributes",
        "`TRAINING` runs the script on every node",
        "SLURM",
    ),
)

_KEYS = frozenset(row.pattern for row in PLANNED if row.value is None)
_INDEX = re.compile(r"/\d+(?=/|$)")


def reserved(pointer: str) -> bool:
    """Tell whether the key at a JSON pointer is reserved, whatever its value."""
    return _INDEX.sub("/*", pointer) in _KEYS

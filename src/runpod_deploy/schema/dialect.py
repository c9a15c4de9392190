"""How we read JSON Schema where a Python library differs from editors and from our users."""

import re
from functools import cache

UNIQUE_LIMIT = 1000


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Return `pattern` with the meaning it has in an editor: `$` is the very end of the text."""
    end = pattern.endswith("$") and not pattern.endswith("\\$")
    return re.compile(pattern[:-1] + r"\Z" if end else pattern)


def is_integer(value: object) -> bool:
    """Tell whether `value` is written as a whole number: `2`, neither `2.0` nor `true`."""
    return type(value) is int


def first_duplicate(values: list[object]) -> int | None:
    """Return the index of the first text that stood before in the list, or None.

    Only texts are compared, and only in lists of sane length: the general rule of JSON Schema takes
    quadratic time, and no list of ours holds anything else.
    """
    seen: set[str] = set()
    for index, value in enumerate(values[:UNIQUE_LIMIT]):
        if isinstance(value, str):
            if value in seen:
                return index
            seen.add(value)
    return None

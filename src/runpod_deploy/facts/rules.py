"""An ordered list of rules about paths, of which the first that matches decides.

Rules match bytes: a name, or a path that begins with `/`. A folder's ends with a NUL, so that one
expression says both what it matches and whether that must, may or cannot be a folder.
"""

import re
from collections.abc import Callable, Iterable
from itertools import groupby

from runpod_deploy.frozen import frozen

FOLDER = b"\0"
MAY_BE_FOLDER = rb"\0?"
MUST_BE_FOLDER = rb"\0"
Match = Callable[[bytes], re.Match[bytes] | None]


@frozen
class PathRule:
    """One rule.

    Attributes:
        drop: What the rule says about a path that it matches.
        regex: Matches the whole name or path.
        on_name: Whether `regex` is about the last component alone.
    """

    drop: bool
    regex: bytes
    on_name: bool


class PathRules:
    """Rules made ready: a run of rules that say the same becomes one regular expression."""

    def __init__(self, rules: Iterable[PathRule]) -> None:
        self._groups = [
            (drop, _any(run, on_name=True), _any(run, on_name=False))
            for drop, run in ((key, list(run)) for key, run in groupby(rules, _says))
        ]

    def __bool__(self) -> bool:
        return bool(self._groups)

    def drops(self, path: bytes, name: bytes) -> bool | None:
        """Return whether the first matching rule drops the path; None when no rule matches.

        Args:
            path: From where the rules are anchored, with `/` in front.
            name: Its last component, without.
        """
        for drop, on_name, on_path in self._groups:
            if (on_name and on_name(name)) or (on_path and on_path(path)):
                return drop
        return None


def _says(rule: PathRule) -> bool:
    return rule.drop


def _any(rules: Iterable[PathRule], *, on_name: bool) -> Match | None:
    regexes = [rule.regex for rule in rules if rule.on_name is on_name]
    if not regexes:
        return None
    return re.compile(b"|".join(b"(?:%s)" % regex for regex in regexes), re.DOTALL).fullmatch

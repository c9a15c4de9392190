"""rsync's filter patterns, as `rsync --exclude=PATTERN SOURCE/ …` reads them.

A pattern that begins with `/` is anchored at the source, one that ends with `/` is about folders
only, one with a `/` inside or a `**` is matched against the whole path, others against the name.
`+ ` and `- ` in front include and exclude, a lone `!` forgets all before it; the first match wins.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from runpod_deploy.facts.rules import MAY_BE_FOLDER, MUST_BE_FOLDER, PathRule, PathRules
from runpod_deploy.facts.wildmatch import rsync_regex

HYGIENE = (
    ".git",
    ".venv",
    ".pytest_cache",
    ".ruff_cache",
    ".mypy_cache",
    "__pycache__",
    "*.pyc",
)
"""What no job needs on the pod: `staging[].excludes_default`."""

PLANS = ("plan.json", "plan.json.*", "sweep.json", "sweep.json.*", "*.plan.json", "*.plan.json.*")
"""What `plan -o` and `plan sign` write at the project root and beside the job file; of the preset."""


def filter_rules(patterns: Iterable[str]) -> PathRules:
    """Return `patterns` made ready; they decide about paths relative to the source."""
    rules: list[PathRule] = []
    for pattern in patterns:
        if pattern == "!":
            rules.clear()
        else:
            rule = _rule(pattern)
            if rule is not None:
                rules.append(rule)
    return PathRules(rules)


@lru_cache(maxsize=1024)
def _rule(pattern: str) -> PathRule | None:
    raw = pattern.encode()
    if pattern.startswith(("+ ", "- ")):
        raw = raw[2:]
    folders_only = len(raw) > 1 and raw.endswith(b"/")
    if folders_only:
        raw = raw[:-1]
    if not raw:
        return None
    on_name = b"/" not in raw and b"**" not in raw
    ending = MUST_BE_FOLDER if folders_only else MAY_BE_FOLDER
    regex = _regex(raw.removeprefix(b"/")) + ending
    if raw.endswith(b"/***"):
        # `dir/***` is about the folder itself as well as all in it.
        regex = rb"(?:%s|%s)" % (_regex(raw[:-4].removeprefix(b"/")) + MUST_BE_FOLDER, regex)
    return PathRule(
        drop=not pattern.startswith("+ "),
        regex=regex if on_name else _before(raw) + regex,
        on_name=on_name,
    )


def _regex(raw: bytes) -> bytes:
    # A backslash escapes only where there is something to escape, as in rsync.
    wild = any(char in raw for char in (b"*", b"?", b"["))
    return rsync_regex(raw) if wild else re.escape(raw)


def _before(raw: bytes) -> bytes:
    """Return what may stand before a pattern in a path, the path's own first slash included."""
    if raw.startswith(b"/"):
        return b"/"
    # Leading stars match all that comes before; rsync lets their slash be the path's first one.
    return b"" if raw.startswith(b"**") else rb"(?:[^\0]*/)"

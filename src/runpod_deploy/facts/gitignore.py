"""`.gitignore` files by git's rules: the last pattern that matches decides, deeper files first.

Each path is asked about by itself, from the top down, as git does: what lies in an ignored folder is
never asked about, so nothing in it can be taken back in, and the source that a job names is never
asked about either. Only the files of the project count: `.git/info/exclude` and a user's own
`core.excludesFile` would make the plan depend on the machine.
"""

import re
from dataclasses import dataclass

from runpod_deploy.facts.rules import MAY_BE_FOLDER, MUST_BE_FOLDER, PathRule, PathRules
from runpod_deploy.facts.wildmatch import git_regex

_BOM = b"\xef\xbb\xbf"
_SPECIAL = re.compile(rb"[*?\[\\]")
_UNESCAPED_SPACES = re.compile(rb"((?:[^\\]|\\.)*?) +", re.DOTALL)


@dataclass(frozen=True, slots=True)
class IgnoreFile:
    """One file's rules and the place they are anchored at.

    Attributes:
        rules: In the order in which they decide: the file's last line first.
        prefix: Put before a path for a file above the source: the source's own path from there.
        skip: Cut from a path for a file below the source: bytes of its folder's path.
    """

    rules: PathRules
    prefix: bytes
    skip: int = 0

    def ignores(self, path: bytes, name: bytes) -> bool | None:
        """Return whether the file's patterns ignore `path`, which begins with `/` at the source.

        None when they say nothing.
        """
        return self.rules.drops(self.prefix + path[self.skip :], name)


def parse(content: bytes) -> PathRules:
    """Return the rules of a `.gitignore` file."""
    lines = content.removeprefix(_BOM).split(b"\n")
    rules = (_rule(line.removesuffix(b"\r")) for line in reversed(lines))
    return PathRules(rule for rule in rules if rule is not None)


def _rule(line: bytes) -> PathRule | None:
    if line.startswith(b"#"):
        return None
    trailing = _UNESCAPED_SPACES.fullmatch(line)
    pattern = trailing[1] if trailing else line
    drop = not pattern.startswith(b"!")
    pattern = pattern if drop else pattern[1:]
    folders_only = pattern.endswith(b"/")
    if folders_only:
        pattern = pattern[:-1]
    if not pattern:
        return None
    ending = MUST_BE_FOLDER if folders_only else MAY_BE_FOLDER
    on_name = b"/" not in pattern
    regex = _regex(pattern.removeprefix(b"/")) + ending
    return PathRule(drop=drop, regex=regex if on_name else b"/" + regex, on_name=on_name)


def _regex(pattern: bytes) -> bytes:
    return git_regex(pattern) if _SPECIAL.search(pattern) else re.escape(pattern)

"""Payloads of trees that were planned before: an unchanged tree costs one look at each status.

Kept beside the digests, one file for each source and choice of files: what the walk saw, as a
digest; the payload list, in the very bytes that the plan's digest of the tree is over; and what is
asked of it as a whole. It counts only while a second look sees the same. A tree with a file that
was changed less than two seconds before it was read is not kept, nor one in which anything changed
while it was read, or stood in the way.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runpod_deploy._version import __version__
from runpod_deploy.compiler.payload import canonical_list
from runpod_deploy.compiler.payload_files import PayloadFiles, Sums
from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.compiler.secret_looking import NAMES
from runpod_deploy.facts.digest_cache import YOUNG_NS
from runpod_deploy.facts.kept_file import kept_folder, read_kept, write_kept
from runpod_deploy.facts.requirements import NAMES as REQUIREMENTS
from runpod_deploy.facts.trace import fingerprint, look_again, youngest_ns
from runpod_deploy.facts.walk import RuleFile, Walk, stays_inside
from runpod_deploy.frozen import frozen
from runpod_deploy.schema.plain import to_plain

MAGIC = b"runpod-deploy tree 1\n"
_FEWEST_FILES = 200
# What is kept is also what these made of the files' names and contents.
_MADE_BY = (__version__, NAMES, REQUIREMENTS.pattern)


@frozen
class Choice:
    """A source, and everything outside of it that decides which of its files travel."""

    source: Path
    excludes: tuple[str, ...]
    gitignore: bool
    above: tuple[RuleFile, ...]

    def place(self, environ: Mapping[str, str]) -> Path:
        """Return where its payload is kept."""
        said = [os.fspath(self.source), self.excludes, self.gitignore]
        return kept_folder(environ) / "trees" / f"{_digest(said)[:32]}.json"

    @property
    def key(self) -> str:
        """A digest of all of it, and of who asks."""
        rules = [(one.name, os.fspath(one.folder), one.content.hex()) for one in self.above]
        return _digest(
            [_MADE_BY, os.fspath(self.source), self.excludes, self.gitignore, sorted(rules)]
        )


@frozen
class KnownTree:
    """A payload and what goes with it; `flagged` and `requirements` as of `Payload`."""

    entries: PayloadFiles
    flagged: tuple[tuple[str, int], ...]
    requirements: tuple[str, ...]


def recall(choice: Choice, environ: Mapping[str, str]) -> KnownTree | None:
    """Return the payload of an unchanged tree; None when it is not known, or not the same."""
    body = read_kept(choice.place(environ), MAGIC)
    if body is None:
        return None
    head, _, listed = body.partition(b"\n")
    said = json.loads(head)
    if said["key"] != choice.key or not _same(os.fspath(choice.source), said):
        return None
    sums = said["sums"]
    return KnownTree(
        entries=PayloadFiles(
            count=said["count"],
            sums=Sums(
                **sums
                | {"largest": tuple((size, path) for size, path in sums["largest"])}
                | {name: tuple(sums[name]) for name in ("huge", "secret_named")}
            ),
            load=lambda: tuple(PayloadEntry(**one) for one in json.loads(listed)),
        ),
        flagged=tuple((path, flags) for path, flags in said["flagged"]),
        requirements=tuple(said["requirements"]),
    )


def _same(root: str, said: Mapping[str, Any]) -> bool:
    folders = []
    try:
        for prefix, done in said["folders"]:
            seen = look_again(root, prefix, done.encode())
            if seen is None:
                return False
            folders.append(seen)
        if fingerprint(folders) != said["fingerprint"]:
            return False
        # Where a link leads may change with what lies outside.
        real = os.path.realpath(root)
        return all(stays_inside(root, real, path, target) for path, target in said["links"])
    except OSError:
        return False


def remember(
    choice: Choice, tree: KnownTree, walked: Walk, began_ns: int, environ: Mapping[str, str]
) -> None:
    """Keep the payload of a tree that was found and read without a hindrance.

    Args:
        choice: What decided which files travel.
        tree: The payload.
        walked: What the walk found; nothing changed since.
        began_ns: When the walk began, by the clock that file time stamps are compared with.
        environ: Says where it is kept.
    """
    known = len(tree.entries) >= _FEWEST_FILES and not walked.obstacles
    if not known or youngest_ns(walked.folders) >= began_ns - YOUNG_NS:
        return
    links = [(one.path, one.target) for one in walked.found if one.target is not None]
    head = {
        "key": choice.key,
        "fingerprint": fingerprint(walked.folders),
        "folders": [(one.prefix, one.done.decode()) for one in walked.folders],
        "links": links,
        "count": len(tree.entries),
        "sums": to_plain(tree.entries.sums),
        "flagged": tree.flagged,
        "requirements": tree.requirements,
    }
    body = json.dumps(head).encode() + b"\n" + canonical_list(tree.entries)
    write_kept(choice.place(environ), MAGIC, body)


def _digest(said: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()

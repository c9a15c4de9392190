"""Files that only spare work: sealed by a digest of their own, replaced as a whole, done without.

One that is damaged, foreign or half-written is no file, and one that cannot be written is not. What
was not written for a month goes when a neighbour is written: projects come and go.
"""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_SEAL = hashlib.sha256().digest_size
_MONTH_SEC = 30 * 24 * 3600


def kept_folder(environ: Mapping[str, str]) -> Path:
    """Return where such files lie."""
    base = environ.get("XDG_CACHE_HOME", "")
    # A relative path there is to be ignored, says the XDG specification.
    folder = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return folder / "runpod-deploy"


def read_kept(file: Path, magic: bytes) -> bytes | None:
    """Return the content of `file`; None when it is missing, not whole, or not of this kind."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    if not content.startswith(magic) or len(content) < len(magic) + _SEAL:
        return None
    body = content[len(magic) : -_SEAL]
    return body if hashlib.sha256(body).digest() == content[-_SEAL:] else None


def write_kept(file: Path, magic: bytes, body: bytes) -> None:
    """Replace `file`, or leave it when that cannot be done."""
    new = file.with_name(f".new-{os.getpid()}-{os.urandom(4).hex()}")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with new.open("xb") as stream:
                stream.write(magic + body + hashlib.sha256(body).digest())
            new.replace(file)
        finally:
            new.unlink(missing_ok=True)
        _forget_old(file)


def _forget_old(newest: Path) -> None:
    """Delete what lies beside a file that was just written and is a month older."""
    limit = newest.stat().st_mtime - _MONTH_SEC
    with os.scandir(newest.parent) as entries:
        old = [one.path for one in entries if one.stat(follow_symlinks=False).st_mtime < limit]
    for path in old:
        Path(path).unlink(missing_ok=True)

"""What looks like a secret: names of files, and the shapes that issuers give to keys and tokens."""

import re
from collections.abc import Iterator

NAMES = (
    r"(\.env(\.(?!example|sample|template|dist)[^/]*)?|\.netrc|\.pgpass|\.pypirc|\.npmrc"
    r"|id_(rsa|dsa|ecdsa|ed25519)|[^/]*\.(pem|p12|pfx|key|kdbx)|credentials(\.json)?"
    r"|service[-_]account[^/]*\.json|\.git-credentials)"
)
"""Pattern of a whole file name."""

_SHAPES: tuple[tuple[bytes, bytes, str], ...] = (
    (b"PRIVATE KEY-----", rb"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----", "a private key"),
    (b"AKIA", rb"(?<![A-Z0-9])AKIA[A-Z2-7]{16}(?![A-Z0-9])", "an AWS access key"),
    (b"ghp_", rb"(?<!\w)ghp_[A-Za-z0-9]{36}(?!\w)", "a GitHub token"),
    (b"github_pat_", rb"(?<!\w)github_pat_\w{40,}", "a GitHub token"),
    (b"glpat-", rb"(?<!\w)glpat-[\w-]{20,}", "a GitLab token"),
    (b"hf_", rb"(?<!\w)hf_[A-Za-z0-9]{34}(?!\w)", "a Hugging Face token"),
    (b"rpa_", rb"(?<!\w)rpa_[A-Z0-9]{30,}", "a RunPod API key"),
    (b"sk-", rb"(?<![\w-])sk-(?:proj-|ant-)?[\w-]{32,}", "an API key"),
    (b"xox", rb"(?<!\w)xox[abprs]-[\w-]{20,}", "a Slack token"),
    (b"AIza", rb"(?<!\w)AIza[\w-]{35}(?![\w-])", "a Google API key"),
)
"""A needle that is cheap to look for, the whole shape, and what it is called."""


_TELLING_NAME = re.compile(
    r"(?i:.*(?:password|passwd|passphrase|secret|api_?key|access_?key|auth_?token|access_?token))"
    r"|(?!(?:.*_)?(?:BOS|EOS|PAD|UNK|SEP|CLS|MASK)_TOKEN)[A-Z0-9_]+_TOKEN"
)
_TELLING_VALUE = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[^\s{}$<>/]{8,}")


def looks_secret(content: bytes) -> tuple[str, int] | None:
    """Return what `content` holds that looks like a secret, and where it begins; None: nothing."""
    return next(all_secrets(content), None)


def all_secrets(content: bytes) -> Iterator[tuple[str, int]]:
    """Yield, for each kind of secret, what it is called and where the first of it begins."""
    for needle, shape, kind in _SHAPES:
        if needle in content:
            found = re.search(shape, content)
            if found:
                yield kind, found.start()


def named_secret(name: str, value: str) -> bool:
    """Return whether a value is a secret by the name that it has, such as `DB_PASSWORD`.

    A reference, a path, a word and a number are none.
    """
    return bool(_TELLING_NAME.fullmatch(name) and _TELLING_VALUE.fullmatch(value))

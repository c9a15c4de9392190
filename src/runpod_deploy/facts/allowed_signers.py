"""The `allowed_signers` file of ssh-keygen(1): whose signatures count, for what and when."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import translate

from runpod_deploy.errors import Diagnostic, InvalidInput, Position, Severity
from runpod_deploy.facts.sshsig import KEY_TYPES, BadSignature, key_type

_BLANKS = " \t"
_OPTION = re.compile(r'([A-Za-z-]+)(?:="((?:[^"\\]|\\.)*)")?(?:,|$)')
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|([^ \t]+)')
_KEY_TYPE = re.compile(r"[a-z][a-z0-9-]*(@[a-z.]+)?")
_TIME = re.compile(r"(\d{8})(\d{4}(?:\d{2})?)?(Z?)")


@dataclass(frozen=True, kw_only=True, slots=True)
class AllowedSigner:
    """One line.

    Attributes:
        principals: As written, such as `ann@example.org`.
        public_key: As SSH encodes it.
        namespaces: Patterns of what the signatures may be for; None: anything.
        valid_after: Seconds since the epoch; None: always.
        valid_before: Likewise.
    """

    principals: str
    public_key: bytes
    namespaces: str | None = None
    valid_after: float | None = None
    valid_before: float | None = None

    def objection(self, namespace: str, now: float) -> str | None:
        """Return why a signature of this key does not count now, None when it does."""
        if self.namespaces is not None and not matches(namespace, self.namespaces):
            return f"the key may sign for {self.namespaces} only"
        if self.valid_after is not None and now < self.valid_after:
            return "the key does not count yet (valid-after)"
        if self.valid_before is not None and now > self.valid_before:
            return "the key does not count any more (valid-before)"
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class AllowedSigners:
    """A whole file; `notes` are about lines that are understood and cannot count."""

    name: str
    signers: tuple[AllowedSigner, ...]
    notes: tuple[Diagnostic, ...]


def matches(text: str, patterns: str) -> bool:
    """Return whether `text` is in an SSH pattern list: `*`, `?`, and `!` in front to forbid."""
    found = False
    for pattern in patterns.split(","):
        stars = re.sub(r"([\[\]])", r"[\1]", pattern.removeprefix("!"))
        if re.fullmatch(translate(stars), text):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def read_allowed_signers(data: bytes, name: str) -> AllowedSigners:
    """Return what an `allowed_signers` file says.

    Raises:
        InvalidInput: It is not UTF-8, or a line cannot be understood; holds all of them.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name} is not UTF-8 text (byte {error.start + 1})") from error
    signers: list[AllowedSigner] = []
    notes: list[Diagnostic] = []
    problems: list[Diagnostic] = []
    # Lines and blanks are those of OpenSSH: a separator that only Unicode knows must not turn the
    # end of a comment into a signer.
    for number, whole in enumerate(text.split("\n"), start=1):
        line = whole.rstrip(_BLANKS + "\r")
        start = len(line) - len(line.lstrip(_BLANKS))
        if start == len(line) or line[start] == "#":
            continue
        where = Position(file=name, line=number, column=start + 1)
        try:
            signers.append(_signer(line))
        except _CannotCount as note:
            notes.append(_diagnostic(Severity.WARNING, str(note), where, line))
        except ValueError as problem:
            problems.append(_diagnostic(Severity.ERROR, str(problem), where, line))
    if problems:
        raise InvalidInput(f"{name} cannot be used", diagnostics=(*problems, *notes))
    return AllowedSigners(name=name, signers=tuple(signers), notes=tuple(notes))


class _CannotCount(Exception):
    """A line that is understood, of which no signature can count here."""


def _diagnostic(severity: Severity, detail: str, where: Position, line: str) -> Diagnostic:
    return Diagnostic(
        severity=severity,
        code="allowed-signers",
        summary="A line names no signer",
        detail=detail,
        where=where,
        source_line=line,
        help="The format is in ssh-keygen(1), under ALLOWED SIGNERS:\n"
        '  ann@example.org namespaces="runpod-deploy" ssh-ed25519 AAAA…',
    )


def _signer(line: str) -> AllowedSigner:
    words = list(_words(line))
    if len(words) < 3:
        raise ValueError("A line is principals, options if any, key type and key.")
    principals, second, *rest = words
    # A key type as it is alone; else it is the options, in which spaces may stand between quotes.
    if _KEY_TYPE.fullmatch(second) and second != "cert-authority":
        options, kind, encoded = "", second, rest[0]
    else:
        options, (kind, encoded) = _options_and_key(line)
    signer = AllowedSigner(principals=principals, public_key=_key(kind, encoded))
    if kind not in KEY_TYPES:
        raise _CannotCount(f"Keys of the type {kind} cannot be checked; none of theirs count.")
    return _with_options(signer, options)


def _words(line: str) -> Iterator[str]:
    for match in _WORD.finditer(line):
        yield match[1].replace('\\"', '"') if match[1] is not None else match[2]


def _options_and_key(line: str) -> tuple[str, tuple[str, str]]:
    first = _WORD.search(line)
    assert first is not None  # noqa: S101 - the line has words
    rest = line[first.end() :].lstrip(_BLANKS)
    quoted = re.match(r'(?:[^ \t"]|"(?:[^"\\]|\\.)*")+', rest)
    if quoted is None or rest.startswith('"', quoted.end()):
        raise ValueError("A quote is not closed.")
    key = re.findall(r"[^ \t]+", rest[quoted.end() :])
    if len(key) < 2:
        raise ValueError("The key is missing.")
    return quoted[0], (key[0], key[1])


def _key(kind: str, encoded: str) -> bytes:
    try:
        blob = base64.b64decode(encoded, validate=True)
        inside = key_type(blob)
    except (binascii.Error, BadSignature):
        raise ValueError("The key is not whole.") from None
    if inside != kind:
        raise ValueError(f"The line says {kind}, the key is of the type {inside}.")
    return blob


def _with_options(signer: AllowedSigner, text: str) -> AllowedSigner:
    at = 0
    seen: set[str] = set()
    while at < len(text):
        match = _OPTION.match(text, at)
        if match is None:
            raise ValueError(f"The options cannot be read at `{text[at : at + 30]}`.")
        at = match.end()
        name, value = match[1].lower(), match[2]
        if name in seen:
            raise ValueError(f"`{name}` stands twice; ssh-keygen counts no such line.")
        seen.add(name)
        if name == "cert-authority":
            raise _CannotCount(
                "cert-authority is not supported: signatures by certificates of this authority do "
                "not count. List the people's own keys."
            )
        if name == "namespaces" and value is not None:
            signer = replace(signer, namespaces=value)
        elif name == "valid-after" and value is not None:
            signer = replace(signer, valid_after=_time(value))
        elif name == "valid-before" and value is not None:
            signer = replace(signer, valid_before=_time(value))
        else:
            raise ValueError(f"There is no option `{match[0].rstrip(',')}`.")
    before, after = signer.valid_before, signer.valid_after
    if before is not None and after is not None and before <= after:
        raise ValueError("`valid-before` is not later than `valid-after`.")
    return signer


def _time(text: str) -> float:
    """Return seconds since the epoch; without a Z it is local time, as in ssh-keygen."""
    match = _TIME.fullmatch(text)
    clock = (match[2] or "0000").ljust(6, "0") if match else ""
    try:
        moment = datetime.strptime(f"{match[1] if match else ''}{clock}", "%Y%m%d%H%M%S")  # noqa: DTZ007 - the zone follows
    except ValueError:
        raise ValueError(f"`{text}` is no time: YYYYMMDD[Z] or YYYYMMDDHHMM[SS][Z].") from None
    zone = UTC if match and match[3] else None
    return (moment.replace(tzinfo=zone) if zone else moment.astimezone()).timestamp()

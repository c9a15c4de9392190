"""The `allowed_signers` file: what counts, and that nothing counts which OpenSSH would not count."""

import base64
import struct

import pytest

from runpod_deploy.errors import InvalidInput
from runpod_deploy.facts.allowed_signers import AllowedSigner, matches, read_allowed_signers

BLOB = struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 32) + bytes(32)
KEY = f"ssh-ed25519 {base64.b64encode(BLOB).decode()}"
NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z


def read(text: str) -> tuple[AllowedSigner, ...]:
    """Return the signers in a file."""
    return read_allowed_signers(text.encode(), "allowed").signers


@pytest.mark.parametrize(
    ("line", "principals"),
    [
        (f"ann@example.org {KEY}", "ann@example.org"),
        (f"\tann@example.org \t{KEY} a comment\r", "ann@example.org"),
        (f'"ann@example.org,*@example.org" {KEY}', "ann@example.org,*@example.org"),
        (f'ann namespaces="git, runpod-deploy",valid-after="20200101Z" {KEY}', "ann"),
    ],
)
def test_a_line_is_principals_options_and_key(line: str, principals: str) -> None:
    """Blanks, quotes, comments and line ends as OpenSSH takes them."""
    (signer,) = read(f"# who may\n\n{line}\n")
    assert (principals, BLOB) == (signer.principals, signer.public_key)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x0b", "\x0c", "\x85", "\x1c", "\r"])
def test_a_comment_ends_at_its_line_end_only(separator: str) -> None:
    """A separator that only Unicode or an old terminal knows smuggles no signer out of a comment."""
    assert () == read(f"# all clear{separator}eve@example.org {KEY}\n")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("ann@example.org", "A line is principals"),
        ("ann ssh-ed25519 AAAA", "not whole"),
        (f"ann {KEY.replace('ssh-ed25519', 'ssh-rsa')}", "the key is of the type ssh-ed25519"),
        (f'ann namespaces="git {KEY}', "A quote is not closed"),
        (f"ann namespaces=git {KEY}", "options cannot be read"),
        (f'ann verify="yes" {KEY}', "There is no option"),
        (f'ann valid-before="soon" {KEY}', "is no time"),
        (f'ann namespaces="git",Namespaces="*" {KEY}', "`namespaces` stands twice"),
        (
            f'ann valid-after="20260101Z",valid-after="20250101Z" {KEY}',
            "`valid-after` stands twice",
        ),
        (f'ann valid-before="20260101Z",valid-before="20270101Z" {KEY}', "stands twice"),
        (f'ann valid-before="20260101Z",valid-after="20260101Z" {KEY}', "is not later than"),
        (f"ann\u00a0{KEY}", "A line is principals"),
    ],
)
def test_a_line_that_cannot_be_understood_is_an_error_with_its_place(
    line: str, problem: str
) -> None:
    """Nobody is left out in silence; all bad lines are told."""
    with pytest.raises(InvalidInput) as raised:
        read(f"# first\n{line}\n{line}\n")
    assert [2, 3] == [one.where.line for one in raised.value.diagnostics if one.where]
    assert all(problem in one.detail for one in raised.value.diagnostics)


def test_lines_that_cannot_count_are_told_and_left_out() -> None:
    """Certificates and kinds of keys that are not checked give a warning."""
    old = struct.pack(">I", 7) + b"ssh-dss" + struct.pack(">I", 1) + b"x"
    text = f"ann cert-authority {KEY}\nbob ssh-dss {base64.b64encode(old).decode()}\n"
    allowed = read_allowed_signers(text.encode(), "allowed")
    assert () == allowed.signers
    assert ["cert-authority is not supported", "Keys of the type ssh-dss"] == [
        note.detail[: len(start)]
        for note, start in zip(
            allowed.notes,
            ("cert-authority is not supported", "Keys of the type ssh-dss"),
            strict=True,
        )
    ]


@pytest.mark.parametrize(
    ("options", "objection"),
    [
        ('namespaces="runpod-deploy"', None),
        ('namespaces="*"', None),
        ('namespaces="runpod-*,!runpod-deploy"', "may sign for"),
        ('namespaces=""', "may sign for"),
        ('namespaces="Runpod-Deploy"', "may sign for"),
        ('namespaces="runpod-deploy[x]"', "may sign for"),
        ('valid-after="20260101Z",valid-before="20260102Z"', None),
        ('valid-after="202601011201Z"', "valid-after"),
        ('valid-before="20260101115959Z"', "valid-before"),
    ],
)
def test_options_say_for_what_and_when(options: str, objection: str | None) -> None:
    """At noon of the first of January 2026, for our namespace."""
    (signer,) = read(f"ann {options} {KEY}\n")
    told = signer.objection("runpod-deploy", NOON)
    assert (told is None) == (objection is None), told
    assert (objection or "") in (told or "")


@pytest.mark.parametrize(
    ("patterns", "found"),
    [("a?c", True), ("a*", True), ("!abc,*", False), ("*,!abc", False), ("[a]bc", False)],
)
def test_patterns_are_those_of_ssh(patterns: str, found: bool) -> None:
    """Two wildcards, and a refusal that stands above everything."""
    assert found == matches("abc", patterns)

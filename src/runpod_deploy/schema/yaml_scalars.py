"""Plain scalars by the YAML 1.2 core schema, the one editors use.

So `yes`, `no`, `on`, `off` are text, `12:30` is text, `010` is ten and `0o10` is eight.
"""

import re

Scalar = str | int | float | bool | None

MAX_DIGITS = 300
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
_WORDS: dict[str, Scalar] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_NUMBER_STARTS = frozenset("+-.0123456789")
_INFINITY = float("inf")


class NotFiniteError(ValueError):
    """NaN, infinity, or a number too large to be one."""


def resolve(text: str) -> Scalar:
    """Return the value of an unquoted scalar.

    Raises:
        NotFiniteError: The scalar is NaN or infinite, or has more than `MAX_DIGITS` digits.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    return _number(text)


def _number(text: str) -> Scalar:
    if _NOT_FINITE.match(text):
        raise NotFiniteError(text)
    for pattern, base in ((_INTEGER, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
        if pattern.match(text):
            if len(text) > MAX_DIGITS:
                raise NotFiniteError(text)
            return int(text, base)
    if not _FLOAT.match(text):
        return text
    value = float(text)
    if abs(value) == _INFINITY:
        raise NotFiniteError(text)
    return value

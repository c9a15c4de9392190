"""The one spelling of plain data that is hashed and signed: JSON by RFC 8785."""

import hashlib
import math
from collections.abc import Mapping
from json.encoder import encode_basestring

_EXACT = 2**53


class CanonicalError(ValueError):
    """The data has no canonical form: NaN, infinity, a lone surrogate, an integer beyond 2^53."""


def canonical(value: object) -> bytes:
    """Return `value`, made of dicts, lists, tuples and scalars, as RFC 8785 JSON in UTF-8.

    Raises:
        CanonicalError: A value that RFC 8785 cannot express exactly.
    """
    parts: list[str] = []
    _write(value, parts)
    try:
        return "".join(parts).encode()
    except UnicodeEncodeError as error:
        raise CanonicalError("a string holds a lone surrogate and is not Unicode text") from error


def sha256(value: object) -> str:
    """Return `sha256:` and the hex digest over the canonical form of `value`."""
    return f"sha256:{hashlib.sha256(canonical(value)).hexdigest()}"


def quote(text: str) -> str:
    """Return `text` as a canonical JSON string; lone surrogates are the caller's to refuse."""
    return encode_basestring(text)


def _write(value: object, parts: list[str]) -> None:
    if isinstance(value, str):
        parts.append(encode_basestring(value))
    elif value is None or isinstance(value, (bool, int, float)):
        parts.append(_scalar(value))
    elif isinstance(value, Mapping):
        _write_mapping(value, parts)
    elif isinstance(value, (list, tuple)):
        separator = "["
        for item in value:
            parts.append(separator)
            _write(item, parts)
            separator = ","
        parts.append("]" if value else "[]")
    else:
        raise CanonicalError(f"{type(value).__name__} is not JSON data")


def _write_mapping(value: Mapping[object, object], parts: list[str]) -> None:
    keys = [key for key in value if isinstance(key, str)]
    if len(keys) != len(value):
        raise CanonicalError("an object has a key that is not a string")
    try:
        keys.sort(key=_utf16)
    except UnicodeEncodeError as error:
        raise CanonicalError("a key holds a lone surrogate and is not Unicode text") from error
    separator = "{"
    for key in keys:
        parts.append(f"{separator}{encode_basestring(key)}:")
        _write(value[key], parts)
        separator = ","
    parts.append("}" if keys else "{}")


def _utf16(key: str) -> bytes:
    # RFC 8785 sorts by UTF-16 code units, which differs from code points above U+FFFF.
    return key.encode("utf-16-be")


def _scalar(value: float | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if abs(value) > _EXACT:
            raise CanonicalError(f"{value} is beyond 2^53 and would not survive as a JSON number")
        return int.__repr__(value)
    if not math.isfinite(value):
        raise CanonicalError(f"{value} is not a JSON number")
    return _es6_number(value)


def _es6_number(value: float) -> str:
    """Return `value` as ECMAScript's Number::toString writes it (ECMA-262 6.1.6.1.20)."""
    if value == 0:
        return "0"
    mantissa, _, exponent = float.__repr__(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    shown = (whole + fraction).lstrip("0")
    # `point` is n of the standard: the value is 0.DIGITS times ten to the power of n.
    point = len(shown) - len(fraction) + int(exponent or "0")
    digits = shown.rstrip("0")
    sign = "-" if value < 0 else ""
    if len(digits) <= point <= 21:
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"

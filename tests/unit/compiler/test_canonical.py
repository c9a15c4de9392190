"""RFC 8785: one spelling for each value."""

import math

import pytest

from runpod_deploy.compiler.canonical import CanonicalError, canonical


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (10.0, "10"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (999999999999999900000.0, "999999999999999900000"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (-1.5e-9, "-1.5e-9"),
        (0.1, "0.1"),
        (123.456, "123.456"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9007199254740992.0, "9007199254740992"),
        (295147905179352830000.0, "295147905179352830000"),
        (333333333.3333332, "333333333.3333332"),
        (2**53, "9007199254740992"),
        (-(2**53), "-9007199254740992"),
        (True, "true"),
        (None, "null"),
    ],
)
def test_scalars_are_written_as_ecmascript_does(value: object, expected: str) -> None:
    """Numbers have the one form that ECMAScript gives them."""
    assert expected.encode() == canonical(value)


def test_keys_sort_by_utf16_code_units() -> None:
    """A character outside of the basic plane sorts by its surrogates, before U+FB33."""
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\xf6": 7}

    expected = '{"\\r":2,"1":4,"\x80":6,"\xf6":7,"\u20ac":1,"\U0001f600":5,"\ufb33":3}'
    assert expected.encode() == canonical(value)


def test_strings_escape_only_what_json_must() -> None:
    """Control characters, quote and backslash are escaped, everything else stands as it is."""
    assert '"\\u000f\\n\\"\\\\/€\x7f"'.encode() == canonical('\x0f\n"\\/€\x7f')


def test_containers_have_no_white_space() -> None:
    """Lists and tuples are arrays, empty ones too."""
    assert b'{"a":[1,[],{}],"b":[]}' == canonical({"b": (), "a": [1, (), {}]})


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, 2**53 + 1, -(2**53) - 1, "\ud800", {"\udfff": 1}, {1: 2}, b""],
)
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    """What another reader could take for something else is refused."""
    with pytest.raises(CanonicalError):
        canonical({"x": value})

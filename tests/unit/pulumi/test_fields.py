"""Inputs as they come over the wire, brought into one form."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("pulumi")

from pulumi.output import Unknown

from runpod_deploy.pulumi import fields
from runpod_deploy.pulumi.fields import Field, checked


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (fields.whole(1), 10.0, 10),
        (fields.amount, 3, 3.0),
        (fields.text, "a", "a"),
        (fields.path, "/a b", "/a b"),
        (fields.flag, False, False),
        (fields.one_of("A", "B"), "B", "B"),
        (fields.texts, ("a", "b"), ["a", "b"]),
        (fields.mapping, {"A": ""}, {"A": ""}),
    ],
)
def test_values_have_one_form(read: fields.Reader, value: Any, expected: Any) -> None:
    """Whole numbers are ints although they travel as floats."""
    found = read(value)
    assert (expected, type(expected)) == (found, type(found))


@pytest.mark.parametrize(
    ("read", "value", "reason"),
    [
        (fields.whole(1), 1.5, "whole number"),
        (fields.whole(1), True, "whole number"),
        (fields.whole(1), "1", "whole number"),
        (fields.whole(1), float("nan"), "whole number"),
        (fields.whole(1), float("inf"), "whole number"),
        (fields.whole(1), 0, "1 or more"),
        (fields.whole(1, 5), 6, "from 1 to 5"),
        (fields.amount, 0, "above 0"),
        (fields.amount, float("nan"), "above 0"),
        (fields.amount, True, "above 0"),
        (fields.text, "", "not empty"),
        (fields.path, "a", "absolute"),
        (fields.flag, 1, "true or false"),
        (fields.one_of("A", "B"), "C", "one of A, B"),
        (fields.one_of("A", "B"), ["A"], "one of A, B"),
        (fields.texts, "ab", "list of texts"),
        (fields.texts, ["a", 1], "text"),
        (fields.some_texts, [], "at least one"),
        (fields.mapping, ["a"], "map names"),
        (fields.mapping, {"a": 1}, "map names"),
    ],
)
def test_what_cannot_be_is_told_why(read: fields.Reader, value: Any, reason: str) -> None:
    """As the end of a sentence that begins with the input's name."""
    with pytest.raises(ValueError, match=reason):
        read(value)


def test_all_faults_are_told_and_the_unknown_is_let_through() -> None:
    """Defaults are filled in; what nobody asked for is dropped."""
    some = (
        Field(name="a", read=fields.text, required=True),
        Field(name="b", read=fields.whole(1), default=7),
        Field(name="c", read=fields.text),
        Field(name="d", read=fields.text),
    )
    unknown = Unknown()
    inputs, failures = checked(some, {"c": 3, "d": unknown, "__provider": "x", "e": None})
    assert {"b": 7, "d": unknown} == inputs
    assert [("a", "is needed"), ("c", "must be a text that is not empty")] == [
        (failure.property, failure.reason) for failure in failures
    ]

"""What an editor shows of a key: its prose, and its default and limits in words."""

import json
from typing import Any

import pytest

from runpod_deploy.schema.documents import SCHEMA_NAMES, schema_document
from runpod_deploy.schema.hover import published_schema
from runpod_deploy.schema.key_facts import default_of, example_of, limits_of, type_of

ROOT = {"$defs": {"name": {"type": "string", "default": "x", "maxLength": 9}}}
EMBEDDED = {"sweep": "plan", "sweep-diff": "diff"}
ADDED = {"markdownDescription", "markdownEnumDescriptions"}


def without(document: Any, keywords: set[str]) -> Any:
    """Return `document` without these keys, at any depth."""
    if isinstance(document, dict):
        return {k: without(v, keywords) for k, v in document.items() if k not in keywords}
    return [without(one, keywords) for one in document] if isinstance(document, list) else document


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_a_published_schema_decides_what_ours_decides(name: str) -> None:
    """Only words are added: without them the published document is the one that we validate with."""
    published = json.loads(published_schema(name))
    if name in EMBEDDED:
        # Where ours has a word about plans, the published one has all that is published about them.
        part = EMBEDDED[name]
        whole = published["$defs"].pop(part)
        assert whole == json.loads(published_schema(part))
        published["$defs"][part] = json.loads(schema_document(name))["$defs"][part]

    assert json.loads(schema_document(name)) == without(published, ADDED)
    assert published["description"] == published["markdownDescription"]


def test_default_and_limits_stand_in_the_hover() -> None:
    """A key's default and range follow its description; a key without a default says so."""
    pod = json.loads(published_schema("job"))["properties"]["pod"]["properties"]

    assert pod["gpu_count"]["markdownDescription"].endswith(
        "How many GPUs the pod has.\n\nDefault: `1`\n\nLimits: 1 to 32."
    )
    assert "\n\nNot set by default.\n\n" in pod["min_cuda"]["markdownDescription"]
    assert "Default" not in pod["gpu_order"]["markdownDescription"]


def test_a_key_that_is_called_like_a_keyword_stays_a_key() -> None:
    """Below `properties` stand names: a key `command` or `items` is described, not taken apart."""
    command = json.loads(published_schema("job"))["$defs"]["command"]["properties"]["command"]

    assert command["markdownDescription"].startswith("The command or script.")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"type": "integer"}, "integer"),
        ({"type": ["number", "null"]}, "number or null"),
        ({"type": "array", "items": {"$ref": "#/$defs/name"}}, "list of string"),
        ({"type": "array"}, "list"),
        ({"type": "object"}, "mapping"),
        ({"type": "object", "additionalProperties": False}, "mapping"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "mapping to number"),
        (
            {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/name"}, {"type": "null"}]},
            "string or null",
        ),
        ({"enum": ["a", "b", None]}, "string or null"),
        ({"const": 3}, "integer"),
        ({}, "any value"),
    ],
)
def test_a_type_in_words(rule: dict[str, Any], words: str) -> None:
    """References, lists, mappings and alternatives are told as a person would."""
    assert words == type_of(rule, ROOT)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"default": "any"}, "any"),
        ({"default": ""}, '""'),
        ({"default": 72.0}, "72"),
        ({"default": 0.9}, "0.9"),
        ({"default": True}, "true"),
        ({"default": None}, "null"),
        ({"default": ["22/tcp"]}, '["22/tcp"]'),
        ({"$ref": "#/$defs/name"}, "x"),
        ({"$ref": "#/$defs/name", "default": "y"}, "y"),
        ({}, None),
    ],
)
def test_a_default_as_it_would_be_written(rule: dict[str, Any], words: str | None) -> None:
    """A default can be copied into a job file; what is said at the place beats what it refers to."""
    assert words == default_of(rule, ROOT)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"minimum": 1, "maximum": 100000}, "1 to 100,000."),
        ({"exclusiveMinimum": 0, "maximum": 1}, "Above 0 and at most 1."),
        ({"minimum": 0}, "At least 0."),
        ({"exclusiveMaximum": 5}, "Below 5."),
        (
            {"minItems": 1, "maxItems": 100, "uniqueItems": True},
            "1 to 100 entries. No entry twice.",
        ),
        ({"maxItems": 1000}, "At most 1,000 entries."),
        ({"minItems": 2}, "At least 2 entries."),
        ({"minLength": 1}, "May not be empty."),
        ({"maxProperties": 7, "patternErrorMessage": "Like `x`."}, "At most 7 keys. Like `x`."),
        ({"$ref": "#/$defs/name"}, "At most 9 characters."),
        ({"type": "string"}, None),
    ],
)
def test_limits_in_words(rule: dict[str, Any], words: str | None) -> None:
    """Ranges, sizes and forms are sentences; a key without limits says nothing."""
    assert words == limits_of(rule, ROOT)


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ({"examples": ["a", "b"]}, "a"),
        ({"examples": [None]}, None),
        ({"const": 3}, 3),
        ({"properties": {"a": {"const": 1}, "b": {"examples": [2]}}}, {"a": 1, "b": 2}),
        ({"type": "array", "items": {"const": 1}}, [1]),
        ({"type": "object", "additionalProperties": {"const": 1}}, {"label": 1}),
        ({"anyOf": [{"type": "null"}, {"const": 1}]}, 1),
        ({"type": "null"}, None),
    ],
)
def test_an_example_is_the_first_or_made_of_those_below(rule: dict[str, Any], value: Any) -> None:
    """A section without an example of its own is shown by the examples of its keys."""
    assert value == example_of(rule, ROOT)

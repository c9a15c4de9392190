"""`job.schema.json` is sound, complete, and says the same as the dataclasses."""

import dataclasses
import json
import typing
from collections import defaultdict
from collections.abc import Iterator, Mapping
from copy import deepcopy
from types import UnionType
from typing import Any, Literal, Union

import pytest
from jsonschema import Draft202012Validator

from job_documents import FULL
from runpod_deploy.errors import InvalidInput
from runpod_deploy.schema import job
from runpod_deploy.schema.conforms import KEYWORDS, conforms
from runpod_deploy.schema.described import described
from runpod_deploy.schema.documents import SCHEMA_NAMES, schema_document
from runpod_deploy.schema.load import load_bytes
from runpod_deploy.schema.plain import to_plain
from runpod_deploy.schema.planned import PLANNED, Planned
from runpod_deploy.schema.pointer import split
from runpod_deploy.schema.rules import BUILT_IN_VARIABLES
from runpod_deploy.schema.unsupported import UNSUPPORTED
from runpod_deploy.schema.validate import job_schema

SCHEMA = job_schema()
ALTERNATIVES = {
    *("body", "script", "image", "template_id", "gpu_order", "cpu"),
    *("env", "file", "command", "runpod", "webhook"),
}
"""Keys of which one or another must be said: none of them may be null, or is required by itself."""


FOLLOWED = {"extends"}
"""Keys that are followed while the file is read; nothing of them is left in the job."""
RESERVED: dict[str, set[str]] = defaultdict(set)
"""Section to the keys of it that are described and have no effect yet."""
for _row in PLANNED:
    if _row.value is None:
        _section, _, _key = _row.pattern.replace("/*", "").rpartition("/")
        RESERVED["job" + _section.replace("/", ".")].add(_key)
WHOLE = SCHEMA["else"]
"""What holds for a file that extends no other: there every section must be whole."""


def resolved(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `rule` with its reference followed."""
    if "$ref" not in rule:
        return rule
    return {**SCHEMA["$defs"][rule["$ref"].rpartition("/")[2]], **rule}


def sections() -> Iterator[tuple[str, type, Mapping[str, Any]]]:
    """Yield every dataclass of the job file with its name and its description."""
    waiting: list[tuple[str, Any, Mapping[str, Any]]] = [("job", job.JobConfig, SCHEMA)]
    while waiting:
        name, cls, rule = waiting.pop()
        yield name, cls, rule
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            kind = hints[field.name]
            below = rule["properties"].get(field.name)
            if typing.get_origin(kind) is tuple:
                kind = typing.get_args(kind)[0]
                below = resolved(below["items"])
            if dataclasses.is_dataclass(kind) and kind is not job.JobSource:
                waiting.append((f"{name}.{field.name}", kind, below))


SECTIONS = {name: (cls, rule) for name, cls, rule in sections()}
each_section = pytest.mark.parametrize("name", SECTIONS)


def keys() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every key that a job file may hold, by its dotted name."""
    for name, (_, rule) in SECTIONS.items():
        for key, said in rule["properties"].items():
            yield f"{name}.{key}", resolved(said)


KEYS = dict(keys())
each_key = pytest.mark.parametrize("name", KEYS)


def fields(cls: Any) -> dict[str, dataclasses.Field[Any]]:
    """Return the fields of `cls` that a file can say."""
    return {
        field.name: field
        for field in dataclasses.fields(cls)
        if (cls, field.name) != (job.JobConfig, "source")
    }


def test_the_document_is_sound() -> None:
    """The published documents are valid schemas of draft 2020-12 with our stable address."""
    Draft202012Validator.check_schema(SCHEMA)

    assert "https://json-schema.org/draft/2020-12/schema" == SCHEMA["$schema"]
    assert "urn:runpod-deploy:schema:job:3" == SCHEMA["$id"]
    assert "job" in SCHEMA_NAMES
    with pytest.raises(KeyError):
        schema_document("../job")


@each_section
def test_same_keys_as_the_dataclass(name: str) -> None:
    """Each section describes the fields of its dataclass in their sense, and allows no other."""
    cls, rule = SECTIONS[name]

    assert set(fields(cls)) == set(rule["properties"]) - FOLLOWED - RESERVED[name]
    assert rule["additionalProperties"] is False


@each_section
def test_same_required_keys(name: str) -> None:
    """A key is required when its field has no default; the version is always asked for."""
    cls, rule = SECTIONS[name]
    needed = {
        key
        for key, field in fields(cls).items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }

    whole = WHOLE if cls is job.JobConfig else WHOLE["properties"].get(name[4:], {})
    said = {*rule.get("required", ()), *whole.get("required", ())}
    assert needed | ({"schema_version"} if cls is job.JobConfig else set()) == said


@each_section
def test_same_defaults(name: str) -> None:
    """The described default is the one that the dataclass fills in."""
    cls, rule = SECTIONS[name]
    for key, field in fields(cls).items():
        said = rule["properties"][key]
        if field.default is not dataclasses.MISSING:
            default = field.default
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        else:
            assert "default" not in said
            continue
        if dataclasses.is_dataclass(default) or (key in ALTERNATIVES and not default):
            assert key == "env" or "default" not in said
            continue

        assert to_plain(default) == said["default"], key
        assert conforms(said["default"], said, SCHEMA), key


def _accepts(kind: Any) -> set[str]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, UnionType):
        return set().union(*(_accepts(one) for one in arguments))
    if origin is Literal:
        return {"integer" if isinstance(one, int) else "string" for one in arguments}
    if origin is tuple:
        return {"array"}
    if origin is not None or dataclasses.is_dataclass(kind):
        return {"object"}
    names = {str: "string", int: "integer", float: "number", bool: "boolean"}
    return {names.get(kind, "null")}


@each_section
def test_same_types(name: str) -> None:
    """Each key takes the JSON types of its field; of two alternatives neither may be null."""
    cls, rule = SECTIONS[name]
    hints = typing.get_type_hints(cls)
    for key in fields(cls):
        types = resolved(rule["properties"][key])["type"]
        expected = _accepts(hints[key]) - ({"null"} if key in ALTERNATIVES else set())

        assert expected == set([types] if isinstance(types, str) else types), key


@each_section
def test_same_choices(name: str) -> None:
    """A key with a closed list of values has those of its field's `Literal`."""
    cls, rule = SECTIONS[name]
    hints = typing.get_type_hints(cls)
    for key in fields(cls):
        literals = [
            value
            for kind in (hints[key], *typing.get_args(hints[key]))
            if typing.get_origin(kind) is Literal
            for value in typing.get_args(kind)
        ]
        said = rule["properties"][key]
        choices = said.get("then", said).get("enum", [said.get("const")])

        assert sorted(map(str, literals)) == sorted(str(one) for one in choices if one is not None)


@each_key
def test_every_key_explains_itself(name: str) -> None:
    """Each key has a description in full sentences and an example that it accepts."""
    said = KEYS[name]

    assert said["description"].endswith(".")
    assert said["description"][0].isupper()
    assert said["examples"]
    for example in said["examples"]:
        assert conforms(example, said, SCHEMA), example


@each_key
def test_every_value_is_bounded(name: str) -> None:
    """A number has an upper bound, a list and a mapping a size, a pattern a reason in words."""
    said = KEYS[name]
    types = said["type"]
    needed = {"number": "maximum", "integer": "maximum", "array": "maxItems"}
    for one in [types] if isinstance(types, str) else types:
        if one in needed and "const" not in said:
            assert needed[one] in said
    if "pattern" in said:
        assert said["patternErrorMessage"].endswith(".")
        assert said["pattern"].startswith("^") or said["pattern"] == "\\S"
    if "enumDescriptions" in said:
        assert len(said["enum"]) == len(said["enumDescriptions"])


def keywords(rule: Any) -> Iterator[str]:
    """Yield the keywords of a schema and of the schemas inside it."""
    if isinstance(rule, list):
        for below in rule:
            yield from keywords(below)
    if not isinstance(rule, dict):
        return
    for keyword, value in rule.items():
        yield keyword
        if keyword in ("properties", "$defs"):
            for below in value.values():
                yield from keywords(below)
        elif keyword not in ("default", "examples", "const", "enum"):
            yield from keywords(value)


def test_the_fast_reader_knows_every_keyword() -> None:
    """No keyword of the document is unknown to `conforms`, which refuses to guess."""
    assert set() == set(keywords(SCHEMA)) - KEYWORDS
    with pytest.raises(KeyError):
        conforms({}, {"minProperties": 1}, SCHEMA)


@pytest.mark.parametrize("row", PLANNED, ids=lambda row: row.pattern)
def test_a_reserved_key_is_described_as_one(row: Planned) -> None:
    """A reserved key is described and says that it is refused; a reserved value its key would take."""
    rule = described(SCHEMA, row.pattern.replace("*", "0"))

    if row.value is None:
        assert rule["description"].endswith("(planned, refused for now).")
    else:
        assert conforms(row.value, rule, SCHEMA)


@pytest.mark.parametrize(
    "row", [row for row in PLANNED if row.value is None], ids=lambda row: row.pattern
)
def test_a_reserved_key_of_the_right_shape_is_planned_and_nothing_else(row: Planned) -> None:
    """Each example of a reserved key is refused as planned; a value of no shape gets its own words."""
    document: Any = deepcopy(FULL)
    holder = document
    *above, last = split(row.pattern.replace("*", "0"))
    for part in above:
        holder = holder[int(part)] if isinstance(holder, list) else holder[part]
    if above[:1] == ["secrets"]:
        del holder["env"]
    for value in described(SCHEMA, row.pattern.replace("*", "0"))["examples"]:
        holder[last] = value
        assert found(document) == ["planned"], value

    holder[last] = {"no": ["such", "shape"]}
    said = found(document)
    assert said
    assert "planned" not in said


def found(document: Any) -> list[str]:
    """Return the codes of everything that is wrong with a document."""
    with pytest.raises(InvalidInput) as refused:
        load_bytes(json.dumps(document).encode(), display="job.yaml")
    return [one.code for one in refused.value.diagnostics]


@pytest.mark.parametrize("row", UNSUPPORTED, ids=lambda row: row.pointer)
def test_unsupported_keys_are_not_described(row: Any) -> None:
    """A key that cannot be is not offered by an editor either."""
    rule: Mapping[str, Any] = SCHEMA
    *above, last = split(row.pointer)
    for part in above:
        rule = rule["properties"][part]

    assert last not in rule["properties"]


def test_built_in_variables_are_names() -> None:
    """The built-in variables are those of the contract, each once."""
    assert 9 == len(set(BUILT_IN_VARIABLES))

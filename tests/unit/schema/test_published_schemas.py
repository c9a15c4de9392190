"""The published documents are sound schemas with lasting addresses that read well in an editor."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from runpod_deploy.schema.conforms import conforms
from runpod_deploy.schema.documents import SCHEMA_NAMES, schema_document
from runpod_deploy.schema.key_facts import example_of

ADDRESSES = {
    "diff": "urn:runpod-deploy:schema:diff:1",
    "event": "urn:runpod-deploy:schema:event:1",
    "job": "urn:runpod-deploy:schema:job:3",
    "job.v2": "urn:runpod-deploy:schema:job:2",
    "manifest": "urn:runpod-deploy:schema:manifest:3",
    "plan": "urn:runpod-deploy:schema:plan:1",
    "policy": "urn:runpod-deploy:schema:policy:1",
    "sweep": "urn:runpod-deploy:schema:sweep:1",
    "sweep-diff": "urn:runpod-deploy:schema:sweep-diff:1",
    "sweep-manifest": "urn:runpod-deploy:schema:sweep-manifest:1",
}
DOCUMENTS: dict[str, Any] = {name: json.loads(schema_document(name)) for name in SCHEMA_NAMES}
JOBS = ("job", "job.v2")
WRITTEN = ("event", "manifest", "plan", "sweep-manifest")
"""What this tool writes; the others are what it reads."""
FREE_ID = "NVIDIA X900 of next year"
each_job_schema = pytest.mark.parametrize("document", JOBS)


def described(rule: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str, Any, Any]]:
    """Yield each key below `rule`: its place, its name, the section it is in, what is said of it."""
    for key, below in rule.get("properties", {}).items():
        yield f"{path}/{key}", key, rule, below
        yield from described(below, f"{path}/{key}")
    if isinstance(rule.get("items"), dict):
        yield from described(rule["items"], f"{path}/*")
    for part in (*rule.get("anyOf", ()), *rule.get("oneOf", ())):
        yield from described(part, path)
    for name, below in rule.get("$defs", {}).items():
        yield from described(below, f"#{name}")


KEYS = [(name, *row) for name in JOBS for row in described(DOCUMENTS[name])]
each_key = pytest.mark.parametrize(
    ("document", "key", "section", "said"),
    [(name, key, section, said) for name, _, key, section, said in KEYS],
    ids=[f"{name}:{path}" for name, path, *_ in KEYS],
)


def resolved(document: str, rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `rule` with its reference followed."""
    name = rule.get("$ref", "").rpartition("/")[2]
    return {**DOCUMENTS[document]["$defs"][name], **rule} if name else rule


def test_no_document_is_missing_or_unknown() -> None:
    """Every document has the address that files written long ago refer to."""
    assert {name: document["$id"] for name, document in DOCUMENTS.items()} == ADDRESSES


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_document_is_valid_in_its_draft(name: str) -> None:
    """Each document names draft 2020-12, is valid against its metaschema, and says what it is."""
    document = DOCUMENTS[name]

    assert "https://json-schema.org/draft/2020-12/schema" == document["$schema"]
    assert f"version {document['$id'][-1]}" in document["title"].replace("format", "version")
    assert document["description"].endswith(".")
    Draft202012Validator.check_schema(document)


@pytest.mark.parametrize("name", ADDRESSES)
def test_references_stay_in_the_document(name: str) -> None:
    """A copy of one file is all that an editor needs: every reference leads into the same file."""
    text = json.dumps(DOCUMENTS[name])

    names = re.findall(r'"\$ref": "([^"]*)"', text)

    assert {f"#/$defs/{key}" for key in DOCUMENTS[name].get("$defs", {})} >= set(names)


@each_key
def test_a_key_reads_well_in_a_hover(
    document: str, key: str, section: Mapping[str, Any], said: Mapping[str, Any]
) -> None:
    """Each key has a type, a description in sentences, and examples that it accepts."""
    rule = resolved(document, said)

    assert rule["type"]
    assert re.fullmatch(r"[A-Z`].*\.", rule["description"], re.DOTALL)
    assert rule["examples"]
    for example in rule["examples"]:
        assert conforms(example, rule, DOCUMENTS[document])
    if key not in section.get("required", ()) and rule["type"] in ("boolean", "number", "integer"):
        assert conforms(rule["default"], rule, DOCUMENTS[document])


FIELDS = [(name, *row) for name in WRITTEN for row in described(DOCUMENTS[name])]


@pytest.mark.parametrize(
    ("document", "key", "section", "said"),
    [(name, key, section, said) for name, _, key, section, said in FIELDS],
    ids=[f"{name}:{path}" for name, path, *_ in FIELDS],
)
def test_a_field_that_is_written_is_described_with_an_example(
    document: str, key: str, section: Mapping[str, Any], said: Mapping[str, Any]
) -> None:
    """Each field is described in sentences and shows a value that it may have.

    A section is shown by the fields below it, and the name of an event by what describes the event.
    """
    rule = resolved(document, said)
    about = section if key == "event" and "const" in rule else rule
    root = DOCUMENTS[document]

    assert re.fullmatch(r"\S.*\.", about["description"], re.DOTALL)
    if not {"properties", "const", "items", "additionalProperties", "anyOf", "oneOf"} & set(rule):
        assert rule["examples"]
    for example in [*rule.get("examples", ()), example_of(said, root)]:
        assert example is not None or rule.get("type") == "null"
        Draft202012Validator({**said, "$defs": root["$defs"]}).validate(example)


@pytest.mark.parametrize("name", ["manifest", "plan", "sweep-manifest"])
def test_the_examples_together_make_a_document(name: str) -> None:
    """A document of the examples of all fields is one that the schema accepts."""
    Draft202012Validator(DOCUMENTS[name]).validate(example_of(DOCUMENTS[name], DOCUMENTS[name]))


def test_the_examples_of_an_event_make_a_line() -> None:
    """A line of the examples of its fields is accepted as that event, for each event."""
    root = DOCUMENTS["event"]
    check = Draft202012Validator(root)
    for name in root["properties"]["event"]["enum"]:
        line = example_of(root["$defs"][name], root)

        assert name == line["event"]
        check.validate(line)


@each_job_schema
@pytest.mark.parametrize("name", ["gpu", "datacenter"])
def test_ids_complete_and_stay_open(document: str, name: str) -> None:
    """Each known id comes with what is known of it, and an id of tomorrow is accepted."""
    rule = DOCUMENTS[document]["$defs"][name]
    listed = rule["anyOf"][0]

    assert len(listed["enum"]) == len(set(listed["enum"])) == len(listed["enumDescriptions"]) > 30
    assert all(text.endswith(".") for text in listed["enumDescriptions"])
    assert conforms(FREE_ID, rule, DOCUMENTS[document])
    Draft202012Validator(rule).validate(FREE_ID)


@each_job_schema
def test_a_gpu_shows_memory_and_price(document: str) -> None:
    """A GPU type's memory is always shown, and its price per cloud or that it is not known."""
    listed = DOCUMENTS[document]["$defs"]["gpu"]["anyOf"][0]
    shape = (
        r"\d+ GB\. ((Secure Cloud \d+\.\d\d)?(, )?(Community Cloud \d+\.\d\d)?"
        r" USD per GPU and hour|Price not known)\."
    )

    assert [] == [text for text in listed["enumDescriptions"] if not re.fullmatch(shape, text)]

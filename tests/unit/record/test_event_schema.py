"""The published event schema and the closed list say the same."""

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from record_cases import open_journal, schema, validator
from runpod_deploy.record.events import EVENT_TYPES, HEAD, check_event
from runpod_deploy.record.journal import read_events

SAMPLES: dict[str, Any] = {
    "string": "text",
    "integer": 3,
    "number": 1.5,
    "boolean": True,
    "array": ["text"],
    "null": None,
}


def sample(name: str, which: int = 0) -> dict[str, Any]:
    """Return fields of an event: of unions the first type, or the last with `which` -1."""
    kind = EVENT_TYPES[name]
    return {
        key: kind.values[key][0] if key in kind.values else SAMPLES[types.split("|")[which]]
        for key, types in kind.fields.items()
    }


def test_the_schema_is_valid_and_has_its_address() -> None:
    """The event schema is a valid 2020-12 schema with the fixed `$id`."""
    Draft202012Validator.check_schema(schema("event"))

    assert schema("event")["$id"] == "urn:runpod-deploy:schema:event:1"


def test_the_schema_lists_exactly_the_events() -> None:
    """Names in the enum, the alternatives and the closed list agree."""
    described = schema("event")

    assert list(EVENT_TYPES) == described["properties"]["event"]["enum"]
    assert [f"#/$defs/{name}" for name in EVENT_TYPES] == [
        alternative["$ref"] for alternative in described["oneOf"]
    ]


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_the_schema_gives_the_fields_and_types_of_the_list(name: str) -> None:
    """Each event's fields, types and closed values in the schema are those of the list."""
    described = schema("event")["$defs"][name]
    kind = EVENT_TYPES[name]
    types = {
        key: one["type"] if isinstance(one["type"], str) else "|".join(one["type"])
        for key, one in described["properties"].items()
        if key not in HEAD
    }

    assert dict(kind.fields) == types
    assert [*HEAD, *kind.fields] == described["required"]
    assert described["additionalProperties"] is False
    assert {key: list(values) for key, values in kind.values.items()} == {
        key: one["enum"] for key, one in described["properties"].items() if "enum" in one
    }


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_every_field_is_described(name: str) -> None:
    """A stranger finds a sentence at every event and field."""
    described = schema("event")["$defs"][name]
    texts = [described["description"]] + [
        one["description"] for key, one in described["properties"].items() if key not in HEAD
    ]

    assert all(text.endswith(".") for text in texts)


@pytest.mark.parametrize("which", [0, -1])
def test_each_line_the_journal_writes_validates(tmp_path: Path, which: int) -> None:
    """Every event of the list, as it lies in the file, satisfies the schema."""
    journal = open_journal(tmp_path)
    for name in EVENT_TYPES:
        journal.write(name, **sample(name, which))
    journal.close()
    check = validator("event")

    lines = [event.line() for event in read_events(journal.path)]

    assert list(EVENT_TYPES) == [line["event"] for line in lines]
    assert [error.message for line in lines for error in check.iter_errors(line)] == []


def test_the_schema_refuses_what_the_list_refuses() -> None:
    """A field of another type, a missing or unknown field and an unknown event do not validate."""
    check = validator("event")
    good = {
        "v": 1,
        "seq": 1,
        "ts_utc": "2026-03-01T12:00:00.000000Z",
        "event": "signal_received",
        "signal": "SIGINT",
    }

    assert check.is_valid(good)
    assert not check.is_valid({**good, "signal": 2})
    assert not check.is_valid({**good, "more": 1})
    assert not check.is_valid({**good, "event": "sandwich_made"})
    assert not check.is_valid({k: v for k, v in good.items() if k != "signal"})


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("sandwich_made", {}),
        ("signal_received", {}),
        ("signal_received", {"signal": "SIGINT", "more": 1}),
        ("signal_received", {"signal": 2}),
        ("log_progress", {"log_offset": True}),
        ("log_progress", {"log_offset": 1.0}),
        ("connection_restored", {"duration_sec": float("nan")}),
        ("connection_restored", {"duration_sec": float("inf")}),
        ("state_changed", {"state": "BUSY", "cause": None}),
        ("state_changed", {"state": None, "cause": None}),
    ],
)
def test_an_event_outside_the_list_is_our_bug(name: str, fields: dict[str, Any]) -> None:
    """Unknown names, other fields, types or values and non-finite numbers are refused."""
    with pytest.raises(ValueError, match=r"event|unknown"):
        check_event(name, fields)


def test_no_field_can_hide_a_part_of_the_head() -> None:
    """No event has a field called like one of the head's."""
    assert set() == {key for kind in EVENT_TYPES.values() for key in kind.fields} & set(HEAD)


def test_the_predecessor_finds_its_events() -> None:
    """The eleven events of the predecessor keep their fields."""
    theirs = {
        "datacenter_failover": {"from", "to", "reason"},
        "gpu_selected": {"gpu_id", "datacenter_id"},
        "cloud_type_fallback": {"from_cloud_type", "to_cloud_type", "gpu_id", "datacenter_id"},
        "pod_resumed": {"pod_id", "gpu_id", "datacenter_id"},
        "remote_step_started": {"name"},
        "remote_step_completed": {"name"},
        "artifact_pull_started": {"label"},
        "artifact_pull_completed": {"label", "duration_sec"},
        "artifact_pull_failed": {"label", "duration_sec", "error"},
        "remote_log_pull_failed": {"path", "error"},
        "pod_killed_unexpected": {"state", "note"},
    }

    assert {
        name: fields - set(EVENT_TYPES[name].fields)
        for name, fields in theirs.items()
        if not fields <= set(EVENT_TYPES[name].fields)
    } == {}

"""A plan's identity: what the hash is over, what changes it, and what does not."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jcs
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compiler_cases import OBSERVED, PLAN_ID, a_file, from_text, plan_file_of, plan_of
from plan_cases import FULL_JOB, FULL_PAYLOAD, full_plan_file
from runpod_deploy.compiler.canonical import sha256
from runpod_deploy.compiler.payload import sorted_by_bytes
from runpod_deploy.compiler.plan import Plan, PlanFile
from runpod_deploy.compiler.planfile import dumps, loads, plan_hash
from runpod_deploy.errors import PlanRefused
from runpod_deploy.schema.documents import schema_document
from runpod_deploy.schema.plain import from_plain, to_plain

HASH = full_plan_file().plan_hash
PLAN_SCHEMA = json.loads(schema_document("plan"))
FACTS = {
    "format": "the version of the file, which decides how it is read",
    "plan_hash": "the identity itself",
    "plan_id": "new with each plan, so that a saved plan is applied once",
    "payload": "committed to by staging[].tree_sha256: another list is refused",
    "observed": "what was seen: hour, tool, git, lock file, prices",
}


def shuffled(value: Any, draw: st.DataObject) -> Any:
    """Return a value with the keys of every mapping in a drawn order."""
    if isinstance(value, dict):
        order = draw.draw(st.permutations(list(value)))
        return {key: shuffled(value[key], draw) for key in order}
    return [shuffled(one, draw) for one in value] if isinstance(value, list) else value


def hash_of(text: str) -> str:
    """Return the plan's hash of a job file with that text."""
    return plan_file_of(from_text(text), payload=FULL_PAYLOAD).plan_hash


@settings(max_examples=25)
@given(
    draw=st.data(),
    flow=st.sampled_from([None, True, False]),
    style=st.sampled_from([None, '"', "'"]),
    width=st.integers(20, 2000),
    indent=st.integers(2, 8),
    comment=st.text(st.characters(categories=("L", "N", "P")), max_size=20),
)
def test_order_and_layout_of_the_job_file_change_nothing(
    draw: st.DataObject,
    flow: bool | None,
    style: str | None,
    width: int,
    indent: int,
    comment: str,
) -> None:
    """Key order, quoting, flow or block, line width, indentation and comments give the same hash."""
    document = shuffled(FULL_JOB, draw)
    text = yaml.safe_dump(
        document,
        sort_keys=False,
        default_flow_style=flow,
        default_style=style if flow is not True else None,
        width=width,
        indent=indent,
        allow_unicode=True,
    )

    assert HASH == hash_of(f"# {comment}\n{text}\n# {comment}\n")
    assert HASH == hash_of(json.dumps(document, indent=indent))


@given(st.permutations(list(FULL_PAYLOAD["code"])))
def test_the_order_of_the_file_system_changes_nothing(files: list[Any]) -> None:
    """Files are listed by the bytes of their paths, however a folder was read."""
    listed = sorted_by_bytes(files)

    made = plan_file_of(from_text(json.dumps(FULL_JOB)), payload={"code": listed})

    assert (listed, HASH) == (FULL_PAYLOAD["code"], made.plan_hash)


@given(
    plan_id=st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    hour=st.from_regex(r"20[0-9]{2}-0[1-9]-[12][0-9]T[01][0-9]:[0-5][0-9]:00Z", fullmatch=True),
    overrides=st.dictionaries(st.text(min_size=1), st.text()),
)
def test_what_was_seen_changes_nothing(plan_id: str, hour: str, overrides: dict[str, str]) -> None:
    """Hour, id and whatever else is beside the plan is no part of its identity."""
    data = to_plain(full_plan_file())
    data["plan_id"] = plan_id
    data["observed"] |= {"compiled_at": hour, "overrides": overrides}
    data["observed"] |= {"git": {"sha": None, "branch": plan_id, "dirty": True, "prefix": ""}}

    assert HASH == plan_hash(from_plain(PlanFile, data).plan)


@pytest.mark.parametrize("made", [full_plan_file(), plan_file_of(from_text(json.dumps(FULL_JOB)))])
def test_an_independent_canonical_form_has_the_same_hash(made: PlanFile) -> None:
    """Who has the file and any RFC 8785 package can compute the hash; ours is not needed."""
    import hashlib  # noqa: PLC0415 - what an outsider would write

    outside = jcs.canonicalize(json.loads(dumps(made))["plan"])

    assert made.plan_hash == f"sha256:{hashlib.sha256(outside).hexdigest()}"


@dataclass(frozen=True)
class Spot:
    """One field of the schema and a place in a plan where it stands."""

    field: str
    path: tuple[str | int, ...]
    rule: dict[str, Any]


def spots(
    data: Any, rule: dict[str, Any], field: str, path: tuple[str | int, ...] = ()
) -> Iterator[Spot]:
    """Yield every field that the schema describes, at each place where the data has it."""
    if "anyOf" in rule:
        rule = next(one for one in rule["anyOf"] if one != {"type": "null"})
    name = rule.get("$ref", "").rpartition("/")[2]
    if name:
        rule, field = PLAN_SCHEMA["$defs"][name], name
    if isinstance(data, dict) and "properties" in rule:
        for key, below in rule["properties"].items():
            yield Spot(f"{field}.{key}", (*path, key), below)
            if data.get(key) is not None:
                yield from spots(data[key], below, f"{field}.{key}", (*path, key))
    elif isinstance(data, list):
        for index, item in enumerate(data):
            yield from spots(item, rule["items"], field, (*path, index))


def another(value: Any, rule: dict[str, Any]) -> Any:
    """Return another value that the field may have."""
    if "enum" in rule:
        return next(one for one in rule["enum"] if one != value)
    if value is None:
        return 1 if {"integer", "number"} & set(rule["type"]) else "x"
    return _ANOTHER[type(value)](value)


_ANOTHER: dict[type, Callable[[Any], Any]] = {
    bool: lambda value: not value,
    int: lambda value: value + 1,
    float: lambda value: value + 1,
    str: lambda value: value + "x",
    list: lambda value: value[:-1] if value else ["x"],
    dict: lambda value: dict(list(value.items())[:-1]) if value else {"x": "x"},
}


def put(data: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """Return a copy of the data with another value at a place."""
    copy = json.loads(json.dumps(data))
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return copy


SHARD = {
    "name": "n=1",
    "values": {"n": "1"},
    "max_parallel": 2,
    "fail_fast": False,
    "cap_usd": 5.0,
}
NOTIFY = {
    "webhook_env": "HOOK",
    "webhook_file": "hook",
    "command": "tell x",
    "on": ["failed", "leaked"],
}
UPLOAD = {"to": "s3://results/x", "endpoint": "https://store.test", "secret": "bucket"}
FULL = to_plain(full_plan_file().plan)
PLAN = {
    **FULL,
    "pod": {**FULL["pod"], "cpu": {"flavor": "cpu5c", "vcpus": 4}},
    "artifacts": [{**one, "upload": UPLOAD} for one in FULL["artifacts"]],
    "matrix": SHARD,
    "notify": NOTIFY,
    "forward": [{"local": 8080, "pod": 8888}],
    "cluster": {"nodes": 4, "type": "TRAINING", "collect": "first"},
}
SHARD_HASH = plan_hash(from_plain(Plan, PLAN))
SPOTS = list(spots(PLAN, {"$ref": "#/$defs/Plan"}, ""))


def is_section(spot: Spot) -> bool:
    """Tell whether a field holds a section of fields, each of which has a spot of its own."""
    return "$ref" in spot.rule or any("$ref" in one for one in spot.rule.get("anyOf", ()))


def has_one_value(spot: Spot) -> bool:
    """Tell whether a field has the same value in every plan there can be."""
    return len(spot.rule.get("enum", ("", ""))) == 1


@pytest.mark.parametrize(
    "spot",
    [spot for spot in SPOTS if not is_section(spot) and not has_one_value(spot)],
    ids=lambda spot: ".".join(map(str, spot.path)),
)
def test_every_field_of_a_plan_changes_its_hash(spot: Spot) -> None:
    """No field of the published schema is read and then left out of the identity."""
    holder: Any = PLAN
    for key in spot.path:
        holder = holder[key]
    changed = put(PLAN, spot.path, another(holder, spot.rule))

    assert changed != PLAN
    assert SHARD_HASH != plan_hash(from_plain(Plan, changed))


def test_no_field_of_the_schema_is_forgotten() -> None:
    """The plan that is changed above has every field of the schema, in lists as well."""
    reachable, names = set(), ["Plan"]
    while names:
        name = names.pop()
        for key, below in PLAN_SCHEMA["$defs"][name]["properties"].items():
            reachable.add(f"{name}.{key}")
            names += [
                one
                for one in _referred(below)
                if not any(field.startswith(f"{one}.") for field in reachable)
            ]

    assert reachable == {spot.field for spot in SPOTS}


def _referred(rule: Any) -> Iterator[str]:
    if isinstance(rule, dict):
        if "$ref" in rule:
            yield rule["$ref"].rpartition("/")[2]
        for below in rule.values():
            yield from _referred(below)
    elif isinstance(rule, list):
        for below in rule:
            yield from _referred(below)


def test_what_stands_beside_the_plan_is_known() -> None:
    """Everything of a plan file that the hash is not over is named, with its reason."""
    assert {"plan"} == PLAN_SCHEMA["properties"].keys() - FACTS.keys()


@settings(max_examples=40)
@given(st.sampled_from(["path", "size", "exec", "sha256"]), st.integers(0, 2))
@example("path", 0)
def test_another_payload_is_refused_although_it_is_not_hashed(key: str, index: int) -> None:
    """The list of files is committed to by the plan: no other list goes with it."""
    data = json.loads(dumps(full_plan_file()))
    files = data["payload"]["code"]
    entry = files[index % len(files)]
    entry[key] = another(entry[key], {}) if key != "sha256" else "0" * 64

    with pytest.raises(PlanRefused):
        loads(json.dumps(data).encode(), "plan.json")


def test_the_case_is_what_it_says() -> None:
    """The plan of these tests has files, is read back as it was, and has the hash of its content."""
    made = full_plan_file()

    assert made == loads(dumps(made), "plan.json")
    assert (OBSERVED, PLAN_ID) == (made.observed, made.plan_id)
    assert made.plan_hash == sha256(json.loads(dumps(made))["plan"])
    assert a_file("a.py") in made.payload["code"]
    assert made.plan == plan_of(from_text(json.dumps(FULL_JOB)), payload=FULL_PAYLOAD)

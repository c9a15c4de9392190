"""Every key of the job file: another value gives another plan, or the key is named as one that does not."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from compiler_cases import a_file, from_text
from plan_cases import FULL_JOB
from runpod_deploy.compiler.canonical import sha256
from runpod_deploy.compiler.compile import compile_resolution
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.matrix import combinations
from runpod_deploy.compiler.planfile import plan_hash
from runpod_deploy.compiler.resolve import resolve
from runpod_deploy.errors import InvalidInput
from runpod_deploy.facts.filters import HYGIENE
from runpod_deploy.schema.load import load_bytes
from runpod_deploy.schema.planned import PLANNED
from runpod_deploy.schema.validate import job_schema

SCHEMA: Any = job_schema()
DEFS: Any = SCHEMA["$defs"]
VOLATILE = {
    "/run/script": "what the script says is in the plan, whatever its file is called here",
    "/lint/ignore": "says which warnings are shown, nothing that is done",
    "/local/project_root": "where the project lies on this machine: paths in the plan are relative to it",
}
FIXED = {
    "/schema_version": "one value is allowed; a file of version 2 says so in `job.schema_version`",
    "/storage/mode": "each mode needs other keys beside it: a test of its own",
    "/storage/create": "true needs a size and one data center beside it: a test of its own",
    **dict.fromkeys(
        (
            *("/budget/sweep_cap_usd", "/matrix/axes", "/matrix/include", "/matrix/exclude"),
            *("/matrix/max_parallel", "/matrix/fail_fast"),
        ),
        "a sweep is many plans: a test of its own",
    ),
    "/cluster/type": "one value is carried out",
    "/extends": "gone once the file is read: what it brings is in the other keys",
}
PLAIN = {"lifecycle": None, "artifacts": None, "run": {"workdir": None, "log_path": None}}
ON_VOLUME = {"storage": {"mode": "network_volume", "volume_name": "a", "volume_gb": None}}
SECURE = {"pod": {"cloud_type": "SECURE"}, "lifecycle": None}
SIGNS = {
    "name": "a",
    "destination": "/root/a",
    "env": ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
}
ALSO = {"name": "b", "destination": "/root/b", "command": "pass b"}
SENT = {"label": "out", "remote_path": "/workspace/out", "upload": "s3://results/out"}
OF_A_CLUSTER: dict[str, Any] = {
    "pod": dict.fromkeys(("template_id", "registry_auth", "cloud_type", "min_cuda")),
    "lifecycle": None,
    "cluster": {"nodes": 5},
}
_OF_GPUS = ("gpu_order", "gpu_count", "min_cuda", "admission")
WITHOUT_GPU: dict[str, Any] = {
    "pod": {
        **dict.fromkeys(_OF_GPUS),
        "cloud_type": "SECURE",
        "cpu": {"flavor": "cpu3c"},
    },
    "storage": None,
    "lifecycle": None,
}
# What must stand beside a key for it to be allowed or to mean anything: sections, and keys of them.
BESIDE: dict[str, dict[str, Any]] = {
    "/storage/volume_mount": PLAIN,
    "/storage/volume_name": SECURE | ON_VOLUME,
    "/cluster/nodes": OF_A_CLUSTER,
    "/cluster/collect": OF_A_CLUSTER,
    "/state_file": {"lifecycle": {"on_success": "recycle"}},
    "/notify/webhook/env": {"notify": {"webhook": {"env": "HOOK"}}},
    "/notify/webhook/file": {"notify": {"webhook": {"file": "hook-a"}}},
    "/notify/on": {"notify": {"command": "true"}},
    "/run/script": {"run": {"body": None, "script": "a.sh"}},
    "/artifacts/0/upload": {"secrets": [SIGNS]},
    "/pod/cpu/flavor": WITHOUT_GPU,
    "/pod/cpu/vcpus": WITHOUT_GPU,
    "/artifacts/0/upload_secret": {"secrets": [SIGNS, ALSO], "artifacts": [SENT]},
    "/artifacts/0/upload_endpoint": {"secrets": [SIGNS], "artifacts": [SENT]},
    "/run/template": {"run": {"body": None, "script": "a.sh"}},
    **{
        f"/secrets/0/{key}": {"secrets": [{"name": "a", "destination": "/root/a", key: text}]}
        for key, text in (("file", "a.txt"), ("command", "pass a"), ("runpod", "a"))
    },
}
# Values for keys whose examples are few, or forbidden by the rest of the job.
OTHERS: dict[str, list[Any]] = {
    "/pod/admission/min_cuda": ["12.9", "13.0"],
    "/storage/volume_mount": ["/data"],
    "/secrets/0/name": ["other"],
    "/secrets/0/file": ["b.txt"],
    "/secrets/0/command": ["pass b"],
    "/secrets/0/runpod": ["b"],
    "/staging/0/label": ["other"],
    "/staging/0/destination": ["/workspace/other"],
    "/run/script": ["b.sh"],
    "/notify/webhook/env": ["OTHER_HOOK"],
    "/notify/webhook/file": ["hook-b"],
    "/state_file": ["other.json"],
    "/artifacts/0/upload_secret": ["b"],
}


@dataclass(frozen=True)
class Key:
    """A key of the job file, with the first place where it can stand and what is said of it."""

    pointer: str
    rule: Any

    @property
    def path(self) -> list[str | int]:
        """The keys and indices that lead to it."""
        return [0 if part == "0" else part for part in self.pointer[1:].split("/")]


def resolved(rule: Any) -> Any:
    """Return a rule with its reference followed."""
    name = rule.get("$ref", "").rpartition("/")[2]
    return {**DEFS[name], **rule} if name else rule


def keys(rule: Any, pointer: str = "") -> Iterator[Key]:
    """Yield every key that the schema describes; an item of a list stands for all."""
    rule = resolved(rule)
    for name, below in rule.get("properties", {}).items():
        place = f"{pointer}/{name}"
        inside = resolved(below)
        items = resolved(inside.get("items", {}))
        if any(
            one.pattern in {place, place.replace("/0/", "/*/")} for one in PLANNED if not one.value
        ):
            continue
        if inside.get("properties"):
            yield from keys(inside, place)
        elif items.get("properties"):
            yield from keys(items, f"{place}/0")
        else:
            yield Key(place, inside)


KEYS = [key for key in keys(SCHEMA) if key.pointer not in FIXED]


def put(document: Any, path: list[str | int], value: Any) -> Any:
    """Return a copy with another value at a place; None takes the key away."""
    copy = json.loads(json.dumps(document))
    holder = copy
    for key, following in pairwise(path):
        empty: Any = [] if following == 0 else {}
        if isinstance(holder, list) and not holder:
            holder.append(empty)
        elif isinstance(holder, dict):
            holder.setdefault(key, empty)
        holder = holder[key]
    if value is None:
        holder.pop(path[-1], None)
    else:
        holder[path[-1]] = value
    return copy


def base_for(key: Key) -> Any:
    """Return a job in which the key may stand."""
    document = FULL_JOB
    for section, changes in BESIDE.get(key.pointer, {}).items():
        if isinstance(changes, dict):
            for name, value in changes.items():
                document = put(document, [section, name], value)
        else:
            document = put(document, [section], changes)
    return document


def values(key: Key) -> Iterator[Any]:
    """Yield values that the key may have by its description."""
    rule = key.rule
    kinds = rule.get("type", [])
    yield from OTHERS.get(key.pointer, ())
    yield from rule.get("examples", ())
    yield from (one for one in rule.get("enum", ()) if one is not None)
    for part in rule.get("anyOf", ()):
        yield from resolved(part).get("examples", ())
    if "boolean" in kinds:
        yield from (True, False)
    if "integer" in kinds or "number" in kinds:
        low = rule.get("minimum", rule.get("exclusiveMinimum", 0))
        yield from (low + 1, low + 2)
    yield None


def patterns(entry: Any) -> tuple[str, ...]:
    """Return the patterns of a staging as the look-up of the files does, without its folders."""
    preset = HYGIENE if entry.excludes_default else ()
    return (*entry.excludes, *entry.excludes_extra, *preset)


@cache
def hash_of(text: str) -> str | None:
    """Return the hash of the plan of a job; None when it is refused."""
    try:
        resolution = resolve(from_text(text))
        payload = {one.label: (a_file("a"),) for one in resolution.config.staging}
        excludes = {one.label: patterns(one) for one in resolution.config.staging}
        facts = Facts(
            job_file="job.yaml", payload=payload, excludes=excludes, script_text="{{ seed }}\n"
        )
        return plan_hash(compile_resolution(resolution, facts)[0])
    except InvalidInput:
        return None


def hashes(key: Key) -> set[str | None]:
    """Return the hashes of the job with each value of the key that is accepted."""
    base = base_for(key)
    changed = [put(base, key.path, value) for value in values(key)]
    return {hash_of(json.dumps(document)) for document in [base, *changed]} - {None}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.pointer)
def test_a_key_that_is_changed_changes_the_hash(key: Key) -> None:
    """Two values of a key are two plans; where they are one, the key is listed with its reason."""
    found = hashes(key)

    assert found, f"no value of {key.pointer} is accepted; say in BESIDE or OTHERS what is"
    assert (key.pointer in VOLATILE) is (len(found) == 1), key.pointer


def test_storage_modes_are_different_plans() -> None:
    """Each mode, and a volume that is made, with the keys that they need, is a plan of its own."""
    base = base_for(Key("/storage/volume_name", {}))
    ephemeral = put(base, ["storage"], {"mode": "ephemeral", "volume_gb": 40})
    none = base_for(Key("/storage/volume_mount", {}))
    documents = [base, ephemeral, put(none, ["storage"], {"mode": "none"})]

    made = put(base, ["storage"], base["storage"] | {"create": True, "volume_gb": 40})
    documents.append(put(made, ["pod", "datacenters"], ["EU-RO-1"]))

    found = {hash_of(json.dumps(document)) for document in documents}

    assert 4 == len(found - {None})


@pytest.mark.parametrize(
    ("path", "one", "other"),
    [
        (["budget", "sweep_cap_usd"], 50, 60),
        (["matrix", "max_parallel"], 1, 2),
        (["matrix", "fail_fast"], False, True),
        (["matrix", "axes"], {"seed": [1]}, {"seed": [1, 2]}),
        (["matrix", "include"], [{"seed": 4}], [{"seed": 5}]),
        (["matrix", "exclude"], [{"seed": 1}], [{"seed": 2}]),
    ],
)
def test_keys_of_a_sweep_change_the_hash_of_the_sweep(
    path: list[str | int], one: Any, other: Any
) -> None:
    """The hash of a sweep is over its plans: which runs there are, and how they are carried out."""
    base = put(FULL_JOB, ["matrix"], {"axes": {"seed": [1, 2, 3]}})

    found = {sweep_hash_of(json.dumps(put(base, path, value))) for value in (one, other)}

    assert 2 == len(found)


def sweep_hash_of(text: str) -> str:
    """Return the hash of a sweep, as its file has it."""
    plans = []
    for run in combinations(from_text(text)):
        config = load_bytes(text.encode(), run.variables, display="job.yaml")
        payload = {entry.label: (a_file("a"),) for entry in config.staging}
        excludes = {entry.label: patterns(entry) for entry in config.staging}
        facts = Facts(job_file="job.yaml", payload=payload, excludes=excludes)
        plans.append(plan_hash(compile_resolution(resolve(config), facts)[0]))
    return sha256(plans)


def test_the_lists_name_keys_that_there_are() -> None:
    """A key that is gone is taken off the lists."""
    known = {key.pointer for key in keys(SCHEMA)}
    assert VOLATILE.keys() | FIXED.keys() | BESIDE.keys() | OTHERS.keys() <= known

"""Plan files: what is written is what is read, and nothing else is believed."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from compiler_cases import OBSERVED, PLAN_ID, a_file, job, plan_file_of, plan_of
from runpod_deploy.compiler.canonical import sha256
from runpod_deploy.compiler.payload import tree_sha256
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.planfile import dumps, loads, make_plan_file, plan_hash
from runpod_deploy.errors import InvalidInput, PlanRefused

PAYLOAD = {
    "code": (
        a_file("a b\n.py"),
        a_file("link", type="link", target="a b\n.py", size=7),
        a_file("é.py", exec=True),
    )
}
STAGED = {"staging": [{"label": "code", "source": "src", "destination": "/x"}]}
Change = Callable[[dict[str, Any]], None]


def a_plan_file() -> PlanFile:
    """Return a plan file with a payload, floats and odd text."""
    return plan_file_of(job(STAGED | {"budget": {"cost_cap_usd": 10.0}}), payload=PAYLOAD)


def changed(change: Change, *, reseal: bool = False) -> bytes:
    """Return a plan file after `change`, its hash made right again when `reseal`."""
    data = json.loads(dumps(a_plan_file()))
    change(data)
    if reseal:
        data["plan_hash"] = sha256(data["plan"])
    return json.dumps(data).encode()


def test_round_trip() -> None:
    """Reading gives back exactly what was written, and writing it again the same bytes."""
    plan_file = a_plan_file()
    written = dumps(plan_file)

    assert plan_file == loads(written, "plan.json")
    assert written == dumps(loads(written, "plan.json"))
    assert written.endswith(b"\n}\n")
    assert plan_file.plan_hash == sha256(json.loads(written)["plan"])


def test_round_trip_without_payload() -> None:
    """A plan that sends nothing is a plan."""
    plan_file = plan_file_of(job())

    assert plan_file == loads(dumps(plan_file), "plan.json")


def test_an_empty_tree() -> None:
    """A staging whose files are all excluded has an empty list."""
    plan_file = plan_file_of(job(STAGED), payload={"code": ()})

    assert plan_file == loads(dumps(plan_file), "plan.json")


def test_one_file_to_a_line() -> None:
    """A changed file is a changed line in a review."""
    lines = [line for line in dumps(a_plan_file()).decode().split("\n") if '"exec"' in line]

    assert 3 == len(lines)


def test_the_hash_is_over_the_plan_alone() -> None:
    """Neither the id nor what was observed is part of the identity."""
    plan = plan_of(job())

    made = make_plan_file(plan, {}, OBSERVED, "f" * 32)
    assert (
        plan_hash(plan) == made.plan_hash == make_plan_file(plan, {}, OBSERVED, PLAN_ID).plan_hash
    )


def test_floats_hash_by_their_value() -> None:
    """10, 10.0 and 1e1 are the same number, in the file as in the hash."""
    written = dumps(a_plan_file())

    for text in (b"10", b"1e1", b"10.00"):
        other = written.replace(b'"cost_cap_usd": 10.0', b'"cost_cap_usd": ' + text)
        assert a_plan_file() == loads(other, "plan.json")


def _set(*path: str | int, value: Any) -> Change:
    def change(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return change


def _payload_path(path: str) -> Change:
    def change(data: dict[str, Any]) -> None:
        data["payload"]["code"] = [{**data["payload"]["code"][0], "path": path}]
        files = (a_file(path),)
        data["plan"]["staging"][0] |= {"files": 1, "bytes": 0, "tree_sha256": tree_sha256(files)}

    return change


TAMPERED = [
    _set("plan", "pod", "image", value="evil"),
    _set("plan_hash", value="sha256:" + "0" * 64),
    _set("payload", "code", 0, "sha256", value="0" * 64),
    _set("payload", value={}),
    _set("plan_id", value="../x"),
]
FORGED = [
    _set("plan", "scripts", 0, "text", value="rm -rf /"),
    _set("plan", "scripts", value=[]),
    _set("plan", "scripts", 0, "path", value="/etc/profile"),
    _set("plan", "scripts", 0, "name", value="run"),
    _set("plan", "scripts", 0, "mode", value="rwx"),
    _set("plan", "run", "script", value="other"),
    _set("plan", "steps", value=[]),
    _set("plan", "candidates", value=[]),
    _set("plan", "protocol", value=99),
    _set("plan", "staging", 0, "files", value=1),
    _set("plan", "staging", 0, "source", value="/etc"),
    _set("plan", "job", "file", value="/etc/job.yaml"),
    _set("plan", "artifacts", value=[
        {"label": "a", "remote_path": "/a", "local_path": "/etc/cron.d", "required": True,
         "excludes": [], "delete": False},
    ]),
    _set("plan", "artifacts", value=[
        {"label": "a", "remote_path": "/a", "local_path": "@@rd:run_dir@@/NODES/1",
         "required": True, "excludes": [], "delete": False},
    ]),
    _payload_path("../../.ssh/id_ed25519"),
    _payload_path("/etc/passwd"),
    _payload_path("a/../../x"),
]  # fmt: skip


@pytest.mark.parametrize("change", TAMPERED)
def test_a_changed_plan_is_refused(change: Change) -> None:
    """Whatever is changed after the plan was made, the plan is refused."""
    with pytest.raises(PlanRefused, match="tampered"):
        loads(changed(change), "plan.json")


@pytest.mark.parametrize("change", FORGED)
def test_a_forged_plan_is_refused(change: Change) -> None:
    """A plan with a right hash that no compiler of ours would make is refused as well."""
    with pytest.raises(PlanRefused, match="tampered"):
        loads(changed(change, reseal=True), "plan.json")


def test_a_plan_of_a_newer_version_is_named() -> None:
    """The message says which version wrote the plan."""
    with pytest.raises(
        PlanRefused, match=r"runpod-deploy\.plan/2, written by runpod-deploy 0\.0\.0"
    ):
        loads(changed(_set("format", value="runpod-deploy.plan/2")), "plan.json")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"plan\.json:1:1: not JSON"),
        (b'{\n  "format": nope}', r"plan\.json:2:13: not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[]", "no JSON object"),
        (b"{}", "`format`"),
        (b'{"format": "runpod-deploy.sweep/1"}', "is a sweep"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "number without end"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_broken_files(data: bytes, message: str) -> None:
    """What is no plan file is refused with the place or the reason, never a traceback."""
    with pytest.raises(InvalidInput, match=message):
        loads(data, "plan.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("plan", "pod", "imge", value="x"), "/plan/pod/imge: unknown key"),
        (_set("extra", value=1), "/extra: unknown key"),
        (_set("plan", "pod", "gpu_count", value="1"), "/plan/pod/gpu_count"),
        (_set("plan", "pod", "gpu_count", value=True), "/plan/pod/gpu_count"),
        (_set("plan", "budget", "cost_cap_usd", value=10**400), "/plan/budget/cost_cap_usd"),
        (_set("plan", "pod", "gpu_count", value=2**60), "2\\^53"),
        (_set("plan", "pod", "image", value="\ud800"), "surrogate"),
        (_set("plan", "matrix", value=[1]), "/plan/matrix"),
        (_set("payload", value=[]), "/payload: a mapping"),
        (_set("payload", "code", value={}), "/payload/code: a list"),
        (_set("payload", "code", 0, "size", value="1"), "/payload/code/0/size"),
        (_set("payload", "code", 0, "more", value="1"), "/payload/code/0/more"),
        (lambda data: data.pop("payload"), "/payload"),
        (lambda data: data["plan"].pop("home"), "/plan/home: missing key"),
    ],
)
def test_another_shape(change: Change, message: str) -> None:
    """A value of another shape is named by its JSON pointer."""
    with pytest.raises(InvalidInput, match=message):
        loads(changed(change), "plan.json")

"""The emulator is held to facts of RunPod's OpenAPI document."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from emulator_harness import GPU, RunningCloud, cluster_body, pod_body, running_cloud
from runpod_deploy.emulator import request_schemas
from runpod_deploy.emulator.api.app import TABLE

CONTRACT = json.loads(
    Path(__file__).with_name("runpod-v2.contract.json").read_text(encoding="utf-8")
)
SCHEMAS: dict[str, Any] = CONTRACT["schemas"]
PATHS: dict[str, Any] = CONTRACT["paths"]

REQUESTS = {
    ("/v2/pods", "post"): request_schemas.CREATE_POD,
    ("/v2/pods/{id}", "patch"): request_schemas.UPDATE_POD,
    ("/v2/pods/{id}/action", "post"): request_schemas.POD_ACTION,
    ("/v2/clusters", "post"): request_schemas.CREATE_CLUSTER,
    ("/v2/clusters/{id}", "patch"): request_schemas.UPDATE_CLUSTER,
    ("/v2/network-volumes", "post"): request_schemas.CREATE_VOLUME,
    ("/v2/network-volumes/{id}", "patch"): request_schemas.UPDATE_VOLUME,
    ("/v2/registries", "post"): request_schemas.CREATE_REGISTRY,
    ("/v2/account/ssh-keys", "put"): request_schemas.UPDATE_SSH_KEYS,
    ("/v2/templates", "post"): request_schemas.CREATE_TEMPLATE,
    ("/v2/templates/{id}", "patch"): request_schemas.UPDATE_TEMPLATE,
}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[RunningCloud]:
    """A cloud whose pods are ready at the first poll."""
    with running_cloud(tmp_path, ready_polls=0) as running:
        yield running


def implemented() -> list[tuple[str, str]]:
    """List every path and method of the emulated API."""
    rows = [(path, m.lower()) for path, ms in TABLE.items() for m in ms]
    return [row for row in rows if row[0].startswith("/v2/")]


def flat(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow references and merge allOf, down to one level of properties."""
    while "$ref" in schema:
        schema = {**SCHEMAS[schema["$ref"].removeprefix("#/schemas/")], **_without_ref(schema)}
    merged: dict[str, Any] = {k: v for k, v in schema.items() if k != "allOf"}
    for part in schema.get("allOf", ()):
        inner = flat(part)
        merged["properties"] = {**inner.get("properties", {}), **merged.get("properties", {})}
        merged["required"] = [*inner.get("required", ()), *merged.get("required", ())]
        for key, value in inner.items():
            merged.setdefault(key, value)
    return merged


def _without_ref(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "$ref"}


def strangers(value: Any, schema: dict[str, Any], path: str = "$") -> list[str]:
    """List the properties of a body that its schema does not know."""
    known = flat(schema)
    for variant in known.get("anyOf", ()):
        if flat(variant).get("type") != "null":
            known = flat(variant)
    if isinstance(value, list):
        return [
            s for i, v in enumerate(value) for s in strangers(v, known["items"], f"{path}[{i}]")
        ]
    if not isinstance(value, dict):
        return []
    found = []
    for key, item in value.items():
        inner = known.get("properties", {}).get(key, known.get("additionalProperties"))
        if inner is None:
            found.append(f"{path}.{key}")
        else:
            found += strangers(item, inner, f"{path}.{key}")
    return found


def check(answer: httpx.Response, method: str, path: str) -> Any:
    """Hold one answer against the contract; gives its body."""
    operation = PATHS[path][method]
    responses = operation["responses"]
    if answer.status_code >= 400:
        # `default` covers every refusal that is not listed by its number.
        assert {str(answer.status_code), "default"} & set(responses)
        schema: dict[str, Any] = {"$ref": "#/schemas/ErrorResponse"}
        assert "application/problem+json" == answer.headers["content-type"]
    elif answer.status_code == 204:
        assert "204" in responses
        assert b"" == answer.content
        return None
    else:
        schema = responses[str(answer.status_code)]["application/json"]
    body = answer.json()
    validator = Draft202012Validator({**schema, "schemas": SCHEMAS})
    assert [] == [error.message for error in validator.iter_errors(body)]
    assert [] == strangers(body, schema)
    return body


class Caller:
    """Sends requests and checks each answer against the contract."""

    def __init__(self, running: RunningCloud) -> None:
        self.http = running.http
        self.used: set[tuple[str, str]] = set()

    def __call__(self, method: str, path: str, *, status: int, id: str = "", **more: Any) -> Any:
        """Give the body of one checked answer."""
        self.used.add((path, method))
        answer = self.http.request(method.upper(), path.replace("{id}", id), **more)
        assert status == answer.status_code, answer.text
        return check(answer, method, path)


def test_contract_is_what_the_script_writes() -> None:
    """The committed file is in the form the deriving script gives it."""
    names = {"openapi", "paths", "schemas"}
    prose = {"description", "summary", "example", "examples"}

    def keys(node: Any) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(keys, node))
        if not isinstance(node, dict):
            return set()
        return set(node).union(*map(keys, node.values()))

    assert names == set(CONTRACT)
    assert set() == prose & keys(CONTRACT)


@pytest.mark.parametrize(("path", "method"), implemented())
def test_operation_is_in_the_contract(path: str, method: str) -> None:
    """Nothing is emulated that RunPod does not have."""
    assert path in PATHS
    assert method in PATHS[path]


def test_contract_paths_are_implemented() -> None:
    """Every operation of the contract's paths is emulated."""
    wanted = {(path, method) for path, methods in PATHS.items() for method in methods}
    assert wanted == set(implemented())


def compare(ours: dict[str, Any], theirs: dict[str, Any], path: str) -> list[str]:
    """List where our request schema differs from the contract's."""
    theirs = flat(theirs)
    keys = ["enum", "pattern", "minLength", "minimum", "maximum", "maxItems"]
    if "properties" not in theirs:
        keys.append("type")
    found = [
        f"{path}: {key} {ours.get(key)!r} != {theirs.get(key)!r}"
        for key in keys
        if ours.get(key) != theirs.get(key)
    ]
    mine, other = ours.get("properties", {}), theirs.get("properties", {})
    if set(mine) != set(other):
        found.append(f"{path}: properties {sorted(set(mine) ^ set(other))}")
    if set(ours.get("required", ())) != set(theirs.get("required", ())):
        found.append(f"{path}: required {ours.get('required')} != {theirs.get('required')}")
    if other:
        closed = theirs.get("additionalProperties", theirs.get("unevaluatedProperties"))
        if ours.get("additionalProperties") != closed:
            found.append(f"{path}: additionalProperties")
    for name in set(mine) & set(other):
        found += compare(mine[name], other[name], f"{path}.{name}")
    if "items" in theirs:
        found += compare(ours["items"], theirs["items"], f"{path}[]")
    return found


@pytest.mark.parametrize(("path", "method"), sorted(REQUESTS))
def test_request_schema_agrees(path: str, method: str) -> None:
    """Our request schemas demand what the contract demands, no more and no less."""
    theirs = PATHS[path][method]["request"]["application/json"]
    assert [] == compare(REQUESTS[path, method], theirs, "$")


def test_every_request_body_is_compared() -> None:
    """No operation with a body is left out of that comparison."""
    bodies = {(p, m) for p, ms in PATHS.items() for m, op in ms.items() if "request" in op}
    assert bodies == set(REQUESTS)


def test_answers_keep_to_the_contract(served: RunningCloud) -> None:
    """Every operation answers with the listed statuses and exactly the contract's properties."""
    call = Caller(served)
    volume = call(
        "post",
        "/v2/network-volumes",
        status=201,
        json={"name": "data", "size": 10, "dataCenter": "EU-RO-1"},
    )
    call("get", "/v2/network-volumes", status=200)
    call("get", "/v2/network-volumes/{id}", status=200, id=volume["id"])
    call("patch", "/v2/network-volumes/{id}", status=200, id=volume["id"], json={"size": 20})
    registry = call(
        "post",
        "/v2/registries",
        status=201,
        json={"name": "hub", "username": "me", "password": "secret"},
    )
    call("get", "/v2/registries", status=200)
    call("get", "/v2/registries/{id}", status=200, id=registry["id"])
    key = "ssh-ed25519 AAAA me@example.com"
    call("put", "/v2/account/ssh-keys", status=200, json={"keys": [key]})
    call("get", "/v2/account/ssh-keys", status=200)
    template = call(
        "post", "/v2/templates", status=201, json={"name": "t", "image": "a/b:1", "env": {"A": "1"}}
    )
    call("get", "/v2/templates", status=200)
    call("get", "/v2/templates/{id}", status=200, id=template["id"])
    call("patch", "/v2/templates/{id}", status=200, id=template["id"], json={"disk": 30})

    mounts = {"network": [{"volumeId": volume["id"], "path": "/workspace"}]}
    pod = call("post", "/v2/pods", status=201, json=pod_body(mounts=mounts))
    served.ready(pod["id"])
    call("get", "/v2/pods/{id}", status=200, id=pod["id"])
    call("get", "/v2/pods", status=200)
    call("patch", "/v2/pods/{id}", status=200, id=pod["id"], json={"name": "other"})
    for action in ("restart", "stop", "start"):
        call("post", "/v2/pods/{id}/action", status=200, id=pod["id"], json={"action": action})
    cpu = pod_body(gpu=None, cpu={"id": "cpu5c", "vcpuCount": 4})
    cpu_pod = call("post", "/v2/pods", status=201, json=cpu)
    call("delete", "/v2/pods/{id}", status=204, id=cpu_pod["id"])

    cluster = call("post", "/v2/clusters", status=201, json=cluster_body(type="RAY"))
    call("get", "/v2/clusters/{id}/pods", status=200, id=cluster["id"])
    call("get", "/v2/clusters/{id}", status=200, id=cluster["id"])
    call("get", "/v2/clusters", status=200)
    call("get", "/v2/pods", status=200, params={"includeClusterPods": "true"})
    call("patch", "/v2/clusters/{id}", status=200, id=cluster["id"], json={"name": "other"})
    call("delete", "/v2/clusters/{id}", status=204, id=cluster["id"])
    call("get", "/v2/billing/clusters", status=200, params={"clusterId": cluster["id"]})

    stock = {"include": "AVAILABILITY", "product": "POD"}
    call("get", "/v2/catalog/gpus", status=200)
    call("get", "/v2/catalog/gpus", status=200, params=stock)
    call("get", "/v2/catalog/gpus/{id}", status=200, id=GPU, params=stock)
    call("get", "/v2/catalog/cpus", status=200, params=stock)
    call("get", "/v2/catalog/cpus/{id}", status=200, id="cpu3c")
    both = {"include": "GPU_AVAILABILITY,CPU_AVAILABILITY"}
    call("get", "/v2/catalog/datacenters", status=200, params=both)
    call("get", "/v2/catalog/datacenters/{id}", status=200, id="US-TX-3")
    call("get", "/v2/billing", status=200)
    call("get", "/v2/billing/pods", status=200, params={"podId": pod["id"], "bucketSize": "hour"})

    call("post", "/v2/pods/{id}/action", status=204, id=pod["id"], json={"action": "terminate"})
    call("delete", "/v2/network-volumes/{id}", status=204, id=volume["id"])
    call("delete", "/v2/templates/{id}", status=204, id=template["id"])
    call("delete", "/v2/registries/{id}", status=204, id=registry["id"])
    untried = set(implemented()) - call.used - {("/v2/pods/{id}/logs", "get")}
    assert set() == untried


def test_refusals_keep_to_the_contract(served: RunningCloud) -> None:
    """Refusals are problem documents with the contract's properties."""
    call = Caller(served)
    call("post", "/v2/pods", status=422, json={"gpus": 1})
    call("post", "/v2/pods", status=400, json=pod_body(gpu={"id": "NVIDIA Nothing"}))
    call("post", "/v2/pods", status=404, json=pod_body(templateId="none"))
    call("post", "/v2/clusters", status=422, json=cluster_body(registry="r"))
    call("get", "/v2/clusters/{id}/pods", status=404, id="nothing")
    for path, methods in PATHS.items():
        if path.endswith("{id}"):
            call("get", path, status=404, id="nothing")
            if "delete" in methods:
                call("delete", path, status=404, id="nothing")
    call("get", "/v2/pods/{id}/logs", status=404, id="nothing")
    call("get", "/v2/catalog/gpus", status=400, params={"include": "AVAILABILITY"})
    served.http.headers["Authorization"] = "Bearer wrong"
    call("get", "/v2/pods", status=401)


VALUES: dict[str, Any] = {
    "args": "sleep infinity",
    "cloud": "SECURE",
    "cpu": {"id": "cpu5c", "vcpuCount": 2},
    "dataCenterIds": ["US-TX-3"],
    "disk": 20,
    "env": {"A": "1"},
    "globalNetworking": True,
    "gpu": {"id": GPU, "count": 1, "minCudaVersion": "12.1"},
    "image": "ubuntu:24.04",
    "mounts": {"persistent": {"size": 20, "path": "/workspace"}},
    "name": "x",
    "ports": ["22/tcp", "8888/http"],
    "registry": None,
    "startJupyter": True,
    "startSsh": True,
}


@pytest.mark.parametrize("name", sorted(flat(SCHEMAS["CreatePodRequest"])["properties"]))
def test_create_property_is_accepted(served: RunningCloud, name: str) -> None:
    """Every property that a create may carry is understood."""
    body = pod_body()
    if name == "templateId":
        template = served.http.post("/v2/templates", json={"name": "t", "image": "a/b:1"}).json()
        body = {key: body[key] for key in ("name", "gpu")} | {"templateId": template["id"]}
    else:
        body[name] = VALUES[name]
    if name == "cpu":
        del body["gpu"]
    answer = served.http.post("/v2/pods", json=body)
    assert 201 == answer.status_code, answer.text
    pod = check(answer, "post", "/v2/pods")
    if name in pod and name not in {"gpu", "cpu", "globalNetworking"}:
        assert VALUES[name] == pod[name]

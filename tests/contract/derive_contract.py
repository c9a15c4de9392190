"""Derive runpod-v2.contract.json from RunPod's OpenAPI document: facts only, no prose.

Run with the document's path in RUNPOD_OPENAPI; writes the file beside this script.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("runpod-v2.contract.json")
USED = (
    "/v2/pods",
    "/v2/clusters",
    "/v2/network-volumes",
    "/v2/catalog/gpus",
    "/v2/catalog/cpus",
    "/v2/catalog/datacenters",
    "/v2/account/ssh-keys",
    "/v2/registries",
    "/v2/templates",
    "/v2/billing",
    "/v2/billing/pods",
    "/v2/billing/clusters",
)
VERBATIM = frozenset(
    {
        "$ref",
        "additionalProperties",
        "default",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "pattern",
        "required",
        "type",
        "unevaluatedProperties",
    }
)
NESTED = frozenset({"items", "not", "if", "then", "else", "additionalProperties"})
LISTS = frozenset({"allOf", "anyOf", "oneOf"})
METHODS = ("get", "post", "put", "patch", "delete")


def main() -> None:
    """Read the document, write the contract."""
    source = os.environ.get("RUNPOD_OPENAPI")
    if not source:
        sys.exit("set RUNPOD_OPENAPI to the path of RunPod's OpenAPI document")
    document = json.loads(Path(source).read_text(encoding="utf-8"))
    contract = derive(document)
    TARGET.write_text(render(contract), encoding="utf-8")


def render(contract: dict[str, Any]) -> str:
    """Write one line per path and per schema, so that a change of the API reads as one."""
    parts = [f' "openapi": {json.dumps(contract["openapi"])}']
    for section in ("paths", "schemas"):
        rows = [
            f"  {json.dumps(name)}: {json.dumps(value, sort_keys=True)}"
            for name, value in sorted(contract[section].items())
        ]
        parts.append(f' "{section}": {{\n' + ",\n".join(rows) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def derive(document: dict[str, Any]) -> dict[str, Any]:
    """Give the paths in use and every schema that they reach."""
    paths: dict[str, Any] = {}
    for path, item in document["paths"].items():
        if any(path == used or path.startswith(f"{used}/{{") for used in USED):
            paths[path] = {
                method: _operation(document, item, item[method])
                for method in METHODS
                if method in item
            }
    schemas: dict[str, Any] = {}
    pending = sorted(_references(paths))
    while pending:
        name = pending.pop()
        if name not in schemas:
            schemas[name] = facts(document["components"]["schemas"][name])
            pending += sorted(_references(schemas[name]))
    return {"openapi": document["openapi"], "paths": paths, "schemas": schemas}


def facts(schema: dict[str, Any]) -> dict[str, Any]:
    """Keep what a schema demands, drop what it explains."""
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            kept[key] = {name: facts(inner) for name, inner in value.items()}
        elif key in LISTS:
            kept[key] = [facts(inner) for inner in value]
        elif key in NESTED and isinstance(value, dict):
            kept[key] = facts(value)
        elif key == "$ref":
            kept[key] = value.replace("#/components/schemas/", "#/schemas/")
        elif key in VERBATIM:
            kept[key] = value
    return kept


def _operation(
    document: dict[str, Any], item: dict[str, Any], operation: dict[str, Any]
) -> dict[str, Any]:
    parameters = [
        _resolve(document, parameter)
        for parameter in [*item.get("parameters", ()), *operation.get("parameters", ())]
    ]
    kept: dict[str, Any] = {
        "parameters": {
            parameter["name"]: {"in": parameter["in"], "schema": facts(parameter["schema"])}
            for parameter in parameters
        },
        "responses": {
            status: _content(_resolve(document, response))
            for status, response in operation["responses"].items()
        },
    }
    if "requestBody" in operation:
        kept["request"] = _content(_resolve(document, operation["requestBody"]))
    return kept


def _content(holder: dict[str, Any]) -> dict[str, Any]:
    content = holder.get("content", {})
    return {media: facts(body.get("schema", {})) for media, body in content.items()}


def _resolve(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def _references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_references, node))
    if not isinstance(node, dict):
        return set()
    found = set().union(*map(_references, node.values()))
    reference = node.get("$ref")
    if isinstance(reference, str):
        found.add(reference.removeprefix("#/schemas/"))
    return found


if __name__ == "__main__":
    main()

"""Values that are text whatever YAML reads: variables, axes, environments, ports, as they are spelt."""

from typing import Any

from runpod_deploy.schema.yaml_nodes import Node
from runpod_deploy.schema.yaml_source import YamlSource

_TEXT_MAPS = ("/variables", "/pod/env", "/remote_env/exports", "/run/env")
_TEXTS_OF_A_SWEEP = frozenset(("axes", "include", "exclude"))


def as_written(source: YamlSource) -> dict[str, Any]:
    """Return the document, a mapping, with those values as they are spelt: `1.10`, not `1.1`."""
    data = dict(source.data)
    for pointer in _TEXT_MAPS:
        _take(data, pointer, source.root)
    if isinstance(data.get("forward"), list):
        data["forward"] = _texts(source.root.find("/forward"))
    if isinstance(data.get("matrix"), dict):
        data["matrix"] = dict(data["matrix"])
        for key in _TEXTS_OF_A_SWEEP & data["matrix"].keys():
            node = source.root.find(f"/matrix/{key}")
            data["matrix"][key] = _texts(node)
    return data


def _texts(node: Node | None) -> Any:
    """Return a value of which every scalar is text."""
    if node is None:
        return None
    if isinstance(node.items, dict):
        return {key: _texts(item) for key, item in node.items.items()}
    if node.items is not None:
        return [_texts(item) for item in node.items]
    return node.text


def _take(data: dict[str, Any], pointer: str, root: Node) -> None:
    node = root.find(pointer)
    if node is None or not isinstance(node.items, dict):
        return
    *above, last = pointer.split("/")[1:]
    section = data
    for key in above:
        section[key] = dict(section[key])
        section = section[key]
    section[last] = {key: item.text for key, item in node.items.items()}

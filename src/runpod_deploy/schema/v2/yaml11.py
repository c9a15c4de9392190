"""What YAML 1.1 read differently: earlier releases read files by it, this one reads YAML 1.2."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from runpod_deploy.schema.report import Report, shorten
from runpod_deploy.schema.yaml_nodes import Node
from runpod_deploy.schema.yaml_source import YamlSource

_BOOLEANS = {
    spelling: value
    for word, value in (("yes", True), ("no", False), ("on", True), ("off", False))
    for spelling in (word, word.capitalize(), word.upper())
}
_MAX_LENGTH = 100


def take_booleans(source: YamlSource, schema: Mapping[str, Any], report: Report) -> None:
    """Replace `yes`, `no`, `on` and `off` in `source` where the schema wants a boolean."""
    _take(source.root, schema, schema, report)


def _take(node: Node, rule: Mapping[str, Any], schema: Mapping[str, Any], report: Report) -> None:
    below = node.items.items() if isinstance(node.items, dict) else enumerate(node.items or ())
    for key, item in below:
        inner = rule.get("properties", {}).get(key) if isinstance(key, str) else rule.get("items")
        if not isinstance(inner, dict):
            continue
        target = inner.get("$ref", "").rpartition("/")[2]
        inner = schema["$defs"][target] if target else inner
        if inner.get("type") == "boolean" and _plain(item, report) and item.value in _BOOLEANS:
            node.value[key] = _BOOLEANS[item.value]
        else:
            _take(item, inner, schema, report)


def respelled(node: Node | None, report: Report) -> Iterator[tuple[str, str, str]]:
    """Yield key, text and YAML 1.1's reading of each text of a mapping that it read differently."""
    if node is None or not isinstance(node.items, dict):
        return
    for key, item in node.items.items():
        if item.text and len(item.text) <= _MAX_LENGTH and _plain(item, report):
            try:
                value = yaml.safe_load(item.text)
            except (yaml.YAMLError, ValueError):
                continue
            if isinstance(value, (bool, int, float)) and str(value) != item.text:
                yield key, shorten(item.text), str(value)


def _plain(node: Node, report: Report) -> bool:
    """Return whether a scalar stands without quotes."""
    if not isinstance(node.text, str):
        return False
    line, column = node.place
    return report.lines[line - 1][column - 1 : column] not in ("'", '"', "|", ">", "!")

"""Changes to a YAML text that leave everything else of it as it is: comments, order, style."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from runpod_deploy.schema.v2.placeholders import as_template

_SIMPLE = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")


Pair = tuple[Node, Node]


class Unchangeable(Exception):
    """The text cannot be changed so that it says what it should."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Edit:
    """The characters from `start` to `end` become `text`; an insertion has no length."""

    start: int
    end: int
    text: str


class Editor:
    """Finds the edits that make one document say another thing."""

    def __init__(self, text: str, names: Mapping[str, str]) -> None:
        self._text = text
        self._names = names
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._edits: dict[Edit, None] = {}
        self._added: dict[int, int] = {}

    def change(self, old: Any, new: Any) -> str:
        """Return the text changed so that it says `new`.

        Args:
            old: What it says now, as plain data.
            new: What it should say.

        Raises:
            Unchangeable: Two places want one text to be different things.
        """
        root = yaml.compose(self._text, Loader=yaml.SafeLoader)
        self._differ(root, old, new)
        result, end = [], len(self._text)
        for edit in sorted(self._edits, key=lambda one: (one.start, one.end), reverse=True):
            if edit.end > end:
                raise Unchangeable
            result += [self._text[edit.end : end], edit.text]
            end = edit.start
        result.append(self._text[:end])
        return "".join(reversed(result))

    def _differ(self, node: Node | None, old: Any, new: Any) -> None:
        if type(old) is type(new) and old == new:
            return
        if isinstance(node, MappingNode) and isinstance(old, dict) and isinstance(new, dict):
            self._mapping(node, old, new)
        elif isinstance(node, SequenceNode) and isinstance(old, list) and isinstance(new, list):
            self._list(node, old, new)
        elif isinstance(node, ScalarNode):
            self._edit(node.start_mark.index, node.end_mark.index, self._scalar(node, new))
        elif node is not None:
            self._replace(node, new)

    def _mapping(self, node: MappingNode, old: dict[str, Any], new: dict[str, Any]) -> None:
        pairs = dict(_pairs(node))
        for key, value in old.items():
            if key in new:
                self._differ(pairs[key][1], value, new[key])
        gone = {id(pairs[key][0]) for key in old if key not in new}
        for run, following in _runs(node, gone):
            self._remove(node, run, following)
        if gone - {id(key) for key, _ in node.value}:
            raise Unchangeable  # a key that is merged in from elsewhere
        kept = [pair for pair in node.value if id(pair[0]) not in gone]
        for key, value in new.items():
            if key not in old:
                self._add(node, kept, f"{key}: {written(value)}", first=key == "schema_version")

    def _list(self, node: SequenceNode, old: list[Any], new: list[Any]) -> None:
        if old and len(new) > len(old) and new[: len(old)] == old:
            for item in new[len(old) :]:
                self._append(node, written(item))
        elif len(new) == len(old):
            for below, before, after in zip(node.value, old, new, strict=True):
                self._differ(below, before, after)
        else:
            self._replace(node, new)

    def _replace(self, node: Node, new: Any) -> None:
        # A list in block style may begin in its key's own column, any other value may not.
        lead = "" if _flat(node) else "  "
        self._edit(node.start_mark.index, _end(node), lead + written(new))

    def _scalar(self, node: ScalarNode, new: Any) -> str:
        raw = self._text[node.start_mark.index : node.end_mark.index]
        found = _PROPERTIES.match(raw)
        lead = found[0] if found else ""
        body = raw[len(lead) :]
        if isinstance(new, str):
            for names in (self._names, {}):
                candidate = as_template(body, names, "''" if node.style == "'" else "'")
                if _reads_as(candidate, new, node):
                    return lead + candidate
            if node.style is None and _reads_as(new, new, node):
                return lead + new
        return lead + written(new)

    def _remove(self, node: MappingNode, run: list[Pair], following: Pair | None) -> None:
        start = run[0][0].start_mark.index
        end = max(_end(run[-1][1]), run[-1][0].end_mark.index)
        line = self._text.rfind("\n", 0, start) + 1
        if following is not None and (node.flow_style or self._text[line:start].strip()):
            end = following[0].start_mark.index
        elif node.flow_style:
            start = len(self._text[:start].rstrip().removesuffix(","))
        elif self._text[line:start].strip():
            raise Unchangeable
        else:
            for key, value in run:
                here = self._text.rfind("\n", 0, key.start_mark.index) + 1
                end = max(_end(value), key.end_mark.index)
                self._edit(here, self._line_end(end, inclusive=True), "")
            return
        self._edit(start, end, "")

    def _add(self, node: MappingNode, kept: list[Pair], line: str, *, first: bool) -> None:
        if node.flow_style:
            self._add_inside(node, line)
            return
        if not kept:
            raise Unchangeable
        indent = " " * kept[0][0].start_mark.column
        whole = [
            key.end_mark
            for key, value in kept
            if key.start_mark.line == value.start_mark.line == _last_line(value)
            or value.start_mark.index < key.start_mark.index  # an alias
        ]
        if whole and not first:
            place = self._line_end(whole[-1].index)
            self._edit(place, place, f"{self._newline}{indent}{line}", after=True)
        else:
            place = kept[0][0].start_mark.index
            self._edit(place, place, f"{line}{self._newline}{indent}", after=True)

    def _append(self, node: SequenceNode, item: str) -> None:
        if node.flow_style:
            self._add_inside(node, item)
            return
        place = self._line_end(_end(node.value[-1]))
        indent = " " * node.start_mark.column
        self._edit(place, place, f"{self._newline}{indent}- {item}", after=True)

    def _add_inside(self, node: Node, text: str) -> None:
        place = len(self._text[: node.end_mark.index - 1].rstrip())
        alone = self._text[place - 1] in "{[," and place not in self._added
        self._edit(place, place, text if alone else f", {text}", after=True)

    def _edit(self, start: int, end: int, text: str, *, after: bool = False) -> None:
        if after:
            # Several additions at one place become one, in their order.
            self._added[start] = self._added.get(start, 0) + 1
            known = next((one for one in self._edits if one.start == one.end == start), None)
            if known is not None:
                del self._edits[known]
                text = known.text + text
        self._edits[Edit(start=start, end=end, text=text)] = None

    def _line_end(self, index: int, *, inclusive: bool = False) -> int:
        end = self._text.find("\n", index)
        if end < 0:
            return len(self._text)
        if inclusive:
            return end + 1
        return end - 1 if self._text[end - 1 : end] == "\r" else end


def written(value: Any) -> str:
    """Return plain data as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, str) and _SIMPLE.fullmatch(value) and yaml.safe_load(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _runs(node: MappingNode, gone: set[int]) -> Iterator[tuple[list[Pair], Pair | None]]:
    """Yield each run of pairs that go, and the pair that stays behind it."""
    run: list[Pair] = []
    for pair in node.value:
        if id(pair[0]) in gone:
            run.append(pair)
        elif run:
            yield run, pair
            run = []
    if run:
        yield run, None


def _pairs(node: MappingNode) -> Iterator[tuple[str, Pair]]:
    """Yield the pairs of a mapping by key; what is merged in comes first, its own pairs win."""
    for key, value in node.value:
        if key.value == "<<" and key.tag == "tag:yaml.org,2002:merge":
            sources = value.value if isinstance(value, SequenceNode) else [value]
            for source in reversed(sources):
                yield from _pairs(source)
    for key, value in node.value:
        if isinstance(key.value, str):
            yield key.value, (key, value)


def _end(node: Node) -> int:
    """Return the index behind the last character of a value, without what only separates it."""
    if _flat(node):
        end: int = node.end_mark.index
        if getattr(node, "style", None) in ("|", ">"):
            # The mark stands where the next line begins.
            end = max(end - 1, node.start_mark.index)
        return end
    last = node.value[-1]
    return max(_end(last[1]), last[0].end_mark.index) if isinstance(last, tuple) else _end(last)


def _last_line(node: Node) -> int:
    line: int = node.end_mark.line if _flat(node) else -1
    return line


def _flat(node: Node) -> bool:
    return not isinstance(node, (MappingNode, SequenceNode)) or bool(node.flow_style)


def _reads_as(candidate: str, wanted: str, node: ScalarNode) -> bool:
    if node.style in ("|", ">"):
        # Its lines are joined and indented by rules of their own; the whole file is read at the end.
        return True
    try:
        found = yaml.compose(candidate, Loader=yaml.BaseLoader)
    except yaml.YAMLError:
        return False
    return isinstance(found, ScalarNode) and found.value == wanted

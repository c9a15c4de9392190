"""From parser events to the tree of nodes, bounded in depth, aliases and size while it is built.

The parsers hand out events one by one and keep no recursion of their own, so a bound that is checked here,
before the next event is asked for, protects from documents made to exhaust stack or memory.
"""

import re
from collections.abc import Callable
from typing import Any

from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from runpod_deploy.schema.report import Report, shorten
from runpod_deploy.schema.yaml_nodes import Node, Place
from runpod_deploy.schema.yaml_scalars import NotFiniteError, resolve

MAX_DEPTH = 100
MAX_ALIASES = 10_000
MAX_WEIGHT = 8 * 1024 * 1024
COST = 64

_CORE = "tag:yaml.org,2002:"
_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "null": (type(None),),
}
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")


class Composer:
    """Builds the one document of a stream of events; `next_event` returns None after the last."""

    def __init__(self, next_event: Callable[[], Event | None], report: Report) -> None:
        self._next_event = next_event
        self._report = report
        self._anchors: dict[str, Node | None] = {}
        self._aliases = 0
        self._weight = 0

    def document(self) -> Node:
        """Return the root node.

        Raises:
            Stop: There is no document, there are several, or it goes beyond a bound.
        """
        self._next()
        if isinstance(self._next(), StreamEndEvent):
            raise self._empty()
        root = self._node(self._next(), 1)
        self._next()
        event = self._next()
        if isinstance(event, DocumentStartEvent):
            raise self._report.fatal(
                "several-documents",
                "More than one document",
                "A job file holds one YAML document; here begins another one.",
                _place(event),
                help="Put each job into a file of its own.",
            )
        if root.value is None:
            raise self._empty()
        return root

    def _empty(self) -> Exception:
        return self._report.fatal(
            "empty-file",
            "The file is empty",
            "A job file needs at least `schema_version`, `name`, `pod` and `run`; this one says nothing.",
            (1, 1),
            help="To begin with a complete example, run:\n\n  runpod-deploy init",
        )

    def _next(self) -> Event:
        event = self._next_event()
        assert event is not None  # noqa: S101 - the grammar of events has an end event for each start
        return event

    def _node(self, event: Event, depth: int) -> Node:
        if isinstance(event, AliasEvent):
            return self._alias(event, depth)
        if depth > MAX_DEPTH:
            raise self._too_deep(_place(event))
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = None
        if isinstance(event, ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            assert isinstance(event, MappingStartEvent)  # noqa: S101 - the only kind that is left
            node = self._mapping(event, depth)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _too_deep(self, place: Place) -> Exception:
        return self._report.fatal(
            "too-deep",
            "Nested too deeply",
            f"Lists and mappings may lie {MAX_DEPTH} levels deep, no more; here begins the next level.",
            place,
        )

    def _weigh(self, weight: int, place: Place) -> None:
        self._weight += weight
        if self._weight > MAX_WEIGHT:
            raise self._report.fatal(
                "too-many-values",
                "The document is too large",
                "With every alias replaced by what it stands for, the document grows beyond what a job "
                "file can mean. The bound is reached here.",
                place,
                help="Use fewer values, or aliases of smaller parts.",
            )

    def _alias(self, event: AliasEvent, depth: int) -> Node:
        place = _place(event)
        name = event.anchor
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise self._report.fatal(
                "too-many-aliases",
                "Too many aliases",
                f"A job file may use {MAX_ALIASES:,} aliases, no more.",
                place,
            )
        if name not in self._anchors:
            raise self._unknown_anchor(name, place)
        target = self._anchors[name]
        if target is None:
            raise self._report.fatal(
                "recursive-alias",
                "Alias of itself",
                f"The alias `*{name}` lies inside the value that it stands for, which would never end.",
                place,
            )
        if depth + target.height > MAX_DEPTH:
            raise self._too_deep(place)
        self._weigh(target.weight, place)
        return Node(
            value=target.value,
            place=place,
            text=target.text,
            weight=target.weight,
            height=target.height,
            items=target.items,
            key_places=target.key_places,
        )

    def _unknown_anchor(self, name: str, place: Place) -> Exception:
        from runpod_deploy.schema.near_miss import near_miss  # noqa: PLC0415 - on the error path only

        near = near_miss(name, self._anchors)
        return self._report.fatal(
            "unknown-anchor",
            "Unknown alias",
            f"A value that begins with `*` is a YAML alias, and no anchor `&{name}` stands above it.",
            place,
            suggestion=None if near is None else f"*{near}",
            help='If a pattern is meant, put it in quotes, such as `"*.pyc"`.',
        )

    def _scalar(self, event: ScalarEvent) -> Node:
        text: str = event.value
        place = _place(event)
        weight = COST + len(text)
        self._weigh(weight, place)
        return Node(value=self._value(event, text, place), place=place, text=text, weight=weight)

    def _value(self, event: ScalarEvent, text: str, place: Place) -> Any:
        if event.style == '"' and _UNUSABLE.search(text):
            self._report.error(
                "forbidden-character",
                "Character not allowed",
                "This text holds a NUL or half of a surrogate pair, which no program can take.",
                place,
            )
            return ""
        try:
            return self._resolve(event, text, place)
        except NotFiniteError:
            self._report.error(
                "not-finite",
                "Not a finite number",
                f"`{shorten(text)}` is not a finite number that can be counted with.",
                place,
                help="Put it in quotes if text is meant.",
            )
            return 0

    def _resolve(self, event: ScalarEvent, text: str, place: Place) -> Any:
        tag: str | None = event.tag
        if tag is None:
            return resolve(text) if event.implicit[0] else text
        if tag in ("!", _CORE + "str"):
            return text
        kinds = _KINDS.get(tag.removeprefix(_CORE)) if tag.startswith(_CORE) else None
        value = resolve(text) if kinds is not None else None
        if (
            kinds is None
            or not isinstance(value, kinds)
            or (type(value) is bool) != (bool in kinds)
        ):
            self._bad_tag(tag, place)
            return text
        return float(value) if float in kinds else value

    def _bad_tag(self, tag: str, place: Place) -> None:
        shown = "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag
        self._report.error(
            "unknown-tag",
            "Tag not supported",
            f"A word that begins with `!` is a YAML tag, and `{shorten(shown)}` does not fit this value.",
            place,
            help="Remove the tag, or put the value in quotes if it belongs to the text.",
        )

    def _container(self, event: Event, kind: str) -> None:
        tag = getattr(event, "tag", None)
        place = _place(event)
        self._weigh(COST, place)
        if tag not in (None, "!", _CORE + kind):
            self._bad_tag(tag, place)

    def _sequence(self, event: SequenceStartEvent, depth: int) -> Node:
        self._container(event, "seq")
        nodes: list[Node] = []
        while not isinstance(item := self._next(), SequenceEndEvent):
            nodes.append(self._node(item, depth + 1))
        return Node(
            value=[node.value for node in nodes],
            place=_place(event),
            weight=COST + sum(node.weight for node in nodes),
            height=1 + max((node.height for node in nodes), default=0),
            items=nodes,
        )

    def _mapping(self, event: MappingStartEvent, depth: int) -> Node:
        self._container(event, "map")
        items: dict[str, Node] = {}
        places: dict[str, Place] = {}
        merges: list[Node] = []
        template = False
        while not isinstance(key_event := self._next(), MappingEndEvent):
            place = _place(key_event)
            merge = _is_merge(key_event)
            key = None if merge else self._key(self._node(key_event, depth + 1))
            value = self._node(self._next(), depth + 1)
            if value.text == "" and value.value is None:
                value.place = place
            if merge and not merges:
                merges = self._merged(value)
            elif merge or (key is not None and key in items):
                self._duplicate("<<" if key is None else key, place, places)
            elif key is not None:
                items[key] = value
            elif self._is_template(place):
                template = True
            else:
                self._bad_key(key_event, place)
            if key is not None or merge:
                places.setdefault("<<" if key is None else key, place)
        if template:
            return Node(value="{{", place=_place(event), text="{{", weight=COST)
        places.pop("<<" if merges else "", None)
        return _joined(_place(event), items, places, merges)

    def _key(self, node: Node) -> str | None:
        return node.value if isinstance(node.value, str) else None

    def _is_template(self, place: Place) -> bool:
        line = self._report.lines[place[0] - 1]
        if line[max(place[1] - 2, 0) : place[1]] != "{{":
            return False
        shown = line[place[1] - 2 :].partition(" #")[0].strip()
        self._report.error(
            "unquoted-template",
            "Template without quotes",
            "A value that begins with a template must be quoted: without quotes YAML takes `{` for the "
            "start of a mapping.",
            (place[0], place[1] - 1),
            suggestion=f'"{shorten(shown)}"' if '"' not in shown else f"'{shorten(shown)}'",
        )
        return True

    def _bad_key(self, event: Event, place: Place) -> None:
        text = event.value if isinstance(event, ScalarEvent) else None
        self._report.error(
            "key-not-text",
            "Key is not text",
            "The keys of a job file are text."
            + ("" if text is None else f" YAML reads `{shorten(text)}` as something else."),
            place,
            suggestion=f'"{shorten(text)}"' if text else None,
        )

    def _duplicate(self, key: str, place: Place, places: dict[str, Place]) -> None:
        first = places[key]
        self._report.error(
            "duplicate-key",
            "Duplicate key",
            f"The key `{shorten(key)}` stands here for the second time; the first is in line {first[0]}, "
            f"column {first[1]}. Only one of them could count.",
            place,
            help="Join the two, or remove one.",
        )

    def _merged(self, value: Node) -> list[Node]:
        sources = value.items if isinstance(value.items, list) else [value]
        for source in sources:
            if not isinstance(source.items, dict):
                self._report.error(
                    "bad-merge",
                    "Nothing to merge",
                    "The merge key `<<` takes an alias of a mapping, or a list of such aliases.",
                    source.place,
                )
        return [source for source in sources if isinstance(source.items, dict)]


def _joined(
    place: Place, items: dict[str, Node], places: dict[str, Place], merges: list[Node]
) -> Node:
    for source in merges:
        assert isinstance(source.items, dict)  # noqa: S101 - `_merged` lets nothing else through
        for key, node in source.items.items():
            if key not in items:
                items[key] = node
                places[key] = (source.key_places or {}).get(key, source.place)
    return Node(
        value={key: node.value for key, node in items.items()},
        place=place,
        weight=COST + sum(COST + len(key) + node.weight for key, node in items.items()),
        height=1 + max((node.height for node in items.values()), default=0),
        items=items,
        key_places=places,
    )


def _is_merge(event: Event) -> bool:
    return (
        isinstance(event, ScalarEvent)
        and event.value == "<<"
        and event.tag is None
        and bool(event.implicit[0])
    )


def _place(event: Event) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1

"""From parser events to the tree of nodes, bounded in depth and size while it is built.

The parsers hand out events one by one and keep no recursion of their own. So a bound that is
checked here, before the next event is asked for, protects from documents made to exhaust the stack
or the memory.
"""

from collections.abc import Callable

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

from runpod_deploy.schema.near_miss import near_miss
from runpod_deploy.schema.report import Report, Stop, shorten
from runpod_deploy.schema.yaml_bounds import COST, MAX_DEPTH, Bounds
from runpod_deploy.schema.yaml_nodes import Node, Place
from runpod_deploy.schema.yaml_values import check_tag, scalar_value

_MERGE = "<<"


class Composer:
    """Builds the one document of a stream of events, none of which is asked for after the last."""

    def __init__(self, next_event: Callable[[], Event], report: Report) -> None:
        self._next = next_event
        self._report = report
        self._bounds = Bounds(report)
        self._anchors: dict[str, Node | None] = {}

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
                f"A {self._report.what} holds one YAML document; here another one begins.",
                _place(event),
                help=f"Put each {self._report.what.removesuffix(' file')} into a file of its own.",
            )
        if root.value is None:
            raise self._empty()
        return root

    def _empty(self) -> Stop:
        kind = self._report.kind
        return self._report.fatal(
            "empty-file",
            "The file is empty",
            f"A {kind.name} needs at least {kind.least}; this one says nothing.",
            (1, 1),
            help=kind.begin,
        )

    def _node(self, event: Event, depth: int) -> Node:
        if isinstance(event, AliasEvent):
            return self._alias(event, depth)
        place = _place(event)
        if depth > MAX_DEPTH:
            self._bounds.depth(depth, place)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = None
        if isinstance(event, ScalarEvent):
            weight = COST + len(event.value)
            self._bounds.weight(weight, place)
            value = scalar_value(event, place, self._report)
            node = Node(
                value=value,
                place=place,
                file=self._report.file,
                text=event.value,
                weight=weight,
            )
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(event, place, depth)
        else:
            node = self._mapping(event, place, depth)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _alias(self, event: AliasEvent, depth: int) -> Node:
        place = _place(event)
        self._bounds.alias(place)
        name = str(event.anchor)
        if name not in self._anchors:
            raise self._unknown_anchor(name, place)
        target = self._anchors[name]
        if target is None:
            raise self._report.fatal(
                "recursive-alias",
                "Alias of itself",
                f"The alias `*{name}` lies inside the value it stands for, which would never end.",
                place,
            )
        self._bounds.depth(depth + target.height, place)
        self._bounds.weight(target.weight, place)
        return target.at(place)

    def _unknown_anchor(self, name: str, place: Place) -> Stop:
        near = near_miss(name, self._anchors)
        return self._report.fatal(
            "unknown-anchor",
            "Unknown alias",
            f"A value that begins with `*` is a YAML alias, and no anchor `&{shorten(name)}` "
            "stands above it.",
            place,
            suggestion=None if near is None else f"*{near}",
            help='If a pattern is meant, put it in quotes, such as `"*.pyc"`.',
        )

    def _sequence(self, event: SequenceStartEvent, place: Place, depth: int) -> Node:
        check_tag(event, "seq", place, self._report)
        self._bounds.weight(COST, place)
        nodes: list[Node] = []
        while not isinstance(item := self._next(), SequenceEndEvent):
            nodes.append(self._node(item, depth + 1))
        return Node(
            value=[node.value for node in nodes],
            place=place,
            file=self._report.file,
            weight=COST + sum(node.weight for node in nodes),
            height=1 + max((node.height for node in nodes), default=0),
            items=nodes,
        )

    def _mapping(self, event: Event, place: Place, depth: int) -> Node:
        assert isinstance(event, MappingStartEvent)  # noqa: S101 - the only kind that is left
        check_tag(event, "map", place, self._report)
        self._bounds.weight(COST, place)
        items: dict[str, Node] = {}
        places: dict[str, Place] = {}
        merged: list[Node] | None = None
        while not isinstance(key := self._next(), MappingEndEvent):
            at = _place(key)
            merges = _is_merge(key)
            name = _MERGE if merges else self._node(key, depth + 1).value
            value = self._node(self._next(), depth + 1)
            if value.value is None and value.text == "":
                value = value.at(at)  # an empty value is shown at its key
            if not isinstance(name, str):
                if self._is_template(at):
                    return self._skip_template(place, depth)
                self._bad_key(key, at)
            elif name in places:
                self._duplicate(name, at, places[name])
            elif merges:
                merged, places[name] = self._sources(value), at
            else:
                items[name], places[name] = value, at
        if merged is not None:
            del places[_MERGE]
        for source in merged or ():
            for inherited, place_of_key in (source.key_places or {}).items():
                node = source.under(inherited)
                if inherited not in items and node is not None:
                    items[inherited], places[inherited] = node, place_of_key
        return mapping_node(place, self._report.file, items, places)

    def _is_template(self, place: Place) -> bool:
        """Note an unquoted `{{ … }}`, which YAML reads as a mapping with a mapping for its key."""
        line = self._report.lines[place[0] - 1]
        if line[max(place[1] - 2, 0) : place[1]] != "{{":
            return False
        template, closing, rest = line[place[1] - 2 :].partition("}}")
        rest = "" if set(rest) & set(",]}") else rest.partition(" #")[0].rstrip()
        shown = shorten(f"{template}{closing}{rest}")
        self._report.error(
            "unquoted-template",
            "Template without quotes",
            "A value that begins with a template must be quoted: without quotes YAML takes `{` for "
            "the start of a mapping.",
            (place[0], place[1] - 1),
            suggestion=f"'{shown}'" if '"' in shown else f'"{shown}"',
        )
        return True

    def _skip_template(self, place: Place, depth: int) -> Node:
        while not isinstance(event := self._next(), MappingEndEvent):
            self._node(event, depth + 1)
        return Node(value="{{", place=place, file=self._report.file, text="{{", weight=COST)

    def _bad_key(self, event: Event, place: Place) -> None:
        text = shorten(event.value) if isinstance(event, ScalarEvent) else ""
        read = f", and YAML reads `{text}` as something else" if text else ""
        self._report.error(
            "key-not-text",
            "Key is not text",
            f"The keys of a {self._report.what} are text{read}.",
            place,
            suggestion=f'"{text}"' if text else None,
        )

    def _duplicate(self, key: str, place: Place, first: Place) -> None:
        self._report.error(
            "duplicate-key",
            "Duplicate key",
            f"The key `{shorten(key)}` stands here again; it stands first in line {first[0]}, "
            f"column {first[1]}, and only one of the two could count.",
            place,
            help="Join the two, or remove one.",
        )

    def _sources(self, value: Node) -> list[Node]:
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


def mapping_node(place: Place, file: str, items: dict[str, Node], places: dict[str, Place]) -> Node:
    """Return the mapping of `items`, whose keys stand at `places` in the files of their values."""
    return Node(
        value={key: node.value for key, node in items.items()},
        place=place,
        file=file,
        weight=COST + sum(COST + len(key) + node.weight for key, node in items.items()),
        height=1 + max((node.height for node in items.values()), default=0),
        items=items,
        key_places=places,
    )


def _is_merge(event: Event) -> bool:
    return (
        isinstance(event, ScalarEvent)
        and event.value == _MERGE
        and event.tag is None
        and bool(event.implicit[0])
    )


def _place(event: Event) -> Place:
    mark = event.start_mark
    assert mark is not None  # noqa: S101 - only events made by hand have no mark
    return mark.line + 1, mark.column + 1

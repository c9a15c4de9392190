"""A YAML file read with the place of every key and value, in one pass."""

from collections.abc import Callable, Mapping
from typing import Any

import yaml
from yaml.events import Event
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from runpod_deploy.errors import Position
from runpod_deploy.frozen import frozen
from runpod_deploy.schema.report import Report
from runpod_deploy.schema.yaml_compose import Composer
from runpod_deploy.schema.yaml_nodes import KeyPositions, Node, ValuePositions
from runpod_deploy.schema.yaml_syntax import syntax_error
from runpod_deploy.schema.yaml_text import decode


@frozen
class YamlSource:
    """A document and where everything in it stands.

    Attributes:
        file: The file's name as the user should read it.
        lines: The file's lines, without line breaks.
        root: The tree of values.
    """

    file: str
    lines: tuple[str, ...]
    root: Node

    @property
    def data(self) -> Any:
        """The document as dicts, lists and scalars; parts behind one alias are the same object."""
        return self.root.value

    @property
    def positions(self) -> Mapping[str, Position]:
        """JSON pointer to the place of the value."""
        return ValuePositions(self.root)

    @property
    def key_positions(self) -> Mapping[str, Position]:
        """JSON pointer to the place of the key."""
        return KeyPositions(self.root)


def read_yaml(raw: bytes, report: Report, *, pure: bool = not yaml.__with_libyaml__) -> YamlSource:
    """Read one YAML document; what is wrong with it is noted in `report`.

    Args:
        raw: The bytes of the file.
        report: Takes every finding; its `lines` are set here.
        pure: Parse without libyaml: the same result, much slower.

    Raises:
        Stop: Nothing can be said about the content, because the file is no YAML or beyond a bound.
    """
    text = decode(raw, report)
    try:
        root = Composer(_event_source(text, pure=pure), report).document()
    except yaml.YAMLError as error:
        raise syntax_error(error, report) from error
    report.spoilt = frozenset(one.where for one in report.found if one.where is not None)
    return YamlSource(file=report.file, lines=report.lines, root=root)


class _PureParser(Reader, Scanner, Parser):
    """PyYAML's parser in Python, for installations without libyaml."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


def _event_source(text: str, *, pure: bool) -> Callable[[], Event]:
    if pure:
        parser: Any = _PureParser(text)
    else:
        from yaml._yaml import CParser  # noqa: PLC0415 - exists only where libyaml does

        parser = CParser(text)
    next_event: Callable[[], Event] = parser.get_event
    return next_event

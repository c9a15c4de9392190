"""The Jinja2 environment of the job file: expressions only, and nothing that can run away.

A job file may come from a stranger's pull request, and planning it must be harmless. So there are
no statements, no globals, a short list of filters and text methods, and one allowance of characters
for everything that an expression makes longer: each part of it is evaluated once, so that only what
multiplies, quotes, formats, or makes text of a list needs to be counted.
"""

import re
import shlex
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, cast

from jinja2 import StrictUndefined, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.filters import FILTERS
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment
from jinja2.tests import TESTS

from runpod_deploy.compiler.templating import CAP_CHARACTERS

FILTER_NAMES = (
    *("abs", "capitalize", "d", "default", "first", "float", "int", "last", "length", "lower"),
    *("string", "title", "trim", "upper", "urlencode"),
)
METHOD_NAMES = frozenset(
    {"capitalize", "count", "endswith", "find", "isdigit", "lower", "lstrip", "removeprefix"}
    | {"removesuffix", "rsplit", "rstrip", "split", "startswith", "strip", "title", "upper"}
)
_NUMBER_TESTS = ("divisibleby", "even", "odd")
_MAX_BITS = 512
_SIZES = re.compile(r"[-#+ 0-9.*]*")
_TOO_WIDE = re.compile(r"[0-9]{3}|\*")
# Noncharacters of Unicode, which no YAML text may hold: these delimiters cannot occur.
_NEVER = "\ufffe\uffff"


class TooLarge(Exception):
    """An expression asks for more text than any job needs."""


class _Generator(CodeGenerator):
    """Writes `~` as a call of the environment, which counts what it makes."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja2's
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class JobEnvironment(SandboxedEnvironment):
    """Sandboxed Jinja2 in which only `{{ … }}` means anything."""

    code_generator_class = _Generator
    intercepted_binops = frozenset(("*", "**", "%", "//"))

    def __init__(self) -> None:
        super().__init__(
            block_start_string=f"{_NEVER}<%",
            block_end_string=f"%>{_NEVER}",
            comment_start_string=f"{_NEVER}<#",
            comment_end_string=f"#>{_NEVER}",
            keep_trailing_newline=True,
            undefined=StrictUndefined,
            finalize=self._finalized,
            optimized=False,  # it would evaluate constants outside of the allowance
            autoescape=False,
            cache_size=0,
        )
        self.spent = 0
        self.tokens = 0
        self.parsed: tuple[str, nodes.Template] | None = None
        self.globals.clear()
        self.tests = {
            **TESTS,
            **{name: _of_numbers(cast(Any, TESTS[name])) for name in _NUMBER_TESTS},
        }
        self.filters = {name: self._counted(FILTERS[name]) for name in FILTER_NAMES}
        self.filters |= {
            # Jinja2's own computes ten to the power of the precision.
            "round": lambda value, precision=0: round(float(value), precision),
            "sh": self._counted(lambda value: shlex.quote(str(value))),
            "format": self._format,
            "join": self._join,
            "replace": self._replace,
        }

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ARG002 - Jinja2's
        """Return whether a template may use `obj.attr`: a few methods of text only."""
        return isinstance(obj, str) and attr in METHOD_NAMES

    def wrap_str_format(self, value: Any) -> None:
        """Leave `str.format` to `is_safe_attribute`, which refuses it: it can pad without end."""

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Carry out `*`, `**`, `%` or `//` within the allowance."""
        if operator == "%" and isinstance(left, str):
            return self._format(left, right)
        if operator == "*":
            self._spend(_repeated(left, right) + _repeated(right, left))
        if isinstance(left, int) and isinstance(right, int):
            grown = left.bit_length() * abs(right) if operator == "**" else left.bit_length()
            if grown > _MAX_BITS or right.bit_length() > _MAX_BITS:
                raise TooLarge
        return super().call_binop(context, operator, left, right)

    def joined(self, parts: Iterable[Any]) -> str:
        """Return what `~` makes of its parts."""
        return "".join(map(self._text, parts))

    @pass_context
    def _finalized(self, context: Context, value: Any) -> str:  # noqa: ARG002 - see below
        # That it takes the context keeps Jinja2 from calling it for constants while it compiles.
        return self._text(value)

    def _text(self, value: Any) -> str:
        """Return a value as text: that of a list doubles every backslash in it."""
        if isinstance(value, str):
            return value
        text = str(value)
        self._spend(len(text))
        return text

    def _counted(self, made: Callable[..., Any]) -> Callable[..., Any]:
        """Return a filter whose texts count: some filters lengthen what they are given."""

        @wraps(made)
        def counting(*values: Any, **options: Any) -> Any:
            result = made(*values, **options)
            if isinstance(result, str):
                self._spend(len(result))
            return result

        return counting

    def _spend(self, characters: int) -> None:
        if self.spent + characters > CAP_CHARACTERS:
            raise TooLarge  # and what was not made does not count against other texts
        self.spent += characters

    def _format(self, text: str, *values: Any) -> str:
        if _is_wide(text):
            raise TooLarge
        if text.count("%") * sum(len(str(value)) for value in values) > CAP_CHARACTERS:
            raise TooLarge  # `%(name)s` puts one value in as often as it stands there
        result: str = str(text) % (values[0] if len(values) == 1 else values)
        self._spend(len(result))
        return result

    def _join(self, items: Any, separator: str = "") -> str:
        texts = [str(item) for item in items]
        self._spend(sum(map(len, texts)) + len(separator) * len(texts))
        return separator.join(texts)

    def _replace(self, value: Any, old: str, new: str) -> str:
        text = str(value)
        self._spend(len(text) + text.count(old) * len(new))
        return text.replace(old, new)


def _repeated(items: Any, times: Any) -> int:
    if isinstance(items, (str, list, tuple)) and isinstance(times, int):
        return len(items) * max(0, times)
    return 0


def _is_wide(text: str) -> bool:
    """Return whether a `%` in `text` asks for a width or precision of 100 or more, or for any."""
    at = text.find("%") + 1
    while at:
        if text[at : at + 1] == "(":
            at = _behind_name(text, at)
        sizes = _SIZES.match(text, at)
        if sizes is not None and _TOO_WIDE.search(sizes[0]):
            return True
        at = text.find("%", sizes.end() + 1 if sizes is not None else at + 1) + 1
    return False


def _behind_name(text: str, start: int) -> int:
    depth = 0
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return at + 1
    return len(text)


def _of_numbers(test: Callable[..., Any]) -> Callable[..., bool]:
    """Return a test that is about numbers only: `%` means something else to a text."""

    def only(*values: Any) -> bool:
        if not all(isinstance(value, (int, float)) for value in values):
            raise TypeError("only numbers can be divided")
        return bool(test(*values))

    return only

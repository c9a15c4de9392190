"""The Jinja2 environment of the job file: expressions only, and nothing that can run away.

A job file may come from a stranger's pull request, and planning it must be harmless. So there are
no statements, no globals, a short list of filters and text methods, and one allowance of characters
for everything that an expression multiplies.
"""

import re
import shlex
from typing import Any

from jinja2 import StrictUndefined
from jinja2.filters import FILTERS
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment

from runpod_deploy.compiler.templating import CAP_CHARACTERS

FILTER_NAMES = (
    *("abs", "capitalize", "d", "default", "first", "float", "int", "last", "length", "lower"),
    *("string", "title", "trim", "upper", "urlencode"),
)
METHOD_NAMES = frozenset(
    {"capitalize", "count", "endswith", "find", "isdigit", "lower", "lstrip", "removeprefix"}
    | {"removesuffix", "rsplit", "rstrip", "split", "startswith", "strip", "title", "upper"}
)
_MAX_BITS = 512
_WIDE = re.compile(r"%(\(.*\))?[^a-zA-Z%]*(\d{3}|\*)", re.DOTALL)
# Noncharacters of Unicode, which no YAML text may hold: these delimiters cannot occur.
_NEVER = "\ufffe\uffff"


class TooLarge(Exception):
    """An expression asks for more text than any job needs."""


class JobEnvironment(SandboxedEnvironment):
    """Sandboxed Jinja2 in which only `{{ … }}` means anything."""

    intercepted_binops = frozenset(("*", "**", "%"))

    def __init__(self) -> None:
        super().__init__(
            block_start_string=f"{_NEVER}<%",
            block_end_string=f"%>{_NEVER}",
            comment_start_string=f"{_NEVER}<#",
            comment_end_string=f"#>{_NEVER}",
            keep_trailing_newline=True,
            undefined=StrictUndefined,
            autoescape=False,
            cache_size=0,
        )
        self.spent = 0
        self.globals.clear()
        self.filters = {name: FILTERS[name] for name in FILTER_NAMES}
        self.filters |= {
            # Jinja2's own computes ten to the power of the precision.
            "round": lambda value, precision=0: round(float(value), precision),
            "sh": lambda value: shlex.quote(str(value)),
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
        """Carry out `*`, `**` or `%` within the allowance."""
        if operator == "%" and isinstance(left, str):
            return self._format(left, right)
        if operator == "*":
            self._spend(_repeated(left, right) + _repeated(right, left))
        if isinstance(left, int) and isinstance(right, int):
            grown = left.bit_length() * abs(right) if operator == "**" else left.bit_length()
            if grown > _MAX_BITS or right.bit_length() > _MAX_BITS:
                raise TooLarge
        return super().call_binop(context, operator, left, right)

    def _spend(self, characters: int) -> None:
        self.spent += characters
        if self.spent > CAP_CHARACTERS:
            raise TooLarge

    def _format(self, text: str, *values: Any) -> str:
        if _WIDE.search(text):
            raise TooLarge
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

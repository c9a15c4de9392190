"""Rendering of the job file's `{{ … }}`, and nothing else: shell text passes byte for byte.

Texts whose templates are mere names are filled here. Jinja2 is loaded when the first expression
comes that is more than a name; most job files never need it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from runpod_deploy.frozen import frozen

if TYPE_CHECKING:
    from runpod_deploy.compiler.sandbox import JobEnvironment

CAP_CHARACTERS = 4 * 2**20
LITERAL_HELP = "Two literal braces are written:\n  {{ '{{' }}"
_NAME = re.compile(r"(?<!\{)\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*\}\}")
_WORDS = frozenset(
    ("true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else")
)


@frozen
class Use:
    """A name in a template.

    Attributes:
        line: Line of the text it stands on, from 1; `column` is the column there.
        optional: The template itself says what to do when the name is not defined.
        bare: The value is put in as it is; only then may it be a late-bound one.
    """

    name: str
    line: int
    column: int = 1
    optional: bool = False
    bare: bool = True


class TemplateProblem(Exception):
    """A template cannot be rendered; `line` counts from 1 in the text, `needle` stands there."""

    def __init__(
        self,
        code: str,
        summary: str,
        detail: str,
        *,
        line: int = 1,
        needle: str = "",
        help: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.summary = summary
        self.detail = detail
        self.line = line
        self.needle = needle
        self.help = help


def too_large(line: int = 1) -> TemplateProblem:
    """Return the problem of a job whose templates yield more than `CAP_CHARACTERS`."""
    return TemplateProblem(
        "template-too-large",
        "The templates yield too much text",
        f"All templates of a job together may yield {CAP_CHARACTERS:,} characters; this is where "
        "more would come.",
        line=line,
        help="Put large texts into a file of the project and stage it.",
    )


def is_template(text: str) -> bool:
    """Return whether anything in `text` is active."""
    return "{{" in text


class Renderer:
    """Renders the texts of one job within one allowance of characters."""

    def __init__(self) -> None:
        self._left = CAP_CHARACTERS
        self._environment: JobEnvironment | None = None

    def uses(self, text: str) -> tuple[Use, ...]:
        """Return every use of a name in `text`, in reading order.

        Raises:
            TemplateProblem: The text is not a template that Jinja2 can read.
        """
        if _has_names_only(text):
            return tuple(_named_uses(text))
        from runpod_deploy.compiler import expressions  # noqa: PLC0415 - Jinja2 is slow to load

        return expressions.uses(self._jinja(), text)

    def render(self, text: str, values: Mapping[str, str]) -> str:
        """Return `text` with its templates replaced by their values.

        Raises:
            TemplateProblem: An expression fails, is forbidden, or yields too much.
        """
        if _has_names_only(text):
            result = self._named(text, values)
        else:
            from runpod_deploy.compiler import expressions  # noqa: PLC0415 - as above

            result = expressions.render(self._jinja(), text, values, self._left)
        self._left -= len(result)
        if self._left < 0:
            raise too_large()
        return result

    def _named(self, text: str, values: Mapping[str, str]) -> str:
        room = self._left
        for found in _NAME.finditer(text):
            room -= len(values[found[1]])
            if room < 0:  # before a gigabyte is made of it
                raise too_large(text.count("\n", 0, found.start()) + 1)
        return _NAME.sub(lambda found: values[found[1]], text)

    def _jinja(self) -> "JobEnvironment":
        if self._environment is None:
            from runpod_deploy.compiler.sandbox import JobEnvironment  # noqa: PLC0415 - as above

            self._environment = JobEnvironment()
        return self._environment


def _named_uses(text: str) -> Iterator[Use]:
    line, start = 1, 0
    for found in _NAME.finditer(text):
        at = found.start(1)
        line += text.count("\n", start, at)
        start = at
        yield Use(name=found[1], line=line, column=at - text.rfind("\n", 0, at))


def _has_names_only(text: str) -> bool:
    names = _NAME.findall(text)
    return "{{" not in _NAME.sub("", text) and _WORDS.isdisjoint(names)

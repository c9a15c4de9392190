"""What a resource takes in: one description for checking, defaults and differences.

Over the wire every number is a float and a missing value is simply not there, so values are brought
into one form before anything is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pulumi.dynamic import CheckFailure
from pulumi.output import contains_unknowns

Reader = Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One input.

    Attributes:
        read: Returns the value in its one form; raises ValueError with the reason it cannot be.
        replaces: Whether a change needs another resource.
        silent: Whether it only matters when the resource is made; a change of it is none.
    """

    name: str
    read: Reader
    required: bool = False
    default: Any = None
    replaces: bool = False
    silent: bool = False

    def settled(self, value: Any) -> Any:
        """Return a value in its one form, the default for none; one that cannot be stays as it is."""
        if value is None:
            return self.default
        try:
            return self.read(value)
        except ValueError:
            return value


def checked(
    fields: Sequence[Field], news: Mapping[str, Any]
) -> tuple[dict[str, Any], list[CheckFailure]]:
    """Return the inputs in their one form, and what is wrong with them.

    A value that is not known before other resources exist is let through.
    """
    inputs: dict[str, Any] = {}
    failures = []
    for field in fields:
        value = news.get(field.name)
        if value is None and field.required:
            failures.append(CheckFailure(field.name, "is needed"))
        elif value is None:
            inputs[field.name] = field.default
        elif contains_unknowns(value):
            inputs[field.name] = value
        else:
            try:
                inputs[field.name] = field.read(value)
            except ValueError as error:
                failures.append(CheckFailure(field.name, str(error)))
    return inputs, failures


def text(value: Any) -> str:
    """Read a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text that is not empty")
    return value


def path(value: Any) -> str:
    """Read an absolute path."""
    if not text(value).startswith("/"):
        raise ValueError("must be an absolute path")
    return str(value)


def whole(least: int, most: int | None = None) -> Reader:
    """Return the reader of a whole number in a range."""

    def read(value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("must be a whole number")
        if value < least or (most is not None and value > most):
            raise ValueError(
                f"must be {least} or more" if most is None else f"must be from {least} to {most}"
            )
        return value

    return read


def amount(value: Any) -> float:
    """Read a number above 0."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e9:
        raise ValueError("must be a number above 0")
    return float(value)


def flag(value: Any) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def one_of(*words: str) -> Reader:
    """Return the reader of one of a few words."""

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return str(value)

    return read


def texts(value: Any) -> list[str]:
    """Read a list of texts."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError("must be a list of texts")
    return [text(item) for item in value]


def some_texts(value: Any) -> list[str]:
    """Read a list of texts that is not empty."""
    if not texts(value):
        raise ValueError("must name at least one")
    return texts(value)


def mapping(value: Any) -> dict[str, str]:
    """Read names with their values."""
    if not isinstance(value, Mapping):
        raise ValueError("must map names to texts")
    if not all(isinstance(key, str) and isinstance(item, str) for key, item in value.items()):
        raise ValueError("must map names to texts")
    return dict(value)

"""Frozen dataclasses to plain JSON-like data and back, by their type annotations.

Both directions are total over the types we use: str, int, float, bool, None, `StrEnum`, `Literal`,
tuples of one item type, string-keyed mappings, unions with None, and nested dataclasses. Reading is
strict: an unknown key or a value of another type raises `PlainDataError` with a JSON pointer.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any, Literal, TypeVar, Union

T = TypeVar("T")


class PlainDataError(ValueError):
    """Data does not have the shape of the dataclass; `pointer` is the JSON pointer of the place."""

    def __init__(self, pointer: str, problem: str) -> None:
        super().__init__(f"{pointer or '/'}: {problem}")
        self.pointer = pointer
        self.problem = problem


def to_plain(value: object) -> Any:
    """Return `value` as dicts, lists and scalars; keys keep the order of the fields."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return value


def from_plain(
    cls: type[T],
    data: object,
    pointer: str = "",
    *,
    ready: Mapping[str, object] | None = None,
) -> T:
    """Build a `cls` from plain data.

    Args:
        cls: A dataclass.
        data: What `to_plain` returns.
        pointer: JSON pointer of `data` in the document that errors speak of.
        ready: Fields of `cls` that are not in `data` and are taken as they are.

    Raises:
        PlainDataError: An unknown or missing key, or a value of another type than annotated.
    """
    result: T = _read_dataclass(cls, data, pointer, ready) if ready else _read(cls, data, pointer)
    return result


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _read(kind: Any, data: Any, pointer: str) -> Any:  # noqa: PLR0911 - one branch per kind of type
    if kind is Any or kind is object:
        return data
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _read_dataclass(kind, data, pointer)
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return _read_union(arguments, data, pointer)
    if origin is Literal:
        if data not in arguments:
            raise PlainDataError(
                pointer, f"{data!r} is not one of {', '.join(map(repr, arguments))}"
            )
        return data
    if origin is tuple:
        if not isinstance(data, list):
            raise PlainDataError(pointer, "a list is needed")
        return tuple(_read(arguments[0], item, f"{pointer}/{i}") for i, item in enumerate(data))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(data, Mapping):
            raise PlainDataError(pointer, "a mapping is needed")
        return {
            str(k): _read(arguments[1], v, f"{pointer}/{escape(str(k))}") for k, v in data.items()
        }
    return _read_scalar(kind, data, pointer)


def _read_dataclass(
    cls: Any, data: Any, pointer: str, ready: Mapping[str, object] | None = None
) -> Any:
    if not isinstance(data, Mapping):
        raise PlainDataError(pointer, "a mapping is needed")
    hints = _hints(cls)
    unknown = [key for key in data if key not in hints]
    if unknown:
        raise PlainDataError(f"{pointer}/{escape(str(unknown[0]))}", "unknown key")
    values = {k: _read(hints[k], v, f"{pointer}/{escape(k)}") for k, v in data.items()}
    values.update(ready or {})
    for field in dataclasses.fields(cls):
        needed = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if needed and field.name not in values:
            raise PlainDataError(f"{pointer}/{field.name}", "missing key")
    return cls(**values)


def _read_union(arguments: tuple[Any, ...], data: Any, pointer: str) -> Any:
    if data is None and type(None) in arguments:
        return None
    problem: PlainDataError | None = None
    for kind in arguments:
        if kind is type(None):
            continue
        try:
            return _read(kind, data, pointer)
        except PlainDataError as error:
            problem = error
    assert problem is not None  # noqa: S101 - a union of None alone is not used
    raise problem


def _read_scalar(kind: Any, data: Any, pointer: str) -> Any:
    if kind is float and isinstance(data, (int, float)) and not isinstance(data, bool):
        try:
            return float(data)
        except OverflowError:
            raise PlainDataError(pointer, "the number is too large") from None
    if kind in (str, int, bool, type(None)) and type(data) is kind:
        return data
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        try:
            return kind(data)
        except ValueError:
            raise PlainDataError(pointer, f"{data!r} is not one of {', '.join(kind)}") from None
    raise PlainDataError(pointer, f"{getattr(kind, '__name__', kind)} is needed, not {data!r}")


def escape(key: str) -> str:
    """Return `key` as one reference token of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")

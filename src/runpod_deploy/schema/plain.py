"""Frozen dataclasses to plain JSON-like data and back, by their type annotations.

Both directions are total over the types we use: str, int, float, bool, None, `StrEnum`, `Literal`,
tuples and sequences of one item type, string-keyed mappings, unions with None, and nested
dataclasses. Reading is strict: an unknown key or a value of another type raises `PlainDataError`
with a JSON pointer.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Any, Literal, TypeVar, Union

T = TypeVar("T")
Reader = Callable[[Any, str], Any]
"""Takes plain data and its JSON pointer, and returns the value."""


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
    kind: Any = cls
    result: T = (
        _dataclass_reader(kind)(data, pointer, ready) if ready else _reader(kind)(data, pointer)
    )
    return result


@cache
def _reader(kind: Any) -> Reader:  # noqa: PLR0911 - one branch per kind of type
    """Return what reads a value of that type, made once: a job file holds hundreds of them."""
    if kind is Any or kind is object:
        return lambda data, _: data
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass_reader(kind)
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return _union_reader(arguments)
    if origin is Literal:
        return _literal_reader(arguments)
    if origin in (tuple, Sequence):
        return _list_reader(_reader(arguments[0]))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping_reader(_reader(arguments[1]))
    return _scalar_reader(kind)


def _literal_reader(allowed: tuple[Any, ...]) -> Reader:
    def read(data: Any, pointer: str) -> Any:
        if data not in allowed:
            raise PlainDataError(pointer, f"{data!r} is not one of {', '.join(map(repr, allowed))}")
        return data

    return read


def _list_reader(item: Reader) -> Reader:
    def read(data: Any, pointer: str) -> Any:
        if not isinstance(data, list):
            raise PlainDataError(pointer, "a list is needed")
        return tuple(item(one, f"{pointer}/{i}") for i, one in enumerate(data))

    return read


def _mapping_reader(item: Reader) -> Reader:
    def read(data: Any, pointer: str) -> Any:
        if not isinstance(data, Mapping):
            raise PlainDataError(pointer, "a mapping is needed")
        return {str(k): item(v, f"{pointer}/{escape(str(k))}") for k, v in data.items()}

    return read


@cache
def _dataclass_reader(cls: Any) -> Callable[..., Any]:
    readers: dict[str, Reader] = {}
    hints = typing.get_type_hints(cls)
    needed = [
        field.name
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]

    def read(data: Any, pointer: str, ready: Mapping[str, object] | None = None) -> Any:
        if not isinstance(data, Mapping):
            raise PlainDataError(pointer, "a mapping is needed")
        values: dict[str, Any] = {}
        for key, value in data.items():
            if key not in readers:  # made late: what is `ready` may be of any type
                if key not in hints:
                    raise PlainDataError(f"{pointer}/{escape(str(key))}", "unknown key")
                readers[key] = _reader(hints[key])
            values[key] = readers[key](value, f"{pointer}/{escape(key)}")
        values.update(ready or {})
        for name in needed:
            if name not in values:
                raise PlainDataError(f"{pointer}/{name}", "missing key")
        return cls(**values)

    return read


def _union_reader(arguments: tuple[Any, ...]) -> Reader:
    readers = [_reader(kind) for kind in arguments if kind is not type(None)]
    nullable = type(None) in arguments

    def read(data: Any, pointer: str) -> Any:
        if data is None and nullable:
            return None
        problem: PlainDataError | None = None
        for reader in readers:
            try:
                return reader(data, pointer)
            except PlainDataError as error:
                problem = error
        assert problem is not None  # noqa: S101 - a union of None alone is not used
        raise problem

    return read


def _scalar_reader(kind: Any) -> Reader:
    if kind is float:
        return _read_float
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _enum_reader(kind)
    name = getattr(kind, "__name__", kind)

    def read(data: Any, pointer: str) -> Any:
        if type(data) is kind and kind in (str, int, bool, type(None)):
            return data
        raise PlainDataError(pointer, f"{name} is needed, not {data!r}")

    return read


def _read_float(data: Any, pointer: str) -> float:
    if isinstance(data, (int, float)) and not isinstance(data, bool):
        try:
            return float(data)
        except OverflowError:
            raise PlainDataError(pointer, "the number is too large") from None
    raise PlainDataError(pointer, f"float is needed, not {data!r}")


def _enum_reader(kind: type[StrEnum]) -> Reader:
    def read(data: Any, pointer: str) -> Any:
        try:
            return kind(data)
        except ValueError:
            raise PlainDataError(pointer, f"{data!r} is not one of {', '.join(kind)}") from None

    return read


def escape(key: str) -> str:
    """Return `key` as one reference token of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")

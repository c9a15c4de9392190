"""Frozen records that cost little to define.

`dataclasses.dataclass` writes, compiles and runs the text of six methods for every class, each time the
program starts. A plan of a small job loads many records and makes few of each, so that it is quicker
with these: they share their methods, which walk the fields. To make one takes longer than by a
generated method, so what is made for each file of a payload stays a dataclass.

They are dataclasses all the same: `fields`, `replace` and `asdict` take them, and type checkers hold
the constructors against the fields.
"""

from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from typing import Any, NoReturn, TypeVar, cast, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Make a class a record: made by keywords only, never changed, equal by its compared fields.

    Classes in which a method of the same name is written keep it. A record may extend a record;
    `__post_init__` is not called.
    """
    for name, method in _METHODS.items():
        if name not in cls.__dict__:
            setattr(cls, name, method)
    made: Any = dataclass(init=False, repr=False, eq=False, kw_only=True, slots=True)(cls)
    # The slot's own setter goes past `__setattr__`, which always refuses.
    made.__layout__ = tuple(
        (one.name, getattr(made, one.name).__set__, one.default, one.default_factory)
        for one in fields(made)
    )
    return cast("type[T]", made)


def _init(self: Any, /, **values: Any) -> None:
    left = len(values)
    for name, put, default, factory in self.__layout__:
        if name in values:
            put(self, values[name])
            left -= 1
        elif default is not MISSING:
            put(self, default)
        elif factory is not MISSING:
            put(self, factory())
        else:
            raise TypeError(f"{type(self).__qualname__} needs {name!r}")
    if left:
        unknown = values.keys() - {name for name, *_ in self.__layout__}
        raise TypeError(f"{type(self).__qualname__} has no {', '.join(sorted(unknown))}")


def _compared(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, one.name) for one in fields(self) if one.compare)


def _eq(self: Any, other: object) -> Any:
    if type(self) is not type(other):
        return NotImplemented
    return _compared(self) == _compared(other)


def _hash(self: Any) -> int:
    return hash(_compared(self))


def _repr(self: Any) -> str:
    shown = (f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _setattr(_self: object, name: str, _value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(_self: object, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, name) for name, *_ in self.__layout__]


def _setstate(self: Any, state: list[Any]) -> None:
    for (_, put, *_), value in zip(self.__layout__, state, strict=True):
        put(self, value)


_METHODS: dict[str, Any] = {
    "__init__": _init,
    "__eq__": _eq,
    "__hash__": _hash,
    "__repr__": _repr,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    # Copies and pickles set no attribute either.
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}

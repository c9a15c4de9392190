"""Commands that read their flags without Pydantic.

Newer versions of Typer convert every value through Pydantic, whose import alone takes longer than a
whole plan. The types used here need no more than their constructor. Where Typer has no such
converters, or keeps them elsewhere, nothing is replaced and only the time is lost.
"""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

import typer
from typer.core import TyperCommand


class LeanCommand(TyperCommand):
    """A command whose flags are converted directly."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, each with a direct converter where there is one."""
        return spared(super().get_params(ctx))


def spared(params: Any) -> Any:
    """Return `params`, each with a direct converter if its type has one and Typer asks for one."""
    for param in params:
        descriptor = getattr(param, "type_descriptor", None)
        if descriptor is not None and getattr(param, "_runtime_param", descriptor) is None:
            types = get_args(descriptor.annotation)
            convert = _converter(types[0] if types else descriptor.annotation)
            if convert is not None:
                param._runtime_param = Direct(convert)  # noqa: SLF001 - see above
    return params


class Direct:
    """Converts a value, or each of several, by one call."""

    def __init__(self, convert: Callable[[str], Any]) -> None:
        self._convert = convert

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the converted value; None stays, several become a list."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        try:
            made = list(map(self._convert, value)) if several else self._convert(value)
            _check_range(made if several else [made], param)
        except ValueError as error:
            raise typer.BadParameter(str(error), ctx=ctx, param=param) from error
        return made


def _check_range(values: list[Any], param: Any) -> None:
    """Hold numbers against the bounds that the help promises."""
    least, most = getattr(param, "min", None), getattr(param, "max", None)
    for value in values:
        if least is not None and value < least:
            raise ValueError(f"{value} is less than {least}.")
        if most is not None and value > most:
            raise ValueError(f"{value} is more than {most}.")


def _converter(wanted: Any) -> Callable[[str], Any] | None:
    if wanted in {str, Path, bool}:
        plain: Callable[[str], Any] = wanted
        return plain
    if wanted is int:
        return _whole_number
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        return lambda value: _choice(wanted, value)
    return None


def _whole_number(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a whole number.") from None


def _choice(kind: type[StrEnum], value: str) -> StrEnum:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(
            f"{value!r} is not one of {', '.join(map(repr, map(str, kind)))}."
        ) from None

"""JSON without its soft spots: each key once, finite numbers, and a place for what is broken."""

import json
import math
from typing import Any

from runpod_deploy.errors import Diagnostic, InvalidInput, Position, Severity


class _Doubt(ValueError):
    """JSON that readers may take for different data."""


def parse(data: bytes, name: str) -> dict[str, Any]:
    """Return the object in `data`.

    Raises:
        InvalidInput: Not UTF-8, not JSON, not an object, a key twice, a number that is not finite.
    """
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_unique,
            parse_constant=_constant,
            parse_float=_finite,
        )
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name} is not UTF-8 text (byte {error.start + 1})") from error
    except json.JSONDecodeError as error:
        raise _broken(error, name) from error
    except _Doubt as error:
        raise InvalidInput(f"{name} is not a plan: {error}") from error
    except RecursionError as error:
        raise InvalidInput(f"{name} is not a plan: it is nested too deeply") from error
    except ValueError as error:
        raise InvalidInput(f"{name} is not a plan: it holds a number without end") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"{name} is not a plan: it holds no JSON object")
    return value


def _broken(error: json.JSONDecodeError, name: str) -> InvalidInput:
    where = Position(file=name, line=error.lineno, column=error.colno)
    lines = error.doc.splitlines()
    diagnostic = Diagnostic(
        severity=Severity.ERROR,
        code="json-syntax",
        summary="The file is not JSON",
        detail=f"{error.msg}.",
        where=where,
        source_line=lines[error.lineno - 1] if error.lineno <= len(lines) else None,
    )
    return InvalidInput(f"{where}: not JSON: {error.msg}", diagnostics=(diagnostic,))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _Doubt(f"the key {json.dumps(twice)} stands twice in one object")
    return result


def _constant(text: str) -> Any:
    raise _Doubt(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _Doubt(f"{text} is too large for a JSON number")
    return value

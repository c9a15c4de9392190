"""Where and by which rule a document does not fit its schema, found by `jsonschema`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from runpod_deploy.schema.dialect import compiled, first_duplicate, is_integer
from runpod_deploy.schema.pointer import child


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One rule that is broken.

    Attributes:
        pointer: JSON pointer of the value that breaks it.
        keyword: The rule's keyword in the schema.
        rule: What stands under that keyword.
        schema: The schema object that holds the keyword.
        schema_path: The keys and indexes that lead to the keyword from the schema's root.
        value: The value that breaks it; of `propertyNames` the name, of `required` the mapping.
        key: The key that `required` misses, else empty.
    """

    pointer: str
    keyword: str
    rule: Any
    schema: Mapping[str, Any]
    schema_path: tuple[str | int, ...]
    value: Any
    key: str


def faults(data: Any, schema: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield every rule of `schema` that `data` breaks, in no useful order."""
    for error in validator_class()(schema).iter_errors(data):
        pointer = ""
        for part in error.absolute_path:
            pointer = child(pointer, part)
        yield Fault(
            pointer=pointer,
            keyword=error.validator,
            rule=error.validator_value,
            schema=error.schema,
            schema_path=tuple(error.absolute_schema_path),
            value=error.instance,
            key=error.message if error.validator == "required" else "",
        )


@cache
def validator_class() -> Any:
    """Return the class of our validators: draft 2020-12 in the reading of `dialect`.

    The schema given to it is taken as sound; the check against the metaschema is made by a test.
    """
    checker = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, v: is_integer(v))
    keywords: dict[str, Callable[..., Iterator[ValidationError]]] = {
        "pattern": _pattern,
        "required": _required,
        "uniqueItems": _unique_items,
    }
    return extend(Draft202012Validator, keywords, type_checker=checker)  # type: ignore[no-untyped-call] # the stubs leave it bare


def _pattern(_: Any, rule: str, value: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not compiled(rule).search(value):
        yield ValidationError(rule)


def _required(_: Any, rule: list[str], value: Any, __: Any) -> Iterator[ValidationError]:
    for key in rule if isinstance(value, dict) else ():
        if key not in value:
            yield ValidationError(key)


def _unique_items(_: Any, rule: object, value: Any, __: Any) -> Iterator[ValidationError]:
    if rule and isinstance(value, list) and first_duplicate(value) is not None:
        yield ValidationError("uniqueItems")

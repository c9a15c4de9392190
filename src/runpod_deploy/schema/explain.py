"""Says in full sentences why a document does not fit its schema.

`jsonschema` finds the faults; every word that a user reads is written here.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from runpod_deploy.errors import Position
from runpod_deploy.schema.dialect import compiled, first_duplicate, is_integer
from runpod_deploy.schema.near_miss import near_miss
from runpod_deploy.schema.pointer import child, dotted, parent, split
from runpod_deploy.schema.report import MAX_DIAGNOSTICS, Report, shorten
from runpod_deploy.schema.yaml_source import YamlSource

_TYPE_WORDS = {
    "object": "a section of keys",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


def report_misfits(
    source: YamlSource, schema: Mapping[str, Any], refused: frozenset[str], report: Report
) -> None:
    """Note every place where `source` does not fit `schema`.

    Args:
        source: The document.
        schema: An object schema, draft 2020-12.
        refused: JSON pointers of keys about which enough was said.
        report: Takes the findings.
    """
    explainer = _Explainer(source, schema, refused, report)
    for error in islice(validator(schema).iter_errors(source.data), 10 * MAX_DIAGNOSTICS):
        explainer.explain(error)


def validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    """Return the validator for `schema` in our dialect; the schema itself is taken as sound."""
    made: Draft202012Validator = _validator_class()(schema)
    return made


@cache
def _validator_class() -> Any:
    checker = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, v: is_integer(v))
    return extend(
        Draft202012Validator,
        {"pattern": _pattern, "uniqueItems": _unique_items},
        type_checker=checker,
    )


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not compiled(pattern).search(value):
        yield ValidationError("pattern")


def _unique_items(_: Any, wanted: bool, value: Any, __: Any) -> Iterator[ValidationError]:  # noqa: FBT001 - the signature that jsonschema calls
    if wanted and isinstance(value, list) and first_duplicate(value) is not None:
        yield ValidationError("uniqueItems")


class _Explainer:
    def __init__(
        self,
        source: YamlSource,
        schema: Mapping[str, Any],
        refused: frozenset[str],
        report: Report,
    ) -> None:
        self._source = source
        self._schema = schema
        self._refused = refused
        self._report = report
        self._keys = source.key_positions
        self._values = source.positions

    def explain(self, error: ValidationError) -> None:
        pointer = ""
        for part in error.absolute_path:
            pointer = child(pointer, part)
        if "propertyNames" in error.absolute_schema_path:
            self._bad_name(error, pointer)
            return
        handlers: dict[str, Callable[[ValidationError, str], None]] = {
            "additionalProperties": self._unknown_keys,
            "required": self._missing_key,
            "type": self._wrong_type,
            "const": self._unknown_value,
            "enum": self._unknown_value,
            "pattern": self._malformed,
            "oneOf": self._one_of,
            "anyOf": self._any_of,
            "uniqueItems": self._duplicate_item,
        }
        handlers.get(str(error.validator), self._out_of_bounds)(error, pointer)

    def _error(self, code: str, summary: str, detail: str, pointer: str, **more: Any) -> None:
        place = self._values.get(pointer) or Position(file=self._source.file, line=1, column=1)
        self._report.error(code, summary, detail, more.pop("at", place), **more)

    def _head(self, pointer: str) -> Position:
        """The place that stands for a section: its key, for a list item its first character."""
        return self._keys.get(pointer) or self._values[pointer]

    def _unknown_keys(self, error: ValidationError, pointer: str) -> None:
        known = list(error.schema.get("properties", {}))
        for key in error.instance:
            place = child(pointer, key)
            if key in known or place in self._refused:
                continue
            owner = f"`{dotted(pointer)}` has" if pointer else "A job file has"
            near = near_miss(key, known)
            self._error(
                "unknown-key",
                "Unknown key",
                f"{owner} no key `{shorten(key)}`.",
                place,
                at=self._keys[place],
                suggestion=near,
                help=self._where_it_belongs(key, near, known),
            )

    def _where_it_belongs(self, key: str, near: str | None, known: list[str]) -> str | None:
        homes = [home for home in _sections(self._schema) if key in home[1]]
        if homes:
            return f"`{key}` is a key of " + " and of ".join(f"`{name}`" for name, _ in homes) + "."
        return None if near else f"The keys that can stand here are {_listed(known, 'and')}."

    def _missing_key(self, error: ValidationError, pointer: str) -> None:
        key = next(key for key in error.validator_value if key not in error.instance)
        for candidate in error.validator_value:
            if candidate not in error.instance and f"{candidate!r} is a required" in error.message:
                key = candidate
        owner = f"`{dotted(pointer)}`" if pointer else "A job file"
        described = self._describe(pointer, key)
        detail = f"{owner} needs the key `{key}`"
        condition = self._condition(error)
        detail += f" with `{condition}`." if condition else ", and it is missing."
        summary = described.get("description", "").partition(". ")[0].rstrip(".")
        self._error(
            "missing-key",
            "Missing key",
            detail + (f" It says: {summary[0].lower()}{summary[1:]}." if summary else ""),
            pointer,
            at=self._head(pointer),
            help=_example_line(key, described),
        )

    def _condition(self, error: ValidationError) -> str | None:
        path = list(error.absolute_schema_path)
        if "then" not in path:
            return None
        rule: Any = self._schema
        for part in path[: path.index("then") - 1 if "if" in path else path.index("then")]:
            rule = rule[part]
        for key, one in rule.get("if", {}).get("properties", {}).items():
            return f"{key}: {one['const']}"
        return None

    def _describe(self, pointer: str, key: str) -> Mapping[str, Any]:
        rule: Mapping[str, Any] = self._schema
        for part in (*split(pointer), key):
            below = rule.get("properties", {}).get(part) or rule.get("items", {})
            rule = self._resolved(below)
        return rule

    def _resolved(self, rule: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in rule:
            return rule
        target = self._schema["$defs"][rule["$ref"].rpartition("/")[2]]
        return {**target, **rule}

    def _wrong_type(self, error: ValidationError, pointer: str) -> None:
        types = error.validator_value
        wanted = [types] if isinstance(types, str) else [name for name in types if name != "null"]
        value = error.instance
        node = self._source.root.find(pointer)
        text = node.text if node is not None else None
        name = f"`{dotted(pointer)}`" if pointer else "A job file"
        suggestion = help_ = None
        if value is None:
            detail = f"{name} is empty; it takes {_listed_types(wanted)}."
            help_ = "Give it a value, or remove the key."
        elif "string" in wanted and isinstance(value, (bool, int, float)):
            suggestion = f'"{text}"'
            detail = (
                f"{name} takes text, and YAML reads `{shorten(str(text))}` without quotes as "
                f"{_kind(value)}."
            )
            help_ = "Put it in quotes."
        else:
            detail = f"{name} takes {_listed_types(wanted)}, and this is {_kind(value)}."
            suggestion = _converted(value, wanted)
        self._error(
            "wrong-type",
            "Wrong type of value",
            detail,
            pointer,
            suggestion=suggestion,
            help=help_,
        )

    def _unknown_value(self, error: ValidationError, pointer: str) -> None:
        if not isinstance(error.instance, (str, int, float)) and error.instance is not None:
            return
        allowed = error.validator_value if error.validator == "enum" else [error.validator_value]
        words = [str(value) for value in allowed if value is not None]
        said = shorten(_written(error.instance))
        self._error(
            "unknown-value",
            "Unknown value",
            f"`{dotted(pointer)}` takes {_listed(words, 'or')}, and not `{said}`."
            + _no_template(error.instance),
            pointer,
            suggestion=near_miss(said, words),
        )

    def _malformed(self, error: ValidationError, pointer: str) -> None:
        self._error(
            "malformed-value",
            "Malformed value",
            f"`{shorten(str(error.instance))}` is no valid `{dotted(pointer)}`. "
            + error.schema.get("patternErrorMessage", "")
            + _no_template(error.instance),
            pointer,
        )

    def _bad_name(self, error: ValidationError, pointer: str) -> None:
        place = child(pointer, error.instance)
        rule = self._describe(parent(pointer), split(pointer)[-1])
        self._error(
            "malformed-name",
            "Malformed name",
            f"`{shorten(error.instance)}` cannot be a name in `{dotted(pointer)}`. "
            + rule["propertyNames"]["patternErrorMessage"],
            place,
            at=self._keys[place],
        )

    def _one_of(self, error: ValidationError, pointer: str) -> None:
        if any(parent(refused) == pointer for refused in self._refused):
            return
        keys = [rule["required"][0] for rule in error.validator_value]
        present = [key for key in keys if key in error.instance]
        name = f"`{dotted(pointer)}` needs exactly one of {_listed(keys, 'and')}"
        if present:
            self._error(
                "exclusive-keys",
                "Keys that exclude each other",
                f"{name}, and here are both.",
                pointer,
                at=self._keys[child(pointer, present[-1])],
                help="Remove one of them.",
            )
        else:
            self._missing_alternative(name, pointer)

    def _any_of(self, error: ValidationError, pointer: str) -> None:
        keys = [rule["required"][0] for rule in error.validator_value]
        name = f"`{dotted(pointer)}` needs {_listed(keys, 'or')}, or both"
        self._missing_alternative(name, pointer)

    def _missing_alternative(self, name: str, pointer: str) -> None:
        self._error(
            "missing-key",
            "Missing key",
            f"{name}, and here is none.",
            pointer,
            at=self._head(pointer),
        )

    def _duplicate_item(self, error: ValidationError, pointer: str) -> None:
        index = first_duplicate(error.instance)
        assert index is not None  # noqa: S101 - the keyword failed because there is one
        self._error(
            "duplicate-item",
            "Duplicate item",
            f"`{shorten(error.instance[index])}` stands more than once in `{dotted(pointer)}`.",
            child(pointer, index),
            help="Remove one of them.",
        )

    def _out_of_bounds(self, error: ValidationError, pointer: str) -> None:
        bound = error.validator_value
        shown = f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"
        said = error.instance
        name = f"`{dotted(pointer)}`"
        detail = {
            "minimum": f"{name} must be at least {shown}, and this is {_written(said)}.",
            "maximum": f"{name} must be at most {shown}, and this is {_written(said)}.",
            "exclusiveMinimum": f"{name} must be greater than {shown}, and this is {_written(said)}.",
            "minLength": f"{name} may not be empty.",
            "maxLength": f"{name} may hold at most {shown} characters.",
            "minItems": f"{name} needs at least one item.",
            "maxItems": f"{name} may hold at most {shown} items.",
            "maxProperties": f"{name} may hold at most {shown} keys.",
        }[str(error.validator)]
        self._error("out-of-range", "Value out of range", detail, pointer)


def _sections(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, rule in schema["properties"].items():
        items = rule.get("items", {})
        if "properties" in rule:
            yield name, rule["properties"]
        elif "$ref" in items:
            target = schema["$defs"][items["$ref"].rpartition("/")[2]]
            if "properties" in target:
                yield f"{name}[]", target["properties"]


def _example_line(key: str, described: Mapping[str, Any]) -> str | None:
    examples = described.get("examples")
    if not examples:
        return None
    example = json.dumps(examples[0], ensure_ascii=False)
    return f"Add a line such as:\n\n  {key}: {example}"


def _listed(words: list[str], last: str) -> str:
    quoted = [f"`{word}`" for word in words]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"


def _listed_types(types: list[str]) -> str:
    return " or ".join(_TYPE_WORDS[name] for name in types)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false" if value is None else str(value).lower()
    if isinstance(value, (int, float)):
        return "a number"
    return {dict: "a section of keys", list: "a list", str: "text"}[type(value)]


def _written(value: Any) -> str:
    if isinstance(value, (bool, type(None))):
        return str(value).lower().replace("none", "null")
    return shorten(f"{value:g}" if isinstance(value, float) else str(value))


def _converted(value: Any, wanted: list[str]) -> str | None:
    """Return how the value was probably meant, in the type that is wanted."""
    if wanted == ["array"] and isinstance(value, str):
        return shorten(f"[{value}]")
    if wanted == ["integer"] and isinstance(value, float) and value == int(value):
        return str(int(value))
    if isinstance(value, str) and wanted == ["boolean"]:
        return {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(value.lower())
    if isinstance(value, str) and wanted[0] in ("integer", "number"):
        try:
            return f"{float(value):g}"
        except ValueError:
            return None
    return None


def _no_template(value: Any) -> str:
    if isinstance(value, str) and "{{" in value:
        return " Templates do not work in this key."
    return ""

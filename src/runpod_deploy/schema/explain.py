"""Says in full sentences why a document does not fit its schema."""

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from runpod_deploy.errors import Position
from runpod_deploy.schema.conforms import has_type
from runpod_deploy.schema.described import described
from runpod_deploy.schema.dialect import first_duplicate
from runpod_deploy.schema.faults import Fault, faults
from runpod_deploy.schema.near_miss import near_miss
from runpod_deploy.schema.planned import PLANNED, reserved
from runpod_deploy.schema.pointer import child, dotted, parent, split
from runpod_deploy.schema.report import MAX_DIAGNOSTICS, Report, shorten
from runpod_deploy.schema.wording import (
    converted,
    kind_of,
    listed,
    no_template,
    type_words,
    written,
)
from runpod_deploy.schema.yaml_source import YamlSource

_SHORTENED = 3
"""Letters from which on the beginning of a key is taken for the key."""


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
    for fault in islice(faults(source.data, schema), 10 * MAX_DIAGNOSTICS):
        explainer.explain(fault)


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

    def explain(self, fault: Fault) -> None:
        if "propertyNames" in fault.schema_path:
            self._bad_name(fault)
            return
        handlers: dict[str, Callable[[Fault], None]] = {
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
        handlers.get(fault.keyword, self._out_of_range)(fault)

    def _subject(self, pointer: str) -> str:
        return f"`{dotted(pointer)}`" if pointer else f"A {self._report.what}"

    def _section_place(self, pointer: str) -> Position:
        return self._keys.get(pointer) or self._values[pointer]

    def _unknown_keys(self, fault: Fault) -> None:
        known = list(fault.schema.get("properties", {}))
        for key in fault.value:
            pointer = child(fault.pointer, key)
            if key in known or pointer in self._refused:
                continue
            near = _misspelt(key, fault.value, fault.schema)
            self._report.error(
                "unknown-key",
                "Unknown key",
                f"{self._subject(fault.pointer)} has no key `{shorten(key)}`.",
                self._keys[pointer],
                suggestion=near,
                help=self._where_it_belongs(fault.pointer, key, near, known),
            )

    def _where_it_belongs(
        self, pointer: str, key: str, near: str | None, known: list[str]
    ) -> str | None:
        homes = [name for name, keys in _sections(self._schema) if key in keys]
        if homes:
            return f"`{key}` is a key of {listed(homes, 'and')}."
        usable = [name for name in known if not reserved(child(pointer, name))]
        return None if near else f"The keys that can stand here: {listed(usable, 'and')}."

    def _missing_key(self, fault: Fault) -> None:
        rule = self._describe(fault.pointer)
        if any(_misspelt(key, fault.value, rule) == fault.key for key in fault.value):
            return  # it is there, misspelt, and that is told
        described = self._describe(child(fault.pointer, fault.key))
        meaning = described.get("description", "").partition(". ")[0].rstrip(".")
        condition = self._condition(fault)
        detail = (
            f"With `{condition}`, {self._subject(fault.pointer)} needs the key `{fault.key}`"
            if condition
            else f"{self._subject(fault.pointer)} needs the key `{fault.key}`"
        )
        self._report.error(
            "missing-key",
            "Missing key",
            f"{detail} ({meaning[0].lower()}{meaning[1:]})." if meaning else f"{detail}.",
            self._section_place(fault.pointer),
            help=_example_line(fault.key, described),
        )

    def _condition(self, fault: Fault) -> str | None:
        if "then" not in fault.schema_path:
            return None
        rule: Any = self._schema
        for part in fault.schema_path[: fault.schema_path.index("then")]:
            rule = rule[part]
        key, value = next(iter(rule["if"]["properties"].items()))
        return f"{key}: {value['const']}"

    def _describe(self, pointer: str) -> Mapping[str, Any]:
        return described(self._schema, pointer)

    def _wrong_type(self, fault: Fault) -> None:
        types = [fault.rule] if isinstance(fault.rule, str) else fault.rule
        wanted = [name for name in types if name != "null"]
        node = self._source.root.find(fault.pointer)
        text = written(fault.value) if node is None or node.text is None else shorten(node.text)
        name = f"`{dotted(fault.pointer)}`"
        suggestion = converted(fault.value, wanted)
        help_ = None
        if not fault.pointer:
            detail = f"{self._subject('')} is made of keys and their values; this is {kind_of(fault.value)}."
        elif fault.value is None:
            detail = f"{name} is empty, and it takes {type_words(wanted)}."
            help_ = "Give it a value, or remove the key."
        elif "string" in wanted and isinstance(fault.value, (bool, int, float)):
            suggestion = f'"{text}"'
            detail = (
                f"{name} takes {type_words(wanted)}, and YAML reads `{text}` without quotes as "
                f"{kind_of(fault.value)}."
            )
        elif suggestion is not None and wanted == ["integer"] and isinstance(fault.value, float):
            detail = f"{name} takes a whole number, written without a decimal point."
        else:
            detail = f"{name} takes {type_words(wanted)}, and this is {kind_of(fault.value)}."
            detail += no_template(fault.value)
            if wanted == ["object"]:
                key = split(fault.pointer)[-1]
                help_ = _example_line(key, self._describe(fault.pointer), "Write it so")
        self._report.error(
            "wrong-type",
            "Wrong type of value",
            detail,
            self._values[fault.pointer],
            suggestion=suggestion,
            help=help_,
        )

    def _unknown_value(self, fault: Fault) -> None:
        if not has_type(fault.value, fault.schema.get("type", "string")):
            return  # its type is wrong, and that is said already
        allowed = fault.rule if fault.keyword == "enum" else [fault.rule]
        planned = [row.value for row in PLANNED if row.pattern == fault.pointer]
        words = [str(value) for value in allowed if value is not None and value not in planned]
        said = written(fault.value)
        near = near_miss(fault.value, words) if isinstance(fault.value, str) else None
        takes = listed(words, "or")
        if "array" in self._describe(fault.pointer).get("type", ()):
            takes, near = f"{takes} or a list", near or f"[{said}]"
        self._report.error(
            "unknown-value",
            "Unknown value",
            f"`{dotted(fault.pointer)}` takes {takes}, and this is `{said}`."
            f"{no_template(fault.value)}",
            self._values[fault.pointer],
            suggestion=near,
        )

    def _malformed(self, fault: Fault) -> None:
        self._report.error(
            "malformed-value",
            "Malformed value",
            f"`{shorten(fault.value)}` cannot be the value of `{dotted(fault.pointer)}`. "
            f"{fault.schema['patternErrorMessage']}{no_template(fault.value)}",
            self._values[fault.pointer],
        )

    def _bad_name(self, fault: Fault) -> None:
        if fault.keyword == "pattern":
            reason = fault.schema["patternErrorMessage"]
        else:
            reason = f"It may hold at most {fault.rule} characters."
        self._report.error(
            "malformed-name",
            "Malformed name",
            f"`{shorten(fault.value)}` cannot be a name in `{dotted(fault.pointer)}`. {reason}",
            self._keys[child(fault.pointer, fault.value)],
        )

    def _one_of(self, fault: Fault) -> None:
        if not isinstance(fault.value, dict):
            return  # its type is wrong, and that is said already
        if any(parent(pointer) == fault.pointer for pointer in self._refused):
            return  # a refused key stands in the place of the one that is needed
        keys = [rule["required"][0] for rule in fault.rule]
        present = [key for key in keys if key in fault.value]
        needs = f"{self._subject(fault.pointer)} needs exactly one of {listed(keys, 'and')}"
        if present:
            self._report.error(
                "exclusive-keys",
                "Keys that exclude each other",
                f"{needs}, and here are both.",
                max((self._keys[child(fault.pointer, key)] for key in present), key=self._later),
                help="Remove one of them.",
            )
        else:
            self._missing_alternative(f"{needs}, and here is neither.", fault)

    def _later(self, place: Position) -> tuple[bool, Position]:
        return place.file == self._source.file, place  # what extends stands last

    def _any_of(self, fault: Fault) -> None:
        keys = [rule["required"][0] for rule in fault.rule]
        needs = f"{self._subject(fault.pointer)} needs {listed(keys, 'or')} (or both)"
        self._missing_alternative(f"{needs}, and here is neither.", fault)

    def _missing_alternative(self, detail: str, fault: Fault) -> None:
        key = fault.rule[0]["required"][0]
        self._report.error(
            "missing-key",
            "Missing key",
            detail,
            self._section_place(fault.pointer),
            help=_example_line(key, self._describe(child(fault.pointer, key)), "Add one"),
        )

    def _duplicate_item(self, fault: Fault) -> None:
        index = first_duplicate(fault.value) or 0
        self._report.error(
            "duplicate-item",
            "Duplicate item",
            f"`{shorten(fault.value[index])}` stands more than once in `{dotted(fault.pointer)}`.",
            self._values[child(fault.pointer, index)],
            help="Remove one of them.",
        )

    def _out_of_range(self, fault: Fault) -> None:
        name = f"`{dotted(fault.pointer)}`"
        bound = f"{fault.rule:,}"
        detail = {
            "minimum": f"{name} must be at least {bound}",
            "maximum": f"{name} must be at most {bound}",
            "exclusiveMinimum": f"{name} must be greater than {bound}",
            "minLength": f"{name} may not be empty",
            "maxLength": f"{name} may hold at most {bound} characters",
            "minItems": f"{name} needs at least one item",
            "maxItems": f"{name} may hold at most {bound} items",
            "maxProperties": f"{name} may hold at most {bound} keys",
        }[fault.keyword]
        if isinstance(fault.value, (int, float)):
            detail += f", and this is {written(fault.value)}"
        place = self._values[fault.pointer]
        self._report.error("out-of-range", "Value out of range", f"{detail}.", place)


def _misspelt(key: str, value: Mapping[str, Any], schema: Mapping[str, Any]) -> str | None:
    """Return the key that an unknown one was probably meant to be; a missing one may be shortened."""
    known = schema.get("properties", {})
    if key in known:
        return None
    missing = [one for one in schema.get("required", ()) if one not in value]
    longer = [one for one in missing if len(key) >= _SHORTENED and one.startswith(key.lower())]
    return longer[0] if longer else near_miss(key, known)


def _sections(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, rule in schema["properties"].items():
        target = rule.get("items", {}).get("$ref", "").rpartition("/")[2]
        described = schema["$defs"][target] if target else rule
        if "properties" in described:
            yield f"{name}[]" if target else name, described["properties"]


def _example_line(key: str, described: Mapping[str, Any], verb: str = "Add it") -> str | None:
    examples = described.get("examples")
    if not examples:
        return None
    begin = "-" if key.isdecimal() else f"{key}:"
    return f"{verb}, for example:\n\n  {begin} {json.dumps(examples[0], ensure_ascii=False)}"

"""The value of a scalar, by its style and tag."""

import re

from yaml.events import Event, ScalarEvent

from runpod_deploy.schema.report import Report, shorten
from runpod_deploy.schema.yaml_nodes import Place
from runpod_deploy.schema.yaml_scalars import NotFiniteError, Scalar, resolve

_CORE = "tag:yaml.org,2002:"
_TYPES: dict[str, type] = {"int": int, "float": float, "bool": bool, "null": type(None)}
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")


def scalar_value(event: ScalarEvent, place: Place, report: Report) -> Scalar:
    """Return the value of a scalar; what cannot be is noted and replaced by something harmless."""
    text: str = event.value
    if event.style == '"' and _UNUSABLE.search(text):
        report.error(
            "forbidden-character",
            "Character not allowed",
            "This text holds a NUL or half of a surrogate pair, which no program can take.",
            place,
        )
        return ""
    try:
        return _resolve(event, text, place, report)
    except NotFiniteError:
        report.error(
            "not-finite",
            "Not a finite number",
            f"`{shorten(text)}` is no number that can be counted with: it is infinite, too long, "
            "or not a number at all.",
            place,
            help="Put it in quotes if text is meant.",
        )
        return 0


def check_tag(event: Event, kind: str, place: Place, report: Report) -> None:
    """Note a tag that does not belong to a container of that kind, `map` or `seq`."""
    tag = getattr(event, "tag", None)
    if tag not in (None, "!", _CORE + kind):
        _bad_tag(str(tag), place, report)


def _resolve(event: ScalarEvent, text: str, place: Place, report: Report) -> Scalar:
    tag = event.tag
    if tag is None:
        return resolve(text) if event.implicit[0] else text
    if tag in ("!", _CORE + "str"):
        return text
    wanted = _TYPES.get(tag.removeprefix(_CORE)) if tag.startswith(_CORE) else None
    value = resolve(text)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if wanted is None or type(value) is not wanted:
        _bad_tag(tag, place, report)
        return text
    return value


def _bad_tag(tag: str, place: Place, report: Report) -> None:
    shown = f"!!{tag.removeprefix(_CORE)}" if tag.startswith(_CORE) else tag
    report.error(
        "unknown-tag",
        "Tag not supported",
        f"A word that begins with `!` is a YAML tag, and `{shorten(shown)}` does not fit this "
        "value.",
        place,
        help="Remove the tag, or put the value in quotes if the word belongs to the text.",
    )

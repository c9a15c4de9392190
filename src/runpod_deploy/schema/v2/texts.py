"""The texts of a version 2 file in which placeholders are replaced, and the names they use."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runpod_deploy.errors import Position
from runpod_deploy.schema.job import JobSource
from runpod_deploy.schema.near_miss import near_miss
from runpod_deploy.schema.pointer import child, dotted
from runpod_deploy.schema.report import Report
from runpod_deploy.schema.v2.placeholders import as_template, placeholders

_NEEDED = re.compile(
    r"/(?:pod/image|storage/volume_name|local/(?:project_root|required_paths/\d+)"
    r"|remote_env/(?:source_files/\d+|exports/[^/]*)|(?:setup|preflight)/\d+/command"
    r"|staging/\d+/(?:source|destination)|secrets/\d+/(?:destination|file)"
    r"|run/(?:script_path|log_path|success_marker|body)"
    r"|artifacts/\d+/(?:remote_path|local_path))"
)
_OPTIONAL = re.compile(
    r"/(?:name|run_id_prefix|variables/[^/]*|run/failure_markers/\d+"
    r"|staging/\d+/excludes(?:_extra)?/\d+|artifacts/\d+/excludes/\d+)"
)
"""Texts where a known name is replaced, and braces around anything else are only braces."""

_DEEPEST = 4  # keys and items above the deepest of these texts
_LONGEST = 40  # characters: no key that has texts below it is longer


def texts(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield the JSON pointer and the text of every text that may hold a placeholder.

    Pointers are built for those alone: a key of a megabyte above many values must cost no more than
    its own length.
    """
    if isinstance(value, str):
        if "{" in value:
            yield "".join(child("", part) for part in path), value
    elif len(path) == _DEEPEST or any(
        isinstance(part, str) and len(part) > _LONGEST for part in path
    ):
        return
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts(item, (*path, index))


def templated(value: Any, names: Mapping[str, str], pointer: str = "") -> Any:
    """Return `value` with every text as version 3 writes it; variables' own values are left out."""
    if isinstance(value, str):
        active = _NEEDED.fullmatch(pointer) or _OPTIONAL.fullmatch(pointer)
        return as_template(value, names if active else {})
    if isinstance(value, Mapping):
        return {key: templated(item, names, child(pointer, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [templated(item, names, child(pointer, i)) for i, item in enumerate(value)]
    return value


def unknown_names(
    data: Mapping[str, Any], names: Mapping[str, str], source: JobSource
) -> Iterator[tuple[str, Position]]:
    """Yield each placeholder whose name nobody knows, where it must have a value, and its place."""
    for found in _unknown(data, names):
        yield found.name, found.place(source)


def report_unknown_names(
    data: Mapping[str, Any], names: Mapping[str, str], source: JobSource, report: Report
) -> None:
    """Note every placeholder whose name nobody knows, where it must have a value."""
    for found in _unknown(data, names):
        report.error(
            "undefined-name",
            "A placeholder has a name that is not defined",
            f"`{{{found.name}}}` is a placeholder in a file of version 2, also inside of scripts, "
            f"and `{dotted(found.pointer)}` cannot be filled in without its value. Defined are: "
            f"{', '.join(sorted(names))}.",
            found.place(source),
            suggestion=None if found.shell else _near(found.name, names),
            help=f"{_cure(found)}\n\n  runpod-deploy migrate {report.file} -o {report.file}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Unknown:
    name: str
    pointer: str
    text: str
    offset: int

    @property
    def shell(self) -> bool:
        return self.text[self.offset - 1 : self.offset] == "$"

    def place(self, source: JobSource) -> Position:
        line = self.text.count("\n", 0, self.offset) + 1
        column = self.offset - self.text.rfind("\n", 0, self.offset)
        return source.locate_text(self.pointer, line, column)


def _unknown(data: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[_Unknown]:
    for pointer, text in texts(data):
        if _NEEDED.fullmatch(pointer):
            for name, offset in placeholders(text):
                if name not in names:
                    yield _Unknown(name=name, pointer=pointer, text=text, offset=offset)


def _cure(found: _Unknown) -> str:
    if found.shell:
        return (
            f"Write the shell's variable without braces, `${found.name}`, or migrate the file to "
            "version 3, which leaves the shell's braces alone:"
        )
    return (
        "Give it a value under `variables`, or on the command line with "
        f"`--var {found.name}=VALUE`. If the braces are meant as they are, put a space inside, or "
        "migrate the file to version 3, which leaves single braces alone:"
    )


def _near(name: str, names: Mapping[str, str]) -> str | None:
    near = near_miss(name, names)
    return None if near is None else f"{{{near}}}"

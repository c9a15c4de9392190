"""The texts of a version 2 file in which placeholders are replaced, and the names they use."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

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


def texts(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Yield the JSON pointer and the text of every text below `value`."""
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(item, child(pointer, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts(item, child(pointer, index))


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


def report_unknown_names(
    data: Mapping[str, Any], names: Mapping[str, str], source: JobSource, report: Report
) -> None:
    """Note every placeholder with a name that nobody knows, where it must have a value."""
    for pointer, text in texts(data):
        if _NEEDED.fullmatch(pointer):
            for name, offset in placeholders(text):
                if name not in names:
                    _report(name, pointer, text, offset, names, source, report)


def _report(
    name: str,
    pointer: str,
    text: str,
    offset: int,
    names: Mapping[str, str],
    source: JobSource,
    report: Report,
) -> None:
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    shell = text[offset - 1 : offset] == "$"
    cure = (
        f"Write the shell's variable without braces, `${name}`, or migrate the file to version 3, "
        "which leaves the shell's braces alone:"
        if shell
        else f"Give it a value under `variables`, or on the command line with `--var {name}=VALUE`. "
        "If the braces are meant as they are, put a space inside, or migrate the file to version 3, "
        "which leaves single braces alone:"
    )
    report.error(
        "undefined-name",
        "A placeholder has a name that is not defined",
        f"`{{{name}}}` is a placeholder in a file of version 2, also inside of scripts, and "
        f"`{dotted(pointer)}` cannot be filled in without its value. Defined are: "
        f"{', '.join(sorted(names))}.",
        source.locate_text(pointer, line, column),
        suggestion=None if shell else _near(name, names),
        help=f"{cure}\n\n  runpod-deploy migrate {report.file} -o {report.file}",
    )


def _near(name: str, names: Mapping[str, str]) -> str | None:
    near = near_miss(name, names)
    return None if near is None else f"{{{near}}}"

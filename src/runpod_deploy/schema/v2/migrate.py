"""A file of version 2 written in version 3: the same job, the author's comments and order."""

from dataclasses import dataclass

from runpod_deploy.errors import Diagnostic, InvalidInput, Severity
from runpod_deploy.schema.as_written import as_written
from runpod_deploy.schema.job import JobConfig, JobSource
from runpod_deploy.schema.load import invalid, load_bytes
from runpod_deploy.schema.plain import from_plain
from runpod_deploy.schema.report import Report, Stop
from runpod_deploy.schema.v2.edits import Editor, Unchangeable
from runpod_deploy.schema.v2.names import known_names
from runpod_deploy.schema.v2.read import Version2, read_version_2
from runpod_deploy.schema.v2.texts import unknown_names
from runpod_deploy.schema.v2.version import is_version_2
from runpod_deploy.schema.yaml_source import YamlSource, read_yaml

_BOM = "\ufeff".encode()


@dataclass(frozen=True, kw_only=True, slots=True)
class Migration:
    """The new file, and what its author should know."""

    content: bytes
    notes: tuple[Diagnostic, ...]


def migrate(raw: bytes, *, display: str) -> Migration:
    """Return the file in version 3.

    Braces whose names nobody knows are only braces in version 3, and are kept; a warning names them.

    Args:
        raw: A file of version 2.
        display: Its name in messages.

    Raises:
        InvalidInput: It is not a file of version 2, is wrong, or cannot be changed in place.
    """
    report = Report(file=display)
    try:
        source, pristine = read_yaml(raw, report), read_yaml(raw, report)
        if report.found:
            raise Stop
        if not is_version_2(source.data):
            raise _not_version_2(source, display)
        both = read_version_2(source, {}, report, braces_are_text=True)
    except Stop:
        raise invalid(report) from None
    names = known_names(both.data.get("variables", {}))
    text = raw.removeprefix(_BOM).decode()
    try:
        changed = Editor(text, names).change(as_written(pristine), both.job)
    except Unchangeable:
        raise _in_the_way(display) from None
    content = (_BOM if raw.startswith(_BOM) else b"") + changed.encode()
    _verify(content, both, display)
    return Migration(
        content=content, notes=(*report.notes, *_kept_braces(source, both, names, report))
    )


def _verify(content: bytes, both: Version2, display: str) -> None:
    try:
        written = load_bytes(content, display=display)
    except InvalidInput as error:
        raise _in_the_way(display) from error
    meant = from_plain(JobConfig, both.job, ready={"source": written.source})
    if written != meant:
        raise _in_the_way(display)


def _kept_braces(
    source: YamlSource, both: Version2, names: dict[str, str], report: Report
) -> list[Diagnostic]:
    place = JobSource(path=report.file, positions=source.positions, lines=source.lines)
    return [
        Diagnostic(
            severity=Severity.WARNING,
            code="kept-braces",
            summary="Braces are kept as they are",
            detail=f"Nobody knows the name in `{{{name}}}`, so it stays what it is: in version 3 "
            "single braces are only braces.",
            where=where,
            source_line=place.line(where),
            help=f"If a variable is meant, write `{{{{ {name} }}}}` and declare it under "
            "`variables`.",
        )
        for name, where in unknown_names(both.data, names, place)
    ]


def _not_version_2(source: YamlSource, display: str) -> InvalidInput:
    version = source.data.get("schema_version") if isinstance(source.data, dict) else None
    said = f"has schema version {version}" if version is not None else "says no version"
    return InvalidInput(
        f"{display} {said}; only files of version 2 can be migrated",
        help=f"To see what is wrong with it, run:\n  runpod-deploy validate {display}",
    )


def _in_the_way(display: str) -> InvalidInput:
    return InvalidInput(
        f"{display} is right, but cannot be written in version 3 by changing single places",
        help="Parts that several places share by anchors and aliases are the usual cause: write "
        "them out, and migrate again. The file can also go on being used as it is.",
    )

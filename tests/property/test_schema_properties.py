"""What holds for every job file, however wrong it is."""

import json
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from job_documents import DOCUMENTS, FULL, SMALLEST, bent_documents
from runpod_deploy.cli.diagnostics import WIDTH, cells, render_json, render_text
from runpod_deploy.errors import Diagnostic, InvalidInput, Position, Severity
from runpod_deploy.schema.conforms import conforms
from runpod_deploy.schema.faults import faults
from runpod_deploy.schema.job import JobConfig
from runpod_deploy.schema.load import load_bytes
from runpod_deploy.schema.validate import job_schema

SCHEMA = job_schema()


def outcome(raw: bytes, variables: dict[str, str] | None = None) -> JobConfig | InvalidInput:
    """Return the job or the refusal; any other exception is a failure of the test."""
    try:
        return load_bytes(raw, variables, display="job.yaml")
    except InvalidInput as error:
        return error


def check_refusal(result: JobConfig | InvalidInput) -> None:
    """Check that a refusal says something, in order, and that it can be shown."""
    if isinstance(result, JobConfig):
        return
    assert 0 < len(result.diagnostics) <= 101
    for one in result.diagnostics:
        assert one.detail.endswith((".", "?"))
        assert one.summary
    text = render_text(result.diagnostics, color=False)
    assert all(line.isprintable() for line in text.split("\n"))
    assert len(result.diagnostics) == len(json.loads(json.dumps(render_json(result.diagnostics))))


@given(bent_documents() | DOCUMENTS)
@example(SMALLEST)
@example(FULL)
@settings(max_examples=300, deadline=None)
def test_every_document_is_a_job_or_refused(document: Any) -> None:
    """A document of any shape gives a `JobConfig` or `InvalidInput`, never another exception."""
    check_refusal(outcome(json.dumps(document).encode()))
    check_refusal(outcome(yaml.safe_dump(document, allow_unicode=True).encode()))


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
@settings(max_examples=300, deadline=None)
def test_every_file_is_a_job_or_refused(raw: bytes) -> None:
    """A file of any bytes gives a `JobConfig` or `InvalidInput`, never another exception."""
    check_refusal(outcome(raw))


_PIECES = st.sampled_from(
    [*"ab1é\n\t:-?,~%@#|>[]{}'\"\\", " ", "  ", "- ", "{{", "&x ", "*x", "<<", "!!int ", "---\n"]
)


@given(st.lists(_PIECES, max_size=40).map("".join))
@settings(max_examples=500, deadline=None)
def test_every_yaml_like_text_is_a_job_or_refused(text: str) -> None:
    """Text made of YAML's own signs gives `JobConfig` or `InvalidInput`, never another exception."""
    check_refusal(outcome(text.encode()))


@given(bent_documents() | DOCUMENTS)
@example(SMALLEST)
@example(FULL)
@settings(max_examples=500, deadline=None)
def test_the_fast_reader_agrees_with_jsonschema(document: Any) -> None:
    """`conforms` says yes exactly when `jsonschema` finds no fault."""
    assert conforms(document, SCHEMA, SCHEMA) == (next(faults(document, SCHEMA), None) is None)


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3))
@settings(deadline=None)
def test_command_line_variables_must_be_declared(variables: dict[str, str]) -> None:
    """Variables from the command line replace declared ones, and all others are refused."""
    document = {**SMALLEST, "variables": {"seed": 1}}

    result = outcome(json.dumps(document).encode(), variables)

    if set(variables) <= {"seed"}:
        assert isinstance(result, JobConfig)
        assert {"seed": variables.get("seed", "1")} == result.variables
    else:
        check_refusal(result)
        assert isinstance(result, InvalidInput)


@given(st.text(max_size=300), st.integers(1, 310))
def test_source_lines_fit_the_terminal(line: str, column: int) -> None:
    """Whatever stands in a line, its view is printable and not much wider than the terminal."""
    diagnostic = Diagnostic(
        severity=Severity.ERROR,
        code="x",
        summary="S",
        detail="D.",
        where=Position(file="f", line=1, column=column),
        source_line=line.replace("\n", " "),
    )

    view = render_text([diagnostic], color=False).split("\n")

    assert all(text.isprintable() for text in view)
    assert all(cells(text) <= 10 * WIDTH for text in view)

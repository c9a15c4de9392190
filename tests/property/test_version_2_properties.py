"""What holds for every file of version 2, however wrong it is."""

import json
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from job_documents import DOCUMENTS, FULL_2, SMALLEST_2, bent_documents
from runpod_deploy.compiler.templating import Renderer
from runpod_deploy.errors import InvalidInput
from runpod_deploy.schema.conforms import conforms
from runpod_deploy.schema.faults import faults
from runpod_deploy.schema.job import JobConfig
from runpod_deploy.schema.load import load_bytes
from runpod_deploy.schema.v2.migrate import Migration, migrate
from runpod_deploy.schema.v2.placeholders import PLACEHOLDER, as_template
from runpod_deploy.schema.v2.schema import version_2_schema
from runpod_deploy.schema.validate import job_schema

SCHEMA = version_2_schema()
VERSION_2 = bent_documents((SMALLEST_2, FULL_2)) | DOCUMENTS.filter(
    lambda one: isinstance(one, dict)
).map(lambda one: {**one, "schema_version": 2})


def loaded(raw: bytes) -> JobConfig | InvalidInput:
    """Return the job or the refusal; any other exception is a failure of the test."""
    try:
        return load_bytes(raw, display="job.yaml")
    except InvalidInput as error:
        return error


def migrated(raw: bytes) -> Migration | InvalidInput:
    """Return the migrated file or the refusal; any other exception is a failure of the test."""
    try:
        return migrate(raw, display="job.yaml")
    except InvalidInput as error:
        return error


@given(VERSION_2)
@example(SMALLEST_2)
@example(FULL_2)
@settings(max_examples=300, deadline=None)
def test_every_document_is_a_job_or_refused(document: Any) -> None:
    """A document of any shape gives a `JobConfig` or `InvalidInput`, never another exception."""
    loaded(json.dumps(document).encode())
    loaded(yaml.safe_dump(document, allow_unicode=True).encode())


@given(VERSION_2, st.booleans())
@example(SMALLEST_2, False)
@example(FULL_2, False)
@example(FULL_2, True)
@settings(max_examples=300, deadline=None)
def test_a_migrated_file_is_the_same_job(document: Any, flow: bool) -> None:
    """Whatever can be migrated is the same job in version 3, block or flow style."""
    raw = yaml.safe_dump(
        document, allow_unicode=True, sort_keys=False, default_flow_style=flow
    ).encode()
    before = loaded(raw)

    after = migrated(raw)

    if isinstance(after, Migration) and isinstance(before, JobConfig):
        written = loaded(after.content)
        assert before == written
        newer = job_schema()
        assert conforms(yaml.safe_load(after.content), newer, newer) or "variables" in document


def test_the_full_example_can_be_migrated() -> None:
    """The property above is not empty."""
    for document in (SMALLEST_2, FULL_2):
        for flow in (True, False):
            raw = yaml.safe_dump(document, sort_keys=False, default_flow_style=flow).encode()

            assert isinstance(migrated(raw), Migration)


@given(bent_documents((SMALLEST_2, FULL_2)) | DOCUMENTS)
@settings(max_examples=300, deadline=None)
def test_the_fast_reader_agrees_with_jsonschema(document: Any) -> None:
    """`conforms` says yes exactly when `jsonschema` finds no fault."""
    assert conforms(document, SCHEMA, SCHEMA) == (next(faults(document, SCHEMA), None) is None)


_PIECES = st.sampled_from(
    [
        *"ab {}$%#'\"\n",
        "{{",
        "}}",
        "{seed}",
        "{run_id}",
        "{x}",
        "{{ seed }}",
        "{% if %}",
        "${",
        "\r",
    ]
)


@given(st.lists(_PIECES, max_size=20).map("".join))
@example("{{seed}}")
@example("{{{seed}}}{")
@settings(max_examples=500, deadline=None)
def test_placeholders_mean_what_they_meant(text: str) -> None:
    """The template of version 3 yields what one regular expression made of the text before."""
    values = {"seed": "{7}", "run_id": "r-1"}
    template = as_template(text, {"seed": "seed_", "run_id": "run_id"})

    renderer = Renderer()
    renderer.uses(template)
    result = renderer.render(template, {"seed_": "{7}", "run_id": "r-1"})

    assert PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text) == result

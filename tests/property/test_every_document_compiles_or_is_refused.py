"""From any document to a plan: it compiles or there are findings, whatever it extends."""

import json
from copy import deepcopy
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compiler_cases import a_file
from job_documents import DOCUMENTS, FULL, FULL_2, SMALLEST, SMALLEST_2, bent_documents
from plan_cases import FULL_JOB
from runpod_deploy.cli.diagnostics import render_text
from runpod_deploy.compiler.compile import compile_resolution
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.plan import Plan
from runpod_deploy.compiler.planfile import plan_hash
from runpod_deploy.compiler.resolve import resolve
from runpod_deploy.errors import InvalidInput, Severity
from runpod_deploy.schema.base_files import BaseRefused
from runpod_deploy.schema.load import load_bytes

SECTIONS = ["pod", "run", "budget", "staging", "setup", "artifacts", "variables", "storage"]


def outcome(raw: bytes, files: dict[str, bytes]) -> Plan | InvalidInput:
    """Return the plan or the refusal; any other exception is a failure of the test."""

    def read_base(path: str) -> bytes:
        if path not in files:
            raise BaseRefused("missing-file", "File not found", f"There is no `{path}`.")
        return files[path]

    try:
        config = load_bytes(raw, display="job.yaml", read_base=read_base)
        resolution = resolve(config)
        payload = {one.label: (a_file("a"),) for one in resolution.config.staging}
        facts = Facts(job_file="job.yaml", payload=payload, script_text="true\n")
        return compile_resolution(resolution, facts)[0]
    except InvalidInput as error:
        return error


def check(result: Plan | InvalidInput) -> None:
    """Check that a plan has a hash, and that a refusal has an error that can be shown."""
    if isinstance(result, Plan):
        assert plan_hash(result).startswith("sha256:")
        return
    assert any(one.severity is Severity.ERROR for one in result.diagnostics), result.message
    assert render_text(result.diagnostics, color=False)


BENT = bent_documents((SMALLEST, FULL, FULL_JOB, SMALLEST_2, FULL_2))


@given(BENT | DOCUMENTS)
@example(FULL)
@example(FULL_JOB)
@settings(max_examples=200)
def test_every_document_gives_a_plan_or_findings(document: Any) -> None:
    """A document of any shape is planned or refused with findings."""
    check(outcome(json.dumps(document).encode(), {}))


def with_base(document: Any, path: Any) -> Any:
    """Return a document that extends another."""
    return {"extends": path, **document} if isinstance(document, dict) else document


@given(
    child=BENT | DOCUMENTS,
    middle=BENT | DOCUMENTS,
    base=BENT | DOCUMENTS | st.binary(max_size=60),
    drop=st.lists(st.sampled_from(SECTIONS), max_size=5),
    deep=st.booleans(),
    path=st.sampled_from(["base.yaml", "middle.yaml", "job.yaml", "../x.yaml", "none.yaml", "", 3]),
)
@settings(max_examples=120)
def test_every_chain_of_files_gives_a_plan_or_findings(
    child: Any, middle: Any, base: Any, drop: list[str], deep: bool, path: Any
) -> None:
    """Files that extend one another, missing ones and circles are planned or refused with findings."""
    child = deepcopy(child)
    if isinstance(child, dict):
        for key in drop:
            child.pop(key, None)
    files = {
        "base.yaml": base if isinstance(base, bytes) else yaml.safe_dump(base).encode(),
        "middle.yaml": json.dumps(with_base(middle, path)).encode(),
    }
    above = "middle.yaml" if deep else path

    check(outcome(json.dumps(with_base(child, above)).encode(), files))


@given(
    keys=st.permutations(SECTIONS),
    number=st.integers(0, len(SECTIONS)),
    bent=bent_documents((SMALLEST, FULL, FULL_JOB)),
)
@settings(max_examples=60)
def test_an_extended_file_is_the_whole_file(
    keys: list[str], number: int, bent: dict[str, Any]
) -> None:
    """A job whose sections lie in another file is the job that has them itself: the same outcome."""
    document = {key: value for key, value in bent.items() if value is not None}
    moved = [key for key in keys[:number] if key in document]
    base = {"schema_version": 3, **{key: document[key] for key in moved}}
    child = {key: value for key, value in document.items() if key not in moved}
    child = {"extends": "base.yaml", **child}

    whole = outcome(json.dumps(document).encode(), {})
    split = outcome(json.dumps(child).encode(), {"base.yaml": json.dumps(base).encode()})

    if isinstance(whole, Plan) and document.get("schema_version") == 3:
        assert isinstance(split, Plan)
        assert plan_hash(whole) == plan_hash(split)
    else:
        check(split)


_ALIASES = st.lists(
    st.sampled_from(
        ("&a ", "*a", "<<: *a\n", "<<: [*a, *b]\n", "&b {x: 1}", "pod: ", "run: ", "<<: 1\n", "~")
    )
    | st.sampled_from(
        ("\n  ", "\n", "- ", "body: x", "image: a/b:1", "gpu_order: [L4]", "{{ seed }}")
    ),
    max_size=14,
).map("".join)


@given(_ALIASES)
@settings(max_examples=120)
def test_anchors_and_merge_keys_give_a_plan_or_findings(text: str) -> None:
    """Anchors, aliases and merge keys in any place are planned or refused with findings."""
    head = yaml.safe_dump(SMALLEST)

    check(outcome(f"{head}{text}".encode(), {}))
    check(outcome(f"x-all: &a {{name: b}}\n{text}\n{head}".encode(), {}))


def test_a_merge_key_is_what_it_merges() -> None:
    """A section merged in by an alias is planned like the same section in full."""
    merged = """\
schema_version: 3
name: demo
variables: &values {seed: "7", lr: "1"}
pod: {gpu_order: [NVIDIA L4], image: "runpod/base:1.0.2"}
run: {body: "true", env: {<<: *values, lr: "2"}}
"""
    full = merged.replace("<<: *values", 'seed: "7"').replace("&values ", "")
    one, other = outcome(merged.encode(), {}), outcome(full.encode(), {})

    assert isinstance(one, Plan)
    assert isinstance(other, Plan)
    assert plan_hash(one) == plan_hash(other)

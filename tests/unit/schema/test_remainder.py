"""What is left of a document without its faults."""

from typing import Any

import pytest

from runpod_deploy.schema.remainder import in_doubt, misfits, without
from runpod_deploy.schema.validate import job_schema

JOB: dict[str, Any] = {
    "schema_version": 3,
    "name": "small",
    "pod": {"image": "runpod/base:1", "gpu_order": ["NVIDIA L4"]},
    "staging": [{"label": "code", "source": "src", "destination": "/root/src"}],
    "run": {"body": "true"},
}


def with_(pointer: str, value: Any) -> dict[str, Any]:
    """Return the job with one more section or key."""
    section, _, key = pointer.partition("/")
    return {**JOB, section: {**JOB.get(section, {}), key: value} if key else value}


@pytest.mark.parametrize(
    ("document", "gone"),
    [
        (JOB, set()),
        (with_("pod/gpu_cout", 2), {"/pod/gpu_cout"}),
        (with_("budget", {"cost_cap_usd": "lots", "x": 1}), {"/budget/cost_cap_usd", "/budget/x"}),
        (
            with_("staging", [JOB["staging"][0] | {"dlete": True}, JOB["staging"][0]]),
            {"/staging/0/dlete"},
        ),
        (with_("a/b~c", 1), {"/a"}),
        (with_("secrets", ["HF_TOKEN"]), {"/secrets"}),
        (with_("staging", [JOB["staging"][0], "src"]), {"/staging"}),
        (with_("staging", [{"label": "code", "dlete": 1}]), {"/staging", "/staging/0/dlete"}),
        (
            with_("artifacts", [{"label": "o", "remote_path": "/o", "excludes": [1]}]),
            {"/artifacts/0/excludes"},
        ),
    ],
)
def test_what_breaks_the_schema_goes(document: dict[str, Any], gone: set[str]) -> None:
    """Unknown keys and wrong values alone; what is left keeps to the schema."""
    assert gone == misfits(document, job_schema(), ())
    assert set() == misfits(without(document, gone), job_schema(), ())


@pytest.mark.parametrize(
    "document",
    [
        {**JOB, "pod": {"gpu_order": ["NVIDIA L4"]}},
        {**JOB, "run": "true"},
        {**JOB, "pod": {"image": "runpod/base:1", "gpu_order": [4]}},
        {**JOB, "variables": {"a": ["b"]}},
        {**JOB, "run": {"body": "true", "env": ["A=1"]}},
        "text",
        [],
    ],
)
def test_too_little_is_nothing(document: Any) -> None:
    """Without a value that is needed, be it for one of its items, or with texts in doubt: None."""
    assert misfits(document, job_schema(), ()) is None


def test_a_refused_key_goes_whatever_it_holds() -> None:
    """A reserved key fits the schema and may not stand there."""
    document = with_("cluster", {"nodes": 2, "type": "TRAINING"})
    assert {"/cluster"} == misfits(document, job_schema(), {"/cluster"})


def test_single_values_beside_what_is_gone_are_in_doubt() -> None:
    """A check of one of them may rest on what was taken away; sections and lists stay sure."""
    document = with_("pod/gpu_cout", 2)
    assert {"/pod/gpu_cout", "/pod/image"} == in_doubt(document, {"/pod/gpu_cout"})


def test_nothing_that_was_given_is_changed() -> None:
    """What is left is a copy."""
    document = with_("pod/gpu_cout", 2)
    assert "gpu_cout" not in without(document, {"/pod/gpu_cout"})["pod"]
    assert 2 == document["pod"]["gpu_cout"]

"""The compiler as a whole."""

from dataclasses import replace
from typing import Any, get_args

import pytest

from compiler_cases import a_file, job, plan_of
from runpod_deploy.compiler.compile import compile_job
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.late_bound import token
from runpod_deploy.compiler.local_paths import RUN_RECORDS, of_node
from runpod_deploy.compiler.plan import StepName
from runpod_deploy.compiler.planfile import plan_hash
from runpod_deploy.errors import Diagnostic, InvalidInput, Severity
from runpod_deploy.record.nodes import NODES
from runpod_deploy.schema.job import JobConfig

FULL: dict[str, Any] = {
    "name": "full",
    "storage": {"mode": "ephemeral", "volume_gb": 30},
    "staging": [{"label": "code", "source": "./src/", "destination": "/workspace/app"}],
    "setup": [{"command": "a", "timeout_sec": 100}, {"command": "b", "timeout_sec": 50}],
    "secrets": [{"name": "k", "destination": "/root/.env", "env": ["TOKEN"]}],
    "artifacts": [{"label": "out", "remote_path": "/workspace/out"}],
    "budget": {"max_runtime_minutes": 90},
    "capacity": {"wait_minutes": 30},
}
PAYLOAD = {"code": (a_file("a.py"), a_file("b.py", size=7))}


def test_same_input_same_plan() -> None:
    """A plan depends on its input alone, not on where the job file lies."""
    config = job(FULL)
    moved = replace(config, source=replace(config.source, path="/elsewhere/job.yaml"))

    assert plan_of(config, payload=PAYLOAD) == plan_of(moved, payload=PAYLOAD)
    assert plan_hash(plan_of(config)) == plan_hash(plan_of(moved))


def test_a_byte_of_the_payload_changes_the_hash() -> None:
    """The plan commits to every file by its digest."""
    changed = {"code": (a_file("a.py"), a_file("b.py", size=7, sha256="1" * 64))}

    one, other = (plan_hash(plan_of(job(FULL), payload=p)) for p in (PAYLOAD, changed))
    assert one != other


def test_sealed_staging() -> None:
    """Files are counted and summed, the source is in its one spelling."""
    staging = plan_of(job(FULL), payload=PAYLOAD).staging[0]

    assert ("src", 2, 7) == (staging.source, staging.files, staging.bytes)
    assert staging.tree_sha256.startswith("sha256:")


def test_steps_have_their_times() -> None:
    """All steps are there in order; times come from the job."""
    steps = {step.name: step.timeout_sec for step in plan_of(job(FULL), payload=PAYLOAD).steps}

    assert get_args(StepName) == tuple(steps)
    assert 960 == steps["connect"]
    assert 210 == steps["setup"]
    assert 5400 == steps["execute"]
    assert steps["provision"] is not None
    assert steps["provision"] >= 1800
    assert None is {s.name: s.timeout_sec for s in plan_of(job()).steps}["execute"]


def test_artifacts_land_below_the_run_folder() -> None:
    """By default under their label, else where the job says."""
    over = {
        "artifacts": [
            {"label": "a", "remote_path": "/a"},
            {"label": "b", "remote_path": "/b", "local_path": "./deep//x/"},
            {"label": "c", "remote_path": "/c", "local_path": "{{ project_root }}/c"},
        ]
    }

    paths = [artifact.local_path for artifact in plan_of(job(over)).artifacts]
    assert ["@@rd:run_dir@@/a", "@@rd:run_dir@@/deep/x", "@@rd:project_root@@/c"] == paths


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({}, ("delete", "delete", "delete")),
        ({"storage": FULL["storage"]}, ("delete", "stop", "stop")),
        (
            {
                "storage": FULL["storage"],
                "artifacts": [{"label": "o", "remote_path": "/root/o"}],
            },
            ("delete", "delete", "delete"),
        ),
        (
            {
                "storage": FULL["storage"],
                "artifacts": [{"label": "o", "remote_path": "/root/o"}],
                "lifecycle": {"accept_loss": True, "on_orphaned": "preserve"},
            },
            ("delete", "stop", "preserve"),
        ),
    ],
)
def test_lifecycle_defaults(over: dict[str, Any], expected: tuple[str, ...]) -> None:
    """After failure a pod is stopped only where that keeps every result."""
    decided = plan_of(job(over)).lifecycle

    assert expected == (decided.on_success, decided.on_failure, decided.on_orphaned)


def test_errors_stop_and_come_with_the_warnings() -> None:
    """All diagnostics are told, and nothing is made."""
    fact = Diagnostic(severity=Severity.WARNING, code="w", summary="W", detail="w.")
    config = job({"pod": {"ports": ["1/tcp"]}, "run": {"body": "{{ nope }}"}})

    with pytest.raises(InvalidInput) as caught:
        compile_job(config, Facts(job_file="job.yaml", diagnostics=(fact,)))

    told = {diagnostic.code for diagnostic in caught.value.diagnostics}
    assert {"w", "no-ssh-port", "undefined-name"} == told
    assert "job.yaml has 2 errors" == caught.value.message


def test_no_absolute_local_path_is_in_a_plan() -> None:
    """Nothing of this machine's folders gets into the plan."""
    config: JobConfig = job(FULL)
    config = replace(config, source=replace(config.source, path="/home/me/secret/job.yaml"))

    assert "/home/me" not in repr(plan_of(config, payload=PAYLOAD))


def test_each_node_has_a_place_of_its_own() -> None:
    """Where all results come home no node's lie below another's, and the run's record is nobody's."""
    cluster = {"nodes": 3, "collect": "all"}
    results = [
        {"label": "model", "remote_path": "/x"},
        {"label": "logs", "remote_path": "/y", "local_path": "{{ project_root }}/out/node-0"},
    ]
    plan = plan_of(job({"cluster": cluster, "artifacts": results}))
    assert NODES in RUN_RECORDS
    places = [
        [one.local_path if rank == 0 else of_node(one.local_path, rank) for rank in range(3)]
        for one in plan.artifacts
    ]
    run, project = token("run_dir"), token("project_root")
    assert [f"{run}/model", f"{run}/nodes/1/model", f"{run}/nodes/2/model"] == places[0]
    assert [f"{project}/out/node-0/node-{rank}" for rank in range(3)] == places[1]

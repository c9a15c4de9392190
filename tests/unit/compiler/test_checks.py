"""The rules that a job must keep, each with a job that breaks it and one that does not."""

from typing import Any

import pytest

from compiler_cases import codes, from_text, job, unchecked
from runpod_deploy.compiler.compile import check_job
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.errors import Severity

EPHEMERAL = {"mode": "ephemeral", "volume_gb": 20}
NETWORK = {"mode": "network_volume", "volume_name": "v"}
MADE = NETWORK | {"create": True, "volume_gb": 100}
HERE = {"datacenters": ["EU-RO-1"]}
RECYCLED = {"storage": EPHEMERAL, "lifecycle": {"on_success": "recycle"}}


def staged(label: str, destination: str, **more: Any) -> dict[str, Any]:
    """Return a staging entry."""
    return {"label": label, "source": "src", "destination": destination, **more}


def result(label: str, remote: str, **more: Any) -> dict[str, Any]:
    """Return an artifact entry."""
    return {"label": label, "remote_path": remote, **more}


def sent(**more: Any) -> dict[str, Any]:
    """Return an artifact entry that goes on to a bucket."""
    return {"label": "r", "remote_path": "/x", "upload": "s3://bucket/r", **more}


CPU: dict[str, Any] = {"cpu": {"flavor": "cpu5c", "vcpus": 4}}
SIGNS = {
    "name": "bucket",
    "destination": "/root/bucket.env",
    "env": ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
    "export": False,
}
BROKEN: list[tuple[dict[str, Any], list[str]]] = [
    ({"staging": [staged("{{ a }}", "/x"), staged("{{ b }}", "/y")]}, ["duplicate-name"]),
    ({"pod": {"env": {"RUNPOD_POD_ID": "x"}}}, ["reserved-name"]),
    ({"pod": {"env": {f"A{i}": "x" for i in range(47)}}}, ["environment-size"]),
    ({"pod": {"ports": ["8888/http"]}}, ["no-ssh-port"]),
    ({"forward": [8888, "8888:1"]}, ["forward-port"]),
    ({"forward": ["1:65536"]}, ["forward-port"]),
    ({"forward": [1], "matrix": {"axes": {"a": [1, 2]}}}, ["forward-sweep"]),
    ({"budget": {"idle_gpu_minutes": 1.4}}, ["idle-unmeasured"]),
    (
        {"budget": {"idle_gpu_minutes": 15}, "telemetry": {"enabled": False}},
        ["idle-unmeasured"],
    ),
    ({"pod": CPU | {"gpu_order": ["NVIDIA L4"]}}, ["cpu-pod"]),
    ({"pod": CPU | {"gpu_count": 1}}, ["cpu-pod"]),
    ({"pod": CPU | {"min_cuda": "12.8"}}, ["cpu-pod"]),
    ({"pod": CPU | {"admission": {"min_driver": "550"}}}, ["cpu-pod"]),
    ({"pod": CPU, "budget": {"idle_gpu_minutes": 15}}, ["cpu-pod"]),
    ({"pod": CPU | {"cloud_type": "ANY"}}, ["cpu-pod"]),
    ({"pod": CPU, "storage": EPHEMERAL}, ["cpu-pod"]),
    ({"artifacts": [sent()]}, ["upload-credentials"]),
    ({"artifacts": [sent(upload_secret="s")], "secrets": [SIGNS]}, ["upload-credentials"]),
    ({"artifacts": [sent()], "secrets": [SIGNS | {"env": ["AWS_REGION"]}]}, ["upload-credentials"]),
    (
        {
            "artifacts": [sent(upload_secret="bucket")],
            "secrets": [SIGNS | {"env": ["AWS_ACCESS_KEY_ID"]}],
        },
        ["upload-credentials"],
    ),
    ({"artifacts": [result("r", "/x", upload_endpoint="https://x")]}, ["upload-missing"]),
    (
        {"artifacts": [sent(upload_endpoint="http://store.example")], "secrets": [SIGNS]},
        ["upload-endpoint"],
    ),
    ({"artifacts": [sent(upload="s3://bucket/../x")], "secrets": [SIGNS]}, ["upload-path"]),
    ({"artifacts": [sent(upload="s3://bucket//x")], "secrets": [SIGNS]}, ["upload-path"]),
    (
        {"artifacts": [sent(), sent(label="t", upload="s3://bucket/r/")], "secrets": [SIGNS]},
        ["upload-twice"],
    ),
    (
        {"artifacts": [sent(), sent(label="t", upload="s3://bucket/r/t")], "secrets": [SIGNS]},
        ["upload-twice"],
    ),
    (
        {
            "artifacts": [
                sent(),
                sent(label="t", upload_endpoint="https://s3.us-east-1.amazonaws.com/"),
            ],
            "secrets": [SIGNS],
        },
        ["upload-twice"],
    ),
    ({"notify": {"command": "say 'it is done"}}, ["notify-command"]),
    ({"notify": {"command": "{{ '' }}"}}, ["notify-command"]),
    ({"notify": {"command": "''"}}, ["notify-command"]),
    ({"notify": {"command": "say {{ pod_id }}"}}, ["late-bound-here"]),
    ({"storage": NETWORK, "pod": {"cloud_type": "COMMUNITY"}}, ["volume-cloud"]),
    ({"storage": {"mode": "ephemeral"}}, ["volume-size"]),
    ({"storage": NETWORK | {"create": True}, "pod": HERE}, ["volume-size"]),
    ({"storage": MADE}, ["volume-place"]),
    ({"storage": MADE, "pod": {"datacenters": ["EU-RO-1", "EU-CZ-1"]}}, ["volume-place"]),
    ({"storage": EPHEMERAL | {"volume_mount": "/{{ slash }}"}}, ["volume-mount"]),
    ({"staging": [staged("s", "{{ a }}")]}, ["relative-pod-path"]),
    ({"artifacts": [result("r", "{{ a }}")]}, ["relative-pod-path"]),
    ({"run": {"workdir": "{{ a }}"}}, ["relative-pod-path"]),
    ({"staging": [staged("s", "/x"), staged("t", "/x/")]}, ["same-destination"]),
    (
        {
            "staging": [staged("s", "/x")],
            "secrets": [{"name": "k", "destination": "/x", "env": ["A"]}],
        },
        ["same-destination"],
    ),
    (
        {"staging": [staged("s", "/x", delete=True), staged("t", "/x/y")]},
        ["staging-deletes-staging"],
    ),
    ({"artifacts": [result("r", "/x", local_path="../up")]}, ["local-path"]),
    ({"artifacts": [result("r", "/x", local_path="/abs{{ a }}")]}, ["local-path"]),
    ({"artifacts": [result("run.log", "/x")]}, ["local-path-taken"]),
    ({"artifacts": [result("r", "/x", local_path="./Events.jsonl/x")]}, ["local-path-taken"]),
    ({"artifacts": [result("nodes", "/x")]}, ["local-path-taken"]),
    ({"artifacts": [result("r", "/x", local_path="./Nodes/1")]}, ["local-path-taken"]),
    ({"artifacts": [result("r", "/x", local_path="{{ run_dir }}")]}, ["local-path-taken"]),
    (
        {"artifacts": [result("r", "/x", local_path="{{ project_root }}/sub/.git/hooks")]},
        ["local-path-taken"],
    ),
    ({"artifacts": [result("r", "/x", local_path="{{ run_dir }}/../x")]}, ["local-path"]),
    (
        {"artifacts": [result("r", "/x"), result("q", "/y", local_path="r/sub")]},
        ["local-path-overlap"],
    ),
    ({"run": {"success_marker": "Killed"}}, ["marker-conflict"]),
    ({"lifecycle": {"on_failure": "stop"}}, ["stop-without-mount"]),
    ({"lifecycle": {"on_success": "recycle"}}, ["stop-without-mount"]),
    ({**RECYCLED, "state_file": "../pod.json"}, ["state-file"]),
    ({**RECYCLED, "state_file": "~/.pod"}, ["state-file"]),
    ({**RECYCLED, "state_file": "job.yaml"}, ["state-file"]),
    ({**RECYCLED, "state_file": ".git/pod.json"}, ["state-file"]),
    ({**RECYCLED, "state_file": "artifacts/runpod/pod.json"}, ["state-file"]),
    ({**RECYCLED, "state_file": "{{ run_id }}.json"}, ["late-bound-here"]),
    (
        {
            "storage": EPHEMERAL,
            "lifecycle": {"on_orphaned": "stop"},
            "artifacts": [result("r", "/root/x"), result("ok", "/workspace/x")],
        },
        ["stop-wipes-artifact"],
    ),
]
PAST_THE_SCHEMA: list[tuple[dict[str, Any], list[str]]] = [
    ({"pod": {"image": None}}, ["no-image"]),
    ({"run": {"body": None}}, ["run-script"]),
    ({"run": {"env": {"A;B": "x"}}}, ["environment-name"]),
    ({"remote_env": {"exports": {"1A": "x"}}}, ["environment-name"]),
    ({"storage": {"mode": "network_volume"}}, ["volume-name"]),
    ({"pod": {"min_cuda": "12"}}, ["cuda-format"]),
    ({"budget": {"soft_cap_fraction": 1.5}}, ["soft-cap"]),
    ({"budget": {"cost_cap_usd": 0.0}}, ["cost-cap"]),
    ({"budget": {"max_runtime_minutes": 0.0}}, ["max-runtime"]),
]
FINE: list[dict[str, Any]] = [
    {},
    {"budget": {"idle_gpu_minutes": 1.5}},
    {"pod": CPU},
    {"pod": CPU | {"admission": {"min_disk_gb": 5}}, "storage": NETWORK},
    {"artifacts": [sent(upload="s3://bucket/{{ run_id }}/")], "secrets": [SIGNS]},
    {
        "artifacts": [
            sent(upload_secret="file", upload_endpoint="http://127.0.0.1:9000"),
            sent(label="t"),
        ],
        "secrets": [SIGNS, {"name": "file", "destination": "/root/f", "file": "secret.env"}],
    },
    RECYCLED,
    {**RECYCLED, "state_file": "{{ config_dir }}/pods/kept.json"},
    {"storage": NETWORK, "pod": {"cloud_type": "ANY"}},
    {"storage": MADE, "pod": HERE},
    {"storage": EPHEMERAL, "lifecycle": {"on_failure": "stop", "on_success": "stop"}},
    {
        "staging": [staged("s", "/x")],
        "secrets": [{"name": "k", "destination": "/x/.env", "env": ["A"]}],
    },
    {"artifacts": [result("r", "{{ run_dir }}/x", local_path="{{ project_root }}/r")]},
    {"artifacts": [result("r", "/x"), result("r2", "/y")]},
    {
        "storage": EPHEMERAL,
        "lifecycle": {"on_failure": "stop", "accept_loss": True},
        "artifacts": [result("r", "/root/x")],
    },
    {"pod": {"env": {f"A{i}": "x" for i in range(46)}}},
]


@pytest.mark.parametrize(("over", "expected"), BROKEN)
def test_broken_rules_are_errors(over: dict[str, Any], expected: list[str]) -> None:
    """A job that breaks one rule has exactly that error."""
    assert expected == codes(job(over, a="x", b="x", slash="/"))


@pytest.mark.parametrize(("over", "expected"), PAST_THE_SCHEMA)
def test_rules_hold_for_jobs_that_no_schema_saw(over: dict[str, Any], expected: list[str]) -> None:
    """A job put together in Python is held to what the schema would have refused."""
    assert expected == codes(unchecked(over))


@pytest.mark.parametrize("over", FINE)
def test_jobs_that_keep_the_rules(over: dict[str, Any]) -> None:
    """A job that keeps all rules has no error."""
    assert [] == codes(job(over))


def test_a_wiped_artifact_is_named() -> None:
    """The message says which result would be lost, and where it would be safe."""
    over = {"storage": EPHEMERAL, "artifacts": [result("ckpt", "/root/x")]}
    found = check_job(job(over | {"lifecycle": {"on_failure": "stop"}}), Facts(job_file="j"))

    assert "`ckpt`" in found[0].detail
    assert "/workspace" in found[0].detail


def test_a_stop_after_success_only_warns() -> None:
    """After success the results have been pulled and verified."""
    over = {
        "storage": EPHEMERAL,
        "artifacts": [result("r", "/root/x")],
        "lifecycle": {"on_success": "stop"},
    }

    assert ["stop-wipes-artifact"] == codes(job(over), Severity.WARNING)
    assert [] == codes(job(over))


def test_a_cap_that_ends_the_run_early_is_told_of() -> None:
    """Rate, cap and runtime are held against each other."""
    budget = {"cost_cap_usd": 2, "assumed_hourly_rate_usd": 4, "max_runtime_minutes": 60}

    assert ["cap-before-runtime"] == codes(job({"budget": budget}), Severity.WARNING)
    assert [] == codes(job({"budget": budget | {"cost_cap_usd": 4}}), Severity.WARNING)


def test_a_volume_in_any_cloud_is_noted() -> None:
    """Only Secure Cloud is used then, and the list of data centers is not."""
    over = {"storage": NETWORK, "pod": {"cloud_type": "ANY", "datacenters": ["EU-RO-1"]}}

    assert {"volume-cloud", "volume-datacenter"} == set(codes(job(over), Severity.NOTE))


def test_findings_come_in_the_order_of_the_file_with_their_lines() -> None:
    """Each finding has its place, and the reader goes through the file once."""
    found = check_job(
        from_text(
            "schema_version: 3\n"
            "name: x\n"
            "pod:\n"
            "  image: runpod/base:1\n"
            "  gpu_order: [A40]\n"
            "  ports: [8888/http]\n"
            "run: {body: 'true'}\n"
            "staging:\n"
            "- {label: a, source: x, destination: /a}\n"
            "- {label: b, source: x, destination: /a}\n"
        ),
        Facts(job_file="job.yaml"),
    )

    wrong = [str(one.where) for one in found if one.severity is Severity.ERROR]
    assert ["job.yaml:6:10", "job.yaml:10:38"] == wrong


def test_nothing_is_said_about_values_that_could_not_be_rendered() -> None:
    """A relative path whose template is broken is not also called relative."""
    assert ["undefined-name"] == codes(job({"staging": [staged("s", "{{ nope }}")]}))

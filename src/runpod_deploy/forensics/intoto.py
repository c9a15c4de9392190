"""A run as an in-toto statement: which results came from which plan, source and pod.

The predicate is SLSA's provenance 1.0 (https://slsa.dev/spec/v1.0/provenance); signing the statement
is the work of tools such as cosign.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runpod_deploy.errors import InvalidInput
from runpod_deploy.record import tolerant
from runpod_deploy.record.manifest import Manifest

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:runpod-deploy:job:1"
BUILDER = "urn:runpod-deploy:executor"


def statement(manifest: Manifest) -> dict[str, Any]:
    """Return the statement about the results of a run, as JSON can say it: without NaN.

    Raises:
        InvalidInput: The manifest holds no digest of any result.
    """
    subjects = list(_subjects(manifest))
    if not subjects:
        raise InvalidInput(
            "the manifest holds no digest of a result, so there is nothing to make a statement about",
            help="Results have digests when a run of this tool verified them.",
        )
    told: dict[str, Any] = tolerant.finite(_statement(manifest, subjects))
    return told


def _statement(manifest: Manifest, subjects: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "job": manifest.get("config_path"),
                    "job_name": manifest.get("job_name"),
                    "variables": manifest.get("variables") or {},
                    "image": manifest.get("image"),
                },
                "internalParameters": {
                    "plan_hash": manifest.plan_hash,
                    "plan_format": manifest.get("plan_format"),
                    "gpu_id": manifest.get("gpu_id"),
                    "gpu_count": manifest.get("gpu_count"),
                    "node_count": manifest.get("node_count"),
                    "datacenter_id": manifest.get("datacenter_id"),
                    "cloud": manifest.get("cloud"),
                },
                "resolvedDependencies": list(_dependencies(manifest)),
            },
            "runDetails": {
                "builder": {
                    "id": BUILDER,
                    "version": {"runpod-deploy": manifest.get("tool_version")},
                },
                "metadata": {
                    "invocationId": manifest.get("run_id"),
                    "startedOn": _second(manifest.get("started_at_utc")),
                    "finishedOn": _second(manifest.get("ended_at_utc")),
                    "runpod_deploy_succeeded": manifest.succeeded,
                },
                "byproducts": list(_byproducts(manifest)),
            },
        },
    }


def _subjects(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for artifact in _rows(manifest.get("artifacts")):
        if artifact.get("status") != "success":
            continue
        for entry in _rows(artifact.get("entries")):
            digest, path = tolerant.text(entry, "sha256"), tolerant.text(entry, "path")
            if digest is not None and path is not None:
                yield {"name": f"{artifact.get('label')}/{path}", "digest": {"sha256": digest}}


def _dependencies(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    deploy = manifest.get("deploy_metadata")
    deploy = deploy if isinstance(deploy, Mapping) else {}
    sha = tolerant.text(deploy, "local_git_sha")
    if sha is not None:
        dirty = deploy.get("local_git_dirty")
        yield {"name": "source", "digest": {"gitCommit": sha}, "annotations": {"dirty": dirty}}
    lock = tolerant.text(deploy, "payload_lockfile_sha256")
    if lock is not None:
        yield {"name": deploy.get("payload_lockfile"), "digest": {"sha256": lock}}
    if manifest.get("plan_hash"):
        digest = str(manifest["plan_hash"]).removeprefix("sha256:")
        yield {"name": "plan", "digest": {"sha256": digest}}


def _byproducts(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    log = manifest.get("log")
    digest = tolerant.text(log, "sha256") if isinstance(log, Mapping) else None
    if digest is not None:
        yield {"name": "run.log", "digest": {"sha256": digest}}


def _rows(value: Any) -> Iterator[Mapping[str, Any]]:
    yield from (row for row in value if isinstance(row, Mapping)) if isinstance(value, list) else ()


def _second(stamp: Any) -> str | None:
    """Return a time as the predicate wants it, RFC 3339 with whole seconds."""
    if not isinstance(stamp, str):
        return None
    whole, _, _ = stamp.partition(".")
    return whole if whole.endswith("Z") else f"{whole}Z"

"""What holds in every plan this compiler makes, checked of one that somebody else may have made.

The hash proves only that a plan was not changed after it was hashed. A forged plan has a right hash
too, so what apply relies on is looked at here: digests, and paths that stay where they belong.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import get_args

from runpod_deploy.compiler.late_bound import token
from runpod_deploy.compiler.local_paths import FIRST, is_contained, of_first, taken
from runpod_deploy.compiler.payload import is_sorted, total_bytes, tree_sha256
from runpod_deploy.compiler.plan import POD_PROTOCOL, Plan, PlanFile, StepName
from runpod_deploy.compiler.pod_paths import is_absolute, normal
from runpod_deploy.compiler.scripts import POD_SCRIPTS, UPLOAD_SCRIPT

_PLAN_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MODE = re.compile(r"0[0-7]{3}")
_LOCAL_ROOTS = tuple(f"{token(name)}/" for name in ("run_dir", "project_root", "config_dir"))


def unsound(plan_file: PlanFile) -> str | None:
    """Return the first thing in `plan_file` that no compiler of ours would write, or None."""
    return next(_problems(plan_file), None)


def _problems(plan_file: PlanFile) -> Iterator[str]:
    if not _PLAN_ID.fullmatch(plan_file.plan_id):
        yield "its plan_id is not 128 bits in hex"
    yield from _payload(plan_file)
    yield from _scripts(plan_file.plan)
    yield from _local_paths(plan_file.plan)
    yield from _uploads(plan_file.plan)
    plan = plan_file.plan
    if plan.protocol > POD_PROTOCOL:
        yield f"its pod scripts speak protocol {plan.protocol}, this version speaks {POD_PROTOCOL}"
    if tuple(step.name for step in plan.steps) != get_args(StepName):
        yield "its steps are not the steps of a run"
    if not plan.candidates:
        yield "it has no candidate"
    yield from _observed(plan_file)


def _observed(plan_file: PlanFile) -> Iterator[str]:
    seen, candidates = plan_file.observed, plan_file.plan.candidates
    if seen.catalog is not None:
        offered = [(one.gpu, one.datacenter, one.cloud) for one in seen.catalog.candidates]
        if offered != [(one.gpu, one.datacenter, one.cloud) for one in candidates]:
            yield "the prices it shows are not those of its candidates"
    choice = None if seen.estimate is None else seen.estimate.candidate
    if choice is not None and not 0 <= choice < len(candidates):
        yield "its estimate is for a candidate that it does not have"


def _payload(plan_file: PlanFile) -> Iterator[str]:
    sealed = {entry.label: entry for entry in plan_file.plan.staging}
    if len(sealed) != len(plan_file.plan.staging) or set(sealed) != set(plan_file.payload):
        yield "the payload lists are not those of its staging entries"
        return
    if not is_sorted(plan_file.payload):
        yield "a payload list is not sorted, or holds a path twice"
    for label, entries in plan_file.payload.items():
        seal = sealed[label]
        if tree_sha256(entries) != seal.tree_sha256:
            yield f"the payload list of `{label}` is not the one that the plan commits to"
        if (len(entries), total_bytes(entries)) != (seal.files, seal.bytes):
            yield f"the plan counts the files of `{label}` wrongly"
        for entry in entries:
            alone = entry.path == "" and len(entries) == 1
            if not (alone or (entry.path and is_contained(entry.path))):
                yield f"`{label}` holds a path outside of its source: {entry.path!r}"
            if not _SHA256.fullmatch(entry.sha256) or entry.size < 0:
                yield f"`{label}` holds a file without a digest: {entry.path!r}"
            if (entry.target is None) != (entry.type == "file"):
                yield f"`{label}` holds a link without a target: {entry.path!r}"


def _scripts(plan: Plan) -> Iterator[str]:
    names = [script.name for script in plan.scripts]
    if len(set(names)) != len(names):
        yield "two of its scripts have the same name"
    for needed in (*POD_SCRIPTS, plan.run.script):
        if needed not in names:
            yield f"it lacks the script `{needed}`"
    for script in plan.scripts:
        if hashlib.sha256(script.text.encode()).hexdigest() != script.sha256:
            yield f"the text of the script `{script.name}` is not the one its digest stands for"
        if not is_absolute(script.path) or not _MODE.fullmatch(script.mode):
            yield f"the script `{script.name}` has no proper place or mode on the pod"
        below_home = normal(script.path).startswith(f"{normal(plan.home)}/")
        if script.phase == "pod" and not below_home:
            yield f"the script `{script.name}` lies outside of the run's home"


def _uploads(plan: Plan) -> Iterator[str]:
    secrets = {secret.name for secret in plan.secrets}
    scripts = {script.name for script in plan.scripts}
    for artifact in plan.artifacts:
        if artifact.upload is None:
            continue
        if not artifact.upload.to.startswith("s3://"):
            yield f"the artifact `{artifact.label}` would go to no bucket: {artifact.upload.to!r}"
        if artifact.upload.secret not in secrets:
            yield f"it lacks the secret `{artifact.upload.secret}`"
        if UPLOAD_SCRIPT not in scripts:
            yield f"it lacks the script `{UPLOAD_SCRIPT}`"


def _local_paths(plan: Plan) -> Iterator[str]:
    every = plan.cluster is not None and plan.cluster.collect == "all"
    for artifact in plan.artifacts:
        path = artifact.local_path
        if not path.startswith(_LOCAL_ROOTS) or ".." in path.split("/"):
            yield f"the artifact `{artifact.label}` would land outside of the run folder: {path!r}"
        elif purpose := taken(path):
            yield f"the artifact `{artifact.label}` would land in {path!r}, {purpose}"
        elif every and not path.endswith(FIRST) and of_first(path) != path:
            yield f"the artifact `{artifact.label}` of one node would land among those of others"
    for entry in plan.staging:
        if entry.source.startswith("/"):
            yield f"the source of `{entry.label}` is not relative to the project: {entry.source!r}"
    if plan.job.file.startswith("/"):
        yield f"its job file is not relative to the project: {plan.job.file!r}"

"""The calls behind a job resource: a plan that is applied once."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, ReadResult
from pulumi.output import contains_unknowns

from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.planfile import loads
from runpod_deploy.errors import JobFailed, RunpodDeployError
from runpod_deploy.executor.clock import SystemClock
from runpod_deploy.executor.concluding import Outcome
from runpod_deploy.executor.identity import owner_id
from runpod_deploy.executor.ownership import look_at
from runpod_deploy.executor.resuming import read_begun, resume
from runpod_deploy.executor.run import Listeners, Saved, execute
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.executor.standing_pods import give_back
from runpod_deploy.facts.locate import find_project_root
from runpod_deploy.forensics.load import load_events
from runpod_deploy.pulumi.fields import Field, text
from runpod_deploy.pulumi.provider import Failed, Props, Provider, Seen, told
from runpod_deploy.record.manifest import MANIFEST_NAME, Manifest, load_manifest
from runpod_deploy.record.run import fold
from runpod_deploy.record.run_folder import plan_uses

_OVER = frozenset({"FAILED", "CANCELLED"})


class JobProvider(Provider):
    """Applies a plan when it is made; afterwards only another plan is a difference."""

    fields: ClassVar[tuple[Field, ...]] = (
        Field(name="plan", read=text, required=True, silent=True),
        Field(name="plan_hash", read=text, replaces=True),
        Field(name="project", read=text, silent=True),
    )

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Hold the plan against its own hash, which is what is compared from then on."""
        result = super().check(_olds, news)
        plan = result.inputs.get("plan")
        if result.failures or contains_unknowns(plan):
            result.inputs["plan_hash"] = plan
            return result
        try:
            result.inputs["plan_hash"] = _read(result.inputs).plan_hash
        except RunpodDeployError as error:
            result.failures.append(CheckFailure("plan", error.message))
        return result

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Carry the plan out; a run of it that was interrupted is carried on, a success is taken."""
        seen = told(lambda: self._applied(props))
        return CreateResult(seen.id, seen.outs)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Look at the run folder; nothing is asked of RunPod."""
        seen = told(lambda: _looked_up(id_, props))
        return ReadResult(None, {}) if seen is None else ReadResult(seen.id, seen.outs)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Delete what the job's pod may have left at RunPod; its results stay where they are."""
        if _props.get("pod_final_state") != "TERMINATED":
            super().delete(_id, _props)

    async def removed(self, cloud: RunPodCloud, id_: str, props: Props) -> None:
        """Delete the pods of this run that were kept."""
        del props
        owner = owner_id(os.environ)
        for pod in await cloud.pods():
            owned = look_at(pod, owner)
            if owned.ours and owned.run_id == id_ and pod.status != "TERMINATED":
                await give_back(cloud, SystemClock(), pod.id)

    def _applied(self, props: Props) -> Seen:
        plan_file = _read(props)
        root = _root(plan_file.plan.job.file, props, plan_file)
        earlier = _earlier(root, plan_file)
        if earlier.result is not None:
            return _seen(root, earlier.result, props.get("project"))
        try:
            if earlier.begun is not None:
                outcome = asyncio.run(self._carried_on(root, earlier.begun))
            else:
                outcome = asyncio.run(self._carried_out(root, plan_file, again=earlier.used))
        except OSError as error:
            raise JobFailed(f"The run could not be carried out: {error}") from error
        if not outcome.manifest.succeeded:
            why = str(outcome.failure) if outcome.failure else "see its manifest"
            raise JobFailed(
                f"The run ended as {outcome.run.state}: {why}",
                help=f"Everything about it is in {outcome.folder}",
            )
        return _seen(root, outcome.folder, props.get("project"))

    async def _carried_out(self, root: Path, plan_file: PlanFile, *, again: bool) -> Outcome:
        return await execute(
            plan_file,
            project_root=root,
            target=self.target(),
            environ=os.environ,
            listeners=Listeners(opened=_say),
            saved=Saved(again=again),
        )

    async def _carried_on(self, root: Path, folder: Path) -> Outcome:
        begun, target = read_begun(folder), self.target()
        if (begun.cloud, begun.api_url) != (target.label, target.api_url):
            raise JobFailed(
                f"The run in {folder} began on {begun.cloud} at {begun.api_url}, which is not where "
                f"this stack works now.",
                help=f"Carry it on from there, then try again:\n  runpod-deploy resume {folder}",
            )
        return await resume(
            begun,
            project_root=root,
            target=target,
            environ=os.environ,
            listeners=Listeners(opened=_say),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Earlier:
    """What became of a plan so far.

    Attributes:
        used: Whether it was applied.
        result: The run folder of a success.
        begun: That of a run that has not come to its end.
    """

    used: bool
    result: Path | None = None
    begun: Path | None = None


def _read(props: Props) -> PlanFile:
    return loads(props["plan"].encode(), "the plan")


def _root(job_file: str, props: Props, plan_file: PlanFile | None = None) -> Path:
    git = plan_file.observed.git if plan_file else None
    project = props.get("project")
    return find_project_root(
        job_file,
        explicit=Path(project) if project else None,
        cwd=Path.cwd(),
        git_prefix=None if git is None else git.prefix,
    )


def _earlier(root: Path, plan_file: PlanFile) -> _Earlier:
    """Look what became of this very plan.

    Raises:
        JobFailed: A run of it ended in a way that somebody must look at.
    """
    uses = plan_uses(root, plan_file.plan_id)
    folder = next((root / use.run for use in reversed(uses) if use.run), None)
    if folder is None or not folder.is_dir():
        return _Earlier(used=bool(uses))
    manifest = load_manifest(folder)
    if manifest is not None and manifest.succeeded:
        return _Earlier(used=True, result=folder)
    if manifest is None:
        # Its executor was killed: nothing is rented anew while its pod may be there.
        return _Earlier(used=True, begun=folder)
    if manifest.get("state") in _OVER:
        return _Earlier(used=True)
    raise JobFailed(
        f"A run of this plan ended as {manifest.get('state')}: {folder}",
        help="What it left may go on costing money. Look at it, end it, then make the plan anew:\n"
        f"  runpod-deploy {_cleanup(folder)}\n"
        f"  runpod-deploy plan {root / plan_file.plan.job.file} -o PLAN.json",
    )


def _cleanup(folder: Path) -> str:
    """Return the command that ends the pods which a run's journal knows of."""
    pods = fold(load_events(folder)).pods.values()
    left = [pod.pod_id for pod in pods if pod.pod_id and pod.status not in {"gone", "refused"}]
    return f"cleanup {' '.join(left)}" if left else "reap"


def _looked_up(run_id: str, props: Props) -> Seen | None:
    root = _root(props["job_file"], props)
    folder = root / props["run_dir"]
    manifest = load_manifest(folder)
    if manifest is None:
        return None
    if (manifest.get("run_id"), manifest.plan_hash) != (run_id, props["plan_hash"]):
        raise Failed(
            f"{folder / MANIFEST_NAME} is of another run than {run_id}: put the right one back, or "
            "remove it, and the job is run again"
        )
    return _seen(root, folder, props.get("project"))


def _seen(root: Path, folder: Path, project: str | None = None) -> Seen:
    manifest = load_manifest(folder)
    if manifest is None:
        raise JobFailed(f"The run succeeded, and its manifest in {folder} cannot be read.")
    run_id = str(manifest["run_id"])
    return Seen(
        id=run_id,
        outs={
            "plan_hash": manifest.plan_hash,
            "project": project,
            "job_file": manifest.get("config_path"),
            "run_id": run_id,
            "state": manifest.get("state"),
            "exit_code": manifest.exit_code,
            "cost_usd": manifest.get("estimated_cost_usd"),
            "pod_final_state": manifest.get("pod_final_state"),
            "run_dir": _below(root, str(folder)),
            "manifest_path": _below(root, str(folder / MANIFEST_NAME)),
            "manifest": _short(manifest),
            "artifacts": {
                row["label"]: _below(root, row["local_path"])
                for row in manifest.get("artifacts", [])
                if isinstance(row, Mapping) and row.get("status") == "success"
            },
        },
    )


def _below(root: Path, path: str) -> str:
    """Return a path relative to the project root where it is below, so that states can be shared."""
    whole = Path(path)
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else path


def _short(manifest: Manifest) -> str:
    """Return the manifest as JSON, without the list of every single file."""
    rows = [
        {key: value for key, value in row.items() if key != "entries"}
        for row in manifest.get("artifacts", [])
    ]
    return json.dumps({**manifest, "artifacts": rows}, sort_keys=True)


def _say(folder: Path, run_id: str) -> None:
    sys.stderr.write(f"runpod-deploy: run {run_id}, in {folder}\n")

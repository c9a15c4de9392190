"""A job as a Pulumi resource: a plan that is applied once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pulumi

from runpod_deploy.compiler.canonical import canonical
from runpod_deploy.pulumi.job_provider import JobProvider
from runpod_deploy.pulumi.resource import RunPodResource, output

_OUTPUTS = (
    "plan_hash",
    "job_file",
    "run_id",
    "state",
    "exit_code",
    "cost_usd",
    "pod_final_state",
    "run_dir",
    "manifest_path",
    "manifest",
    "artifacts",
)


class Job(RunPodResource, kind="Job"):
    """A plan of `runpod-deploy plan -o plan.json`, carried out when this resource is made.

    The same plan hash is no change and asks nothing of anybody; another one runs the new plan. A
    run that fails makes no resource, and the next `pulumi up` runs the plan again. Deleting it deletes
    pods that the run kept, and leaves the results where they are.

    Args:
        plan_file: The saved plan; excludes `plan`.
        plan: Its text.
        project: The project's folder; by default found from where the program runs.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        plan_file: str | os.PathLike[str] | None = None,
        plan: pulumi.Input[str] | None = None,
        project: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        if (plan_file is None) == (plan is None):
            raise ValueError(f"job {resource_name!r} needs either `plan_file` or `plan`")
        super().__init__(
            JobProvider(),
            resource_name,
            {
                "plan": _canonical(Path(plan_file)) if plan_file is not None else plan,
                "project": project,
                **dict.fromkeys(_OUTPUTS),
            },
            opts,
        )

    @property
    @pulumi.getter
    def plan_hash(self) -> pulumi.Output[str]:
        """`sha256:…` of the plan: the job's identity."""
        return output(self, "plan_hash", str)

    @property
    @pulumi.getter
    def run_id(self) -> pulumi.Output[str]:
        """The run that carried the plan out."""
        return output(self, "run_id", str)

    @property
    @pulumi.getter
    def state(self) -> pulumi.Output[str]:
        """How it ended."""
        return output(self, "state", str)

    @property
    @pulumi.getter
    def exit_code(self) -> pulumi.Output[int]:
        """Exit code of the job itself."""
        return output(self, "exit_code", int)

    @property
    @pulumi.getter
    def cost_usd(self) -> pulumi.Output[float]:
        """What its pods cost, as far as the run knew."""
        return output(self, "cost_usd", float)

    @property
    @pulumi.getter
    def run_dir(self) -> pulumi.Output[str]:
        """The run folder, relative to the project."""
        return output(self, "run_dir", str)

    @property
    @pulumi.getter
    def manifest_path(self) -> pulumi.Output[str]:
        """The manifest's file, relative to the project."""
        return output(self, "manifest_path", str)

    @property
    @pulumi.getter
    def manifest(self) -> pulumi.Output[str]:
        """The manifest as JSON, without the list of every single file."""
        return output(self, "manifest", str)

    @property
    @pulumi.getter
    def artifacts(self) -> pulumi.Output[dict[str, str]]:
        """Label to place of what was brought home and verified, relative to the project."""
        return output(self, "artifacts", dict[str, str])


def _canonical(file: Path) -> str:
    """Return a saved plan as one canonical line: numbers would not survive the way as such."""
    return canonical(json.loads(file.read_bytes())).decode()

"""Local paths as a plan holds them: relative to the project root, or after a late-bound token."""

import dataclasses
import posixpath
from collections.abc import Callable

from runpod_deploy.compiler.late_bound import MARK, token
from runpod_deploy.compiler.resolve import Resolution, Resolved
from runpod_deploy.schema.job import ArtifactEntry, NotifySection

# What a run writes about itself: results from the pod must not stand in for it.
RUN_RECORDS = frozenset(
    (
        *("events.jsonl", "plan.json", "run.log", "runpod_deploy_pull_manifest.json"),
        *("source.patch", "ssh.salt", "known_hosts", "commands.log"),
        *(".apply.json", ".executor.json", ".pulled.json", ".request.json"),
        "nodes",  # where each other node of a cluster has its journal
    )
)


# The folder of the first node below a place that all nodes have.
FIRST = "/node-0"


def anchored(resolution: Resolution, job_file: str) -> Resolution:
    """Return the job with `project_root` and `config_dir` taken out of the paths it reads.

    Args:
        resolution: A rendered job.
        job_file: The job file relative to the project root, `/` separators.
    """
    job = resolution.config
    texts = (
        *(entry.source for entry in job.staging),
        *(secret.file or "" for secret in job.secrets),
        *job.local.required_paths,
        job.run.script or "",
        job.state_file or "",
        (job.notify and job.notify.webhook and job.notify.webhook.file) or "",
    )
    if not any(MARK in text for text in texts):
        return resolution
    folder = posixpath.dirname(job_file) or "."

    def place(path: str) -> str:
        for name, start in (("project_root", "."), ("config_dir", folder)):
            rest = path.removeprefix(token(name))
            if rest != path and rest[:1] in ("", "/"):
                return posixpath.normpath(start + rest)
        return path

    config = dataclasses.replace(
        job,
        staging=tuple(dataclasses.replace(one, source=place(one.source)) for one in job.staging),
        secrets=tuple(
            one if one.file is None else dataclasses.replace(one, file=place(one.file))
            for one in job.secrets
        ),
        local=dataclasses.replace(
            job.local, required_paths=tuple(map(place, job.local.required_paths))
        ),
        run=dataclasses.replace(job.run, script=job.run.script and place(job.run.script)),
        state_file=job.state_file and place(job.state_file),
        notify=_placed(job.notify, place),
    )
    return dataclasses.replace(resolution, config=Resolved(config))


def _placed(notify: NotifySection | None, place: Callable[[str], str]) -> NotifySection | None:
    if notify is None or notify.webhook is None or notify.webhook.file is None:
        return notify
    file = place(notify.webhook.file)
    return dataclasses.replace(notify, webhook=dataclasses.replace(notify.webhook, file=file))


def artifact_path(artifact: ArtifactEntry) -> str:
    """Return where a result lands: below the run folder unless the job names another token."""
    path = artifact.label if artifact.local_path is None else artifact.local_path
    return path if path.startswith(MARK) else f"{token('run_dir')}/{posixpath.normpath(path)}"


def of_first(path: str) -> str:
    """Return where the first node's results land where every node's come home.

    Outside of the run's folder each node has a folder of its own, none below another's: what is
    deleted in one is not another node's.

    Args:
        path: As `artifact_path` gives it.
    """
    return path if _of_the_run(path) else path + FIRST


def of_node(path: str, rank: int) -> str:
    """Return where the results of another node land; `path` is as `of_first` gives it."""
    if _of_the_run(path):
        run = token("run_dir")
        return f"{run}/nodes/{rank}{path.removeprefix(run)}"
    return f"{path.removesuffix(FIRST)}/node-{rank}"


def _of_the_run(path: str) -> bool:
    return path.partition("/")[0] == token("run_dir")


def taken(path: str) -> str | None:
    """Return what else the place of a result, as `artifact_path` gives it, is for; None when free.

    Letters count the same in both cases: so they do on many file systems.
    """
    start, _, rest = posixpath.normpath(path).partition("/")
    parts = rest.lower().split("/")
    if not rest:
        return "the folder itself, with everything else in it"
    if start == token("run_dir") and parts[0] in RUN_RECORDS:
        return "the run's own record"
    return "git's own folder" if ".git" in parts else None


def in_project(path: str) -> str:
    """Return a path of the job file in its one spelling, relative to the project root."""
    return posixpath.normpath(path) if path else "."


def is_contained(path: str) -> bool:
    """Return whether `path` stays below the folder it is relative to."""
    return not path.startswith("/") and ".." not in path.split("/")

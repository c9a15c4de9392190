"""Local paths as a plan holds them: relative to the project root, or after a late-bound token."""

import posixpath

from runpod_deploy.compiler.late_bound import MARK, token
from runpod_deploy.schema.job import ArtifactEntry


def artifact_path(artifact: ArtifactEntry) -> str:
    """Return where a result lands: below the run folder unless the job names another token."""
    path = artifact.label if artifact.local_path is None else artifact.local_path
    return path if path.startswith(MARK) else f"{token('run_dir')}/{posixpath.normpath(path)}"


def in_project(path: str) -> str:
    """Return a path of the job file in its one spelling, relative to the project root."""
    return posixpath.normpath(path) if path else "."


def is_contained(path: str) -> bool:
    """Return whether `path` stays below the folder it is relative to."""
    return not path.startswith("/") and ".." not in path.split("/")

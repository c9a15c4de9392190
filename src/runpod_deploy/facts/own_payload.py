"""Whether a file that is about to be written would travel with the job itself."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from runpod_deploy.compiler.plan import PlanFile, PlanStaging
from runpod_deploy.compiler.resolve import resolve
from runpod_deploy.facts.filters import filter_rules
from runpod_deploy.facts.gather import project_of
from runpod_deploy.facts.project import Project
from runpod_deploy.facts.walk import GITIGNORE, RUNPODIGNORE, walk
from runpod_deploy.schema.job import JobConfig


def travelling_with(
    file: Path, plan_file: PlanFile, config: JobConfig, allow_paths: Sequence[Path]
) -> str | None:
    """Return the label of a staging that sends `file`; None when none does."""
    project = project_of(resolve(config), Path(config.source.path), allow_paths)
    place = Path(os.path.realpath(file.parent)) / file.name
    for staging in plan_file.plan.staging:
        source = project.locate(staging.source)
        if source.is_dir() and place.is_relative_to(source) and _travels(place, staging, project):
            return staging.label
    return None


def _travels(place: Path, staging: PlanStaging, project: Project) -> bool:
    """Ask the walk itself, over folders that hold this one file and the rules on the way to it."""
    source = project.locate(staging.source)
    top = project.toplevel or project.root
    top = top if source.is_relative_to(top) else source
    with TemporaryDirectory(prefix="runpod-deploy-") as made:
        folder = Path(os.path.realpath(made))
        for above in [one for one in place.parents if one.is_relative_to(top)]:
            copy = folder / above.relative_to(top)
            copy.mkdir(parents=True, exist_ok=True)
            for name in (GITIGNORE, RUNPODIGNORE):
                if (above / name).is_file() and not (above / name).is_symlink():
                    shutil.copyfile(above / name, copy / name)
        (folder / place.relative_to(top)).touch()
        rules = filter_rules(staging.excludes)
        found = walk(
            folder / source.relative_to(top), rules, folder, gitignore=staging.gitignore
        ).found
    return place.relative_to(source).as_posix() in {one.path for one in found}

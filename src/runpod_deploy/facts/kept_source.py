"""What a plan was made from and its commit does not hold: kept beside the plan, so that it can be verified.

Changes of tracked files are git's own patch. Untracked files that the plan was made from, ignored
ones too, are an archive: what travels, the job's files, the script, ignore rules and the lock file.
Nothing else of the work tree is copied.
"""

import hashlib
import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runpod_deploy.compiler.local_paths import anchored
from runpod_deploy.compiler.plan import PayloadEntry, PlanFile
from runpod_deploy.compiler.resolve import resolve
from runpod_deploy.errors import InvalidInput
from runpod_deploy.facts.gather import project_of
from runpod_deploy.facts.git import git_state, publishable, tracked_files
from runpod_deploy.facts.plan_sweep import each_config
from runpod_deploy.facts.project import Project, git_toplevel
from runpod_deploy.facts.source_archive import pack
from runpod_deploy.facts.walk import GITIGNORE, RUNPODIGNORE
from runpod_deploy.schema.job import JobConfig
from runpod_deploy.schema.opening import read_judged

MAX_BYTES = 32 * 2**20
"""Of untracked files in all; what is larger is data, and stays where it is."""
RULE_FILES = (GITIGNORE, RUNPODIGNORE, ".gitattributes")


def patch_file(plan: Path) -> Path:
    """Return where the patch of the saved plan at `plan` lies."""
    return plan.with_name(f"{plan.name}.patch")


def archive_file(plan: Path) -> Path:
    """Return where the untracked files of the saved plan at `plan` lie."""
    return plan.with_name(f"{plan.name}.untracked.tar")


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptSource:
    """What goes beside a saved plan.

    Attributes:
        patch: From the commit to the tracked files as they are; empty when they are the same.
        archive: Files that git does not hold; empty when there are none.
        names: What is in the archive, relative to the top level.
        left_out: What would make it too large, with the sizes in bytes.
        stripped: Whether a password was taken out of the patch, which then does not fit any more.
    """

    patch: bytes
    archive: bytes
    names: tuple[str, ...]
    left_out: tuple[tuple[str, int], ...]
    stripped: bool

    @property
    def archive_sha256(self) -> str | None:
        """The digest for the plan file."""
        return hashlib.sha256(self.archive).hexdigest() if self.archive else None


def kept_source(
    plan_files: Sequence[PlanFile], config: JobConfig, *, allow_paths: Sequence[Path] = ()
) -> KeptSource | None:
    """Return what is to be kept beside a plan that was just made; None outside of a repository.

    Args:
        plan_files: The plan, or those of all runs of a sweep.
        config: The job that they were made of.
        allow_paths: Folders outside of the repository that it may name.

    Raises:
        InvalidInput: Something changed while the plan was made, or cannot be read.
    """
    jobs = [(plan, *_project(one, allow_paths)) for plan, one in _each(plan_files, config)]
    project = jobs[0][1]
    toplevel = git_toplevel(project.root)
    seen = plan_files[0].observed.git
    if toplevel is None or seen is None or seen.sha is None:
        return None
    state = git_state(project.root)
    if state is None or (state.facts.sha, state.facts.patch_sha256) != (
        seen.sha,
        seen.patch_sha256,
    ):
        raise _moved("the repository")
    travelling = dict(_payload(jobs, toplevel))
    files = list(travelling)
    for plan_file, its_project, script in jobs:
        files += _named(plan_file, config, script, its_project, toplevel)
    tracked = tracked_files(toplevel)
    folders = set(_folders([*tracked, *(one for one in files if one not in tracked)]))
    untracked = {*files, *_rules(folders, toplevel)} - tracked
    names, left_out = _small_enough(untracked, toplevel)
    try:
        archive = pack(toplevel, names) if names else b""
    except OSError as error:
        raise _moved(Path(error.filename or toplevel).name) from error
    _hold(names, travelling, toplevel)
    patch = publishable(state.patch)
    return KeptSource(
        patch=patch,
        archive=archive,
        names=names,
        left_out=left_out,
        stripped=patch != state.patch,
    )


_Job = tuple[PlanFile, Project, str | None]
"""A plan, where it applies, and the script that it names."""


def _each(
    plan_files: Sequence[PlanFile], config: JobConfig
) -> Iterable[tuple[PlanFile, JobConfig]]:
    return zip(plan_files, each_config(config), strict=True)


def _project(config: JobConfig, allow_paths: Sequence[Path]) -> tuple[Project, str | None]:
    resolution = resolve(config)
    project = project_of(resolution, Path(config.source.path), allow_paths)
    return project, anchored(resolution, project.job_path).config.run.script


def _payload(jobs: Iterable[_Job], toplevel: Path) -> Iterator[tuple[str, PayloadEntry]]:
    seen = set()
    for plan_file, project, _ in jobs:
        for staging in plan_file.plan.staging:
            source = project.locate(staging.source)
            # Runs of a sweep mostly send the same.
            if not source.is_relative_to(toplevel) or (source, staging.tree_sha256) in seen:
                continue
            seen.add((source, staging.tree_sha256))
            start = source.relative_to(toplevel).as_posix()
            for entry in plan_file.payload[staging.label]:
                yield posixpath.normpath(posixpath.join(start, entry.path)), entry


def _named(
    plan_file: PlanFile, config: JobConfig, script: str | None, project: Project, toplevel: Path
) -> Iterator[str]:
    lockfile = plan_file.observed.lockfile
    inside = [one for one in (script, lockfile.name if lockfile else None) if one is not None]
    inside += [one.source for one in plan_file.plan.staging]
    # As they are called, which may be a link, and where that leads.
    places = [project.job_file, *(project.root / one for one in inside)]
    places += [Path(name) for name in config.source.texts]
    for place in places:
        written = Path(os.path.realpath(place.parent)) / place.name
        for one in (written, Path(os.path.realpath(place))):
            if one.is_relative_to(toplevel) and (one.is_symlink() or one.is_file()):
                yield one.relative_to(toplevel).as_posix()


def _folders(names: Iterable[str]) -> Iterator[str]:
    """Yield every folder that holds one of `names`, and those above it; the top level is empty."""
    seen = {""}
    yield ""
    for name in names:
        folder = name.rpartition("/")[0]
        while folder not in seen:
            seen.add(folder)
            yield folder
            folder = folder.rpartition("/")[0]


def _rules(folders: Iterable[str], toplevel: Path) -> Iterator[str]:
    for folder in folders:
        for name in RULE_FILES:
            path = toplevel / folder / name
            if path.is_file() and not path.is_symlink():
                yield f"{folder}/{name}".lstrip("/")


def _small_enough(
    names: Iterable[str], toplevel: Path
) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...]]:
    """Return what fits, the smallest first, and the rest with its sizes."""
    try:
        sizes = sorted(((toplevel / name).lstat().st_size, name) for name in names)
    except OSError as error:
        raise _moved(Path(error.filename).name) from error
    total, fitting, rest = 0, [], []
    for size, name in sizes:
        total += size
        if total <= MAX_BYTES:
            fitting.append(name)
        else:
            rest.append((name, size))
    return tuple(sorted(fitting)), tuple(rest)


def _hold(names: Iterable[str], planned: Mapping[str, PayloadEntry], toplevel: Path) -> None:
    """Hold what was packed against what the plan says about it."""
    for name in names:
        entry = planned.get(name)
        if entry is not None and entry.type == "file":
            try:
                content = read_judged(toplevel / name, -1)
            except OSError as error:
                raise _moved(name) from error
            if hashlib.sha256(content).hexdigest() != entry.sha256:
                raise _moved(name)


def _moved(what: str) -> InvalidInput:
    return InvalidInput(
        f"{what} changed while the plan was made, and nothing was saved", help="Plan again."
    )

"""A job as it is in a revision of its repository, planned without touching work tree or index.

What the job needs of the revision is laid out in a folder of its own, by an index of its own, as a
clean checkout would: line ends, links and permissions included, so that the same walk reads it.
Nothing of the repository is executed on the way: filters are switched off, hooks too. A file that
Git LFS keeps elsewhere counts as the file it stands for, whose digest its pointer tells.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from runpod_deploy.compiler.compile import compile_resolution
from runpod_deploy.compiler.local_paths import anchored
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.planfile import make_plan_file
from runpod_deploy.compiler.resolve import Resolution, Resolved, resolve
from runpod_deploy.compiler.sweepfile import SweepFile, make_sweep_file
from runpod_deploy.errors import InvalidInput
from runpod_deploy.facts.gather import Found, gather_resolution, project_of
from runpod_deploy.facts.git_tree import GitTree, open_tree
from runpod_deploy.facts.lfs import without_pointers
from runpod_deploy.facts.observe import observe
from runpod_deploy.facts.plan_sweep import each_config, is_sweep
from runpod_deploy.facts.project import Project, git_toplevel
from runpod_deploy.facts.submodules import lay_out_submodules
from runpod_deploy.schema.base_files import SUFFIXES
from runpod_deploy.schema.job import JobConfig
from runpod_deploy.schema.load import load

_RULES = (".gitignore", ".gitattributes")


@dataclass(frozen=True, kw_only=True, slots=True)
class AtRevision:
    """A job in a revision.

    Attributes:
        commit: The full name of the commit.
        plan_file: A plan, or the plans of a sweep; None when the revision has no such job file.
        notes: What could not be compared, in sentences.
    """

    commit: str
    plan_file: PlanFile | SweepFile | None
    notes: tuple[str, ...] = ()


def plan_at_revision(
    revision: str,
    job_file: Path,
    variables: Mapping[str, str],
    *,
    allow_paths: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
) -> AtRevision:
    """Return the plan of `job_file` as it is in `revision` of its repository.

    Args:
        revision: Whatever git knows a commit by.
        job_file: Where the job file lies, or would lie, in the work tree.
        variables: Values that override those of the job; names it does not declare are left out.
        allow_paths: Folders outside of the repository that it may name; they are read as they are.

    Raises:
        InvalidInput: No repository, no git, no such revision, or a job that cannot be planned.
    """
    folder = Path(os.path.realpath(job_file.parent))
    toplevel = git_toplevel(folder)
    if toplevel is None:
        raise InvalidInput(f"{revision} cannot be looked up: {job_file} lies in no git repository")
    environ = os.environ if environ is None else environ
    path = (folder / job_file.name).relative_to(toplevel).as_posix()
    with TemporaryDirectory(prefix="runpod-deploy-") as place:
        tree = open_tree(toplevel, revision, Path(os.path.realpath(place)), environ)
        if path not in tree.entries:
            return AtRevision(commit=tree.commit, plan_file=None)
        with _explained(path, revision):
            return _plan(tree, toplevel, revision, path, variables, allow_paths, environ)


@contextmanager
def _explained(path: str, revision: str) -> Iterator[None]:
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(
            f"{path} at {revision} cannot be planned: {error.message}",
            diagnostics=error.diagnostics,
            help=error.help,
        ) from error


def _plan(
    tree: GitTree,
    toplevel: Path,
    revision: str,
    path: str,
    variables: Mapping[str, str],
    allow_paths: Sequence[Path],
    environ: Mapping[str, str],
) -> AtRevision:
    display = f"{revision}:{path}"
    lay_out_early(tree, path)
    there = loaded(tree, path, display, {}, allow_paths)
    declared = {*there.variables, *(there.matrix.axes if there.matrix else ())}
    values = {name: value for name, value in variables.items() if name in declared}
    config = loaded(tree, path, display, values, allow_paths)
    # All is laid out before the first look: runs of a sweep may name folders in each other's.
    jobs = [laid_out(tree, path, one, allow_paths) for one in each_config(config)]
    sources = frozenset(source for one in jobs for source in one.sources)
    notes = tuple(lay_out_submodules(tree, toplevel, sources, environ))
    found: Found = {}
    plans = [_compiled(tree, one, found) for one in jobs]
    return AtRevision(
        commit=tree.commit,
        plan_file=make_sweep_file(plans, new_id()) if is_sweep(config) else plans[0],
        notes=notes,
    )


def _compiled(tree: GitTree, job: "LaidOut", found: Found) -> PlanFile:
    facts = gather_resolution(job.resolution, job.project, use_cache=False, found=found)
    payload = {
        entry.label: without_pointers(
            tree, job.project.locate(entry.source), facts.payload.get(entry.label, ())
        )
        for entry in job.resolution.config.staging
    }
    plan, _ = compile_resolution(job.resolution, replace(facts, payload=payload))
    overrides = job.resolution.config.source.overrides
    return make_plan_file(plan, payload, observe(job.project.root, overrides=overrides), new_id())


def loaded(
    tree: GitTree,
    path: str,
    display: str,
    variables: Mapping[str, str],
    allow_paths: Sequence[Path],
) -> JobConfig:
    """Return the job at `path` of `tree`, which is laid out; messages call it `display`.

    Raises:
        InvalidInput: It cannot be read.
    """
    return load(tree.folder / path, variables, display=display, allow_paths=allow_paths)


def new_id() -> str:
    """Return the id of a plan that was just made."""
    return os.urandom(16).hex()


@dataclass(frozen=True, kw_only=True, slots=True)
class LaidOut:
    """A job whose files lie in the tree's folder.

    Attributes:
        sources: The paths in the tree that it names; an empty one is all of it.
    """

    resolution: Resolution
    project: Project
    sources: frozenset[str]


def laid_out(
    tree: GitTree,
    path: str,
    config: JobConfig,
    allow_paths: Sequence[Path],
) -> LaidOut:
    """Lay out everything of `tree` that the job at `path` needs, and return the job.

    `lay_out_early` comes first.

    Args:
        config: The job at `path`, or one run of the sweep there.

    Raises:
        InvalidInput: The job says something that cannot be.
    """
    job_file = tree.folder / path
    resolution = resolve(config)
    project = project_of(resolution, job_file, allow_paths)
    _make_root(tree, project)
    sources = _sources(anchored(resolution, project.job_path), project, tree)
    tree.lay_out(one for one in tree.entries if _below(one, sources))
    return LaidOut(resolution=resolution, project=project, sources=sources)


def lay_out_early(tree: GitTree, path: str) -> None:
    """Lay out what says what else the job at `path` needs.

    Raises:
        InvalidInput: The job file leads out of the repository.
    """
    tree.lay_out(one for one in tree.entries if _needed_early(tree, one, path))
    if not Path(os.path.realpath(tree.folder / path)).is_relative_to(tree.folder):
        raise InvalidInput("it is a link that leads out of the repository")


def _make_root(tree: GitTree, project: Project) -> None:
    """Make the project root, which is in the revision even where nothing in it is needed."""
    if not project.root.is_relative_to(tree.folder):
        return
    inside = f"{project.root.relative_to(tree.folder).as_posix()}/"
    if any(path.startswith(inside) for path in tree.entries):
        project.root.mkdir(parents=True, exist_ok=True)


def _needed_early(tree: GitTree, path: str, job: str) -> bool:
    """Return whether a file says what else is needed: job files, rules, and every link."""
    if path == job or tree.entries[path].is_link or path.endswith(SUFFIXES):
        return True
    return path.rpartition("/")[2] in _RULES


def _sources(resolution: Resolution, project: Project, tree: GitTree) -> frozenset[str]:
    """Return the paths in the tree that the job names; an empty one is all of it."""
    config = resolution.config
    named = (
        *(one.source for one in config.staging),
        *([] if config.run.script is None else [config.run.script]),
        *config.local.required_paths,
        *(one.file for one in config.secrets if one.file is not None),
        *_webhook_file(config),
    )
    places = [project.locate(one) for one in named]
    inside = [one for one in places if one.is_relative_to(tree.folder)]
    return frozenset(one.relative_to(tree.folder).as_posix().removeprefix(".") for one in inside)


def _webhook_file(config: Resolved) -> tuple[str, ...]:
    webhook = config.notify.webhook if config.notify else None
    return () if webhook is None or webhook.file is None else (webhook.file,)


def _below(path: str, sources: frozenset[str]) -> bool:
    if "" in sources or path in sources:
        return True
    at = path.find("/")
    while at >= 0:
        if path[:at] in sources:
            return True
        at = path.find("/", at + 1)
    return False

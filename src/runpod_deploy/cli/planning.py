"""From the file that was named to a plan: compiled from a job file, or read as it was saved."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.sweepfile import SweepFile
from runpod_deploy.errors import Diagnostic, InvalidInput
from runpod_deploy.frozen import frozen
from runpod_deploy.schema.job import JobConfig

if TYPE_CHECKING:
    from runpod_deploy.facts.approvals import SeenApproval

_SAVED = re.compile(rb'"format"\s*:\s*"runpod-deploy\.([a-z-]*)')


@frozen
class Planned:
    """A plan and where it applies.

    Attributes:
        project_root: Absolute; every local path of the plan is below it.
        saved: Whether it was read from a plan file, which can be applied once.
        allow_paths: Folders outside of the project that local paths may lead into.
        allow: Parts of a saved plan that may differ from the project.
        again: Whether a saved plan may be applied that was applied before.
        approvals: Those that were asked for and count.
        file: How the plan or job file was named.
    """

    plan_file: PlanFile
    diagnostics: tuple[Diagnostic, ...]
    project_root: Path
    saved: bool
    allow_paths: tuple[Path, ...] = ()
    allow: frozenset[str] = frozenset()
    again: bool = False
    approvals: tuple["SeenApproval", ...] = ()
    file: str = "plan.json"

    @property
    def plan_files(self) -> tuple[PlanFile, ...]:
        """The plan, as those of a sweep are given."""
        return (self.plan_file,)


@frozen
class PlannedSweep:
    """The plans of a sweep and where they apply; other attributes as of `Planned`.

    Attributes:
        only: Names of the runs that are to be carried out; None: all.
        max_parallel: Runs under way at a time; None: as planned.
        folder: Folder of an earlier try of this sweep, which is taken up again.
        approvals: Those that were asked for and count.
        file: How the sweep or job file was named.
    """

    sweep_file: SweepFile
    diagnostics: tuple[Diagnostic, ...]
    project_root: Path
    saved: bool
    allow_paths: tuple[Path, ...] = ()
    again: bool = False
    only: frozenset[str] | None = None
    max_parallel: int | None = None
    folder: Path | None = None
    approvals: tuple["SeenApproval", ...] = ()
    file: str = "plan.json"

    @property
    def plan_files(self) -> tuple[PlanFile, ...]:
        """The plans of all its runs."""
        return self.sweep_file.shards


def compile_config(
    config: JobConfig, allow_paths: Sequence[Path], *, use_cache: bool = True
) -> tuple[PlanFile, tuple[Diagnostic, ...]]:
    """Return the plan of a job, and the warnings about it.

    Args:
        use_cache: Whether digests seen before may stand in for reading the files; apply says no.

    Raises:
        InvalidInput: It cannot be planned; carries every diagnostic.
    """
    from runpod_deploy.facts.plan_job import plan_job  # noqa: PLC0415 - not for `--help`

    return plan_job(
        config, plan_id=os.urandom(16).hex(), allow_paths=allow_paths, use_cache=use_cache
    )


def compile_any(
    config: JobConfig, allow_paths: Sequence[Path], *, use_cache: bool = True
) -> tuple[PlanFile | SweepFile, tuple[Diagnostic, ...]]:
    """Return the plan of a job, or those of the runs of a sweep; otherwise as `compile_config`."""
    if config.matrix is None:
        return compile_config(config, allow_paths, use_cache=use_cache)
    from runpod_deploy.facts.plan_sweep import is_sweep, plan_sweep  # noqa: PLC0415 - sweeps only

    if not is_sweep(config):
        return compile_config(config, allow_paths, use_cache=use_cache)
    return plan_sweep(
        config,
        new_id=lambda: os.urandom(16).hex(),
        allow_paths=allow_paths,
        use_cache=use_cache,
    )


def prepare(
    path: Path, variables: Mapping[str, str], allow_paths: Sequence[Path], project: Path | None
) -> Planned:
    """Return the plan of one run; otherwise as `prepare_any`.

    Raises:
        InvalidInput: As `prepare_any`; or it is a sweep.
    """
    planned = prepare_any(path, variables, allow_paths, project)
    if isinstance(planned, Planned):
        return planned
    first = planned.sweep_file.first.plan
    axes = first.matrix
    given = " ".join(f"--var {name}={value}" for name, value in axes.values.items()) if axes else ""
    raise InvalidInput(
        f"{path} is a sweep of {len(planned.sweep_file.shards)} runs, and this is about one run",
        help=f"Choose one, by a value for each axis of the job file:\n  {first.job.file} {given}",
    )


def prepare_any(
    path: Path, variables: Mapping[str, str], allow_paths: Sequence[Path], project: Path | None
) -> Planned | PlannedSweep:
    """Return what is to be applied: a saved plan, or the plan of a job file as it is now.

    Raises:
        InvalidInput: It cannot be planned, is no plan, or flags were given that do not go with it.
        PlanRefused: The saved plan was changed, or is of another version.
    """
    if is_saved_plan(path):
        if variables:
            raise InvalidInput(
                f"{path} is a saved plan: its variables are settled",
                help="Leave --var and --vars-file out, or plan again with them.",
            )
        # A plan may come from somebody else: who applies it says anew what it may touch.
        saved = read_any(path, project=project)
        return replace(saved, allow_paths=tuple(allow_paths), file=str(path))
    if project is not None:
        raise InvalidInput(
            "--project goes with a saved plan; a job file says it by `local.project_root`"
        )
    from runpod_deploy.facts.plan_job import load_job  # noqa: PLC0415 - not for `--help`

    config = load_job(path, variables, allow_paths)
    planned, diagnostics = compile_any(config, allow_paths, use_cache=False)
    root = project_root_of(config, path, allow_paths)
    if isinstance(planned, SweepFile):
        return PlannedSweep(
            sweep_file=planned,
            diagnostics=diagnostics,
            project_root=root,
            saved=False,
            allow_paths=tuple(allow_paths),
        )
    return Planned(
        plan_file=planned,
        diagnostics=diagnostics,
        project_root=root,
        saved=False,
        allow_paths=tuple(allow_paths),
    )


def project_root_of(config: JobConfig, path: Path, allow_paths: Sequence[Path]) -> Path:
    """Return the folder that every local path of a job is relative to.

    Raises:
        InvalidInput: It is outside of the repository, or not there.
    """
    from runpod_deploy.compiler.resolve import resolve  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.facts.gather import project_of  # noqa: PLC0415 - likewise

    return project_of(resolve(config), path, allow_paths).root


def for_saved(planned: Planned, *, allow: Sequence[str], again: bool) -> Planned:
    """Return `planned` with what was said about a saved plan; `allow` may list several with commas.

    Raises:
        InvalidInput: It is none, or a name is no part of a plan.
    """
    if not planned.saved and (allow or again):
        raise InvalidInput(
            "--allow and --again go with a saved plan; the plan of a job file is always new"
        )
    from runpod_deploy.compiler.freshness import check_allowed  # noqa: PLC0415 - saved plans only

    names = [name.strip() for text in allow for name in text.split(",")]
    return replace(planned, allow=check_allowed(names), again=again)


def read_plan(path: Path, *, project: Path | None) -> Planned:
    """Read a saved plan and find its project.

    Raises:
        InvalidInput: Not a plan file, or its project cannot be found.
        PlanRefused: It was changed, or is of another version.
    """
    from runpod_deploy.facts.locate import find_project_root  # noqa: PLC0415 - saved plans only

    plan_file = load_plan(path)
    git = plan_file.observed.git
    root = find_project_root(
        plan_file.plan.job.file,
        explicit=project,
        cwd=Path.cwd(),
        git_prefix=None if git is None else git.prefix,
        file=str(path),
    )
    return Planned(plan_file=plan_file, diagnostics=(), project_root=root, saved=True)


def read_any(path: Path, *, project: Path | None) -> Planned | PlannedSweep:
    """Read a saved plan or sweep and find its project; otherwise as `read_plan`."""
    if not is_saved_sweep(path):
        return read_plan(path, project=project)
    from runpod_deploy.facts.locate import find_project_root  # noqa: PLC0415 - saved plans only

    sweep_file = load_sweep(path)
    first = sweep_file.first
    git = first.observed.git
    root = find_project_root(
        first.plan.job.file,
        explicit=project,
        cwd=Path.cwd(),
        git_prefix=None if git is None else git.prefix,
        file=str(path),
    )
    return PlannedSweep(sweep_file=sweep_file, diagnostics=(), project_root=root, saved=True)


def saved_at(planned: PlannedSweep, path: Path) -> Path:
    """Return where the file of a sweep lies; `path` is what was named."""
    from runpod_deploy.record.sweep import SWEEP_NAME  # noqa: PLC0415 - sweeps only

    return path if planned.folder is None else path / SWEEP_NAME


def load_sweep(path: Path) -> SweepFile:
    """Read a saved sweep.

    Raises:
        InvalidInput: Not a sweep file.
        PlanRefused: It was changed, or is of another version.
    """
    from runpod_deploy.compiler.sweepfile import loads  # noqa: PLC0415 - saved sweeps only

    return loads(path.read_bytes(), str(path))


def load_plan_or_sweep(path: Path) -> PlanFile | SweepFile:
    """Read a saved plan or sweep; otherwise as `load_plan`."""
    return load_sweep(path) if is_saved_sweep(path) else load_plan(path)


def load_plan(path: Path) -> PlanFile:
    """Read a saved plan.

    Raises:
        InvalidInput: Not a plan file.
        PlanRefused: It was changed, or is of another version.
    """
    from runpod_deploy.compiler.planfile import loads  # noqa: PLC0415 - saved plans only

    return loads(path.read_bytes(), str(path))


def job_file_of(path: Path) -> Path:
    """Return where the job file lies that `path`, itself or a saved plan or sweep, is about.

    Raises:
        InvalidInput: The project of a saved plan cannot be found.
    """
    if not is_saved_plan(path):
        return path
    planned = read_any(path, project=None)
    return planned.project_root / planned.plan_files[0].plan.job.file


def is_saved_plan(path: Path) -> bool:
    """Tell by its content whether a file is a saved plan; what cannot be read is none."""
    return _format(path) is not None


def is_saved_sweep(path: Path) -> bool:
    """Tell by its content whether a file is a saved sweep; what cannot be read is none."""
    return _format(path) == b"sweep"


def _format(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    found = _SAVED.search(content) if content.lstrip()[:1] == b"{" else None
    return None if found is None else found[1]

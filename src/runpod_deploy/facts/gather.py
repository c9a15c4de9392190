"""Looks up what a job rests on, and tells of everything that is not as the job says."""

import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runpod_deploy.compiler.facts import Facts, Mark
from runpod_deploy.compiler.findings import Finding, below
from runpod_deploy.compiler.lifecycle import STATE_FOLDER, state_file
from runpod_deploy.compiler.local_paths import anchored
from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.compiler.resolve import Resolution, Resolved, resolve
from runpod_deploy.errors import Severity
from runpod_deploy.facts.filters import HYGIENE, PLANS
from runpod_deploy.facts.job_paths import named_paths, read_script
from runpod_deploy.facts.payload import Payload, find_payload, in_the_way
from runpod_deploy.facts.project import RESULTS, RUN_FOLDERS, Project, find_project, is_everything
from runpod_deploy.facts.requirements import read_requirements
from runpod_deploy.facts.scan import marks
from runpod_deploy.schema.job import JobConfig, StagingEntry

Found = dict[tuple[Path, tuple[str, ...], bool], Payload]
"""Files that were looked up, by their source, the patterns, and whether `.gitignore` counts."""


def gather(
    config: JobConfig,
    *,
    allow_paths: Sequence[Path] = (),
    job_file: Path | None = None,
    use_cache: bool = True,
    environ: Mapping[str, str] | None = None,
) -> Facts:
    """Return the facts about the files that `config` names; what is wrong is in `diagnostics`.

    Nothing is executed, and of secrets only their existence is looked at.

    Args:
        config: A job as loaded.
        allow_paths: Folders outside of the repository that the job's paths may lead into.
        job_file: Where the job file lies, when that is not what messages call it.
        use_cache: Whether digests seen before may stand in for reading the files; apply says no.
        environ: Says where the digests are kept; by default the process's own environment.
    """
    place = job_file or Path(config.source.path)
    resolution = resolve(config)
    project = project_of(resolution, place, allow_paths)
    return gather_resolution(resolution, project, use_cache=use_cache, environ=environ)


def project_of(resolution: Resolution, job_file: Path, allow_paths: Sequence[Path]) -> Project:
    """Return the project that a rendered job belongs to."""
    return find_project(job_file, resolution.config.local.project_root, allow_paths)


def gather_resolution(
    resolution: Resolution,
    project: Project,
    *,
    use_cache: bool = True,
    environ: Mapping[str, str] | None = None,
    payload: Mapping[str, Sequence[PayloadEntry]] | None = None,
    found: Found | None = None,
) -> Facts:
    """Return what `gather` returns, for a job that is rendered already.

    Args:
        payload: Staging label to its files, when they are known already and need no look.
        found: Files that were looked up for other runs of the same sweep; added to.
    """
    resolution = anchored(resolution, project.job_path)
    config = resolution.config
    survey = _Survey(
        environ=os.environ if environ is None else environ,
        use_cache=use_cache,
        known=payload,
        found={} if found is None else found,
        own=_state_files(config),
        left=_left_here(config, project),
    )
    refusal = _root_refusal(project)
    if refusal is not None:
        survey.findings.append(refusal)
    else:
        survey.findings += named_paths(config, project, resolution.failed)
        for index, entry in enumerate(config.staging):
            if not below(f"/staging/{index}", resolution.failed | _wrong(survey.findings)):
                survey.stage(index, entry, project)
    script_text = None
    if refusal is None and not below("/run/script", resolution.failed | _wrong(survey.findings)):
        script_text, problems = read_script(config, project)
        survey.findings += problems
    source = config.source
    return Facts(
        job_file=project.job_path,
        payload=survey.payload,
        excludes=survey.excludes,
        marks=survey.marks,
        requirements=survey.requirements,
        script_text=script_text,
        diagnostics=tuple(finding.at(source) for finding in survey.findings),
    )


def effective_excludes(
    entry: StagingEntry, project: Project, own: Sequence[str] = (), left: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the patterns that decide what of a staging travels; the first match wins.

    What is ours goes first, so that no pattern of a job can send old results to a pod.

    Args:
        own: Files of ours beside the run folders, relative to the project root.
        left: What belongs to the preset besides, relative to the project root.
    """
    source = str(project.locate(entry.source))
    preset = (*HYGIENE, *_own_paths(source, project, left)) if entry.excludes_default else ()
    ours = _own_paths(source, project, (f"{RUN_FOLDERS}/", *own))
    return (*ours, *entry.excludes, *entry.excludes_extra, *preset)


def _own_paths(source: str, project: Project, paths: Sequence[str]) -> Iterator[str]:
    """Yield the paths, relative to the project root, that lie below a source, as its patterns."""
    folder = posixpath.join(source, "")
    for path in paths:
        own = posixpath.normpath(posixpath.join(project.root, path))
        if own.startswith(folder):
            yield f"/{own.removeprefix(folder)}{'/' * path.endswith('/')}"


def _left_here(config: Resolved, project: Project) -> tuple[str, ...]:
    """Return what planning and running leave behind: sent, it would make every plan stale at once.

    What version 2 files leave out is settled by what they meant before.
    """
    if config.source.version == 2:
        return ()
    folder = posixpath.dirname(project.job_path)
    beside = [posixpath.join(one, name) for one in dict.fromkeys(("", folder)) for name in PLANS]
    return (f"{RESULTS}/", *beside)


def _state_files(config: Resolved) -> tuple[str, ...]:
    """Return the files that change with every run that keeps its pod."""
    if config.lifecycle.on_success != "recycle":
        return ()
    folder, name = posixpath.split(state_file(config))
    ignored = (".gitignore",) if folder == STATE_FOLDER else ()
    return tuple(posixpath.join(folder, one) for one in (name, f".{name}.lock", *ignored))


def _root_refusal(project: Project) -> Finding | None:
    if not _is_unicode(project.job_path):
        return Finding(
            pointer="",
            code="name-not-utf8",
            summary="The job file's name is not UTF-8",
            detail="A plan is UTF-8 text and names the job file, with its folders below the "
            "project root.",
            help="Rename the file or its folder.",
        )
    if is_everything(project.root):
        return Finding(
            pointer="/local/project_root",
            code="project-root",
            summary="The project root is not a project",
            detail=f"`{project.root}` holds everything there is on this machine, or all of a "
            "user's files; one `..` too many would send them.",
            help="Name the project's own folder in `local.project_root`.",
        )
    if not os.path.isdir(project.root):  # noqa: PTH112 - Path's raises where a name is too long
        return Finding(
            pointer="/local/project_root",
            code="missing-path",
            summary="The project root is missing",
            detail=f"There is no folder `{project.root}`; `local.project_root` is relative to the "
            "folder of the job file.",
        )
    if not project.may_touch(project.root):
        return Finding(
            pointer="/local/project_root",
            code="path-outside",
            summary="A path leads out of the project",
            detail=f"The project root lies outside of the {project.bound}, and a job file may "
            "touch nothing outside.",
            help=f"If that is meant:\n  --allow-path {project.root}",
        )
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong(findings: Sequence[Finding]) -> frozenset[str]:
    return frozenset(one.pointer for one in findings if one.severity is Severity.ERROR)


@dataclass(kw_only=True, slots=True)
class _Survey:
    """What has been found so far."""

    environ: Mapping[str, str]
    use_cache: bool
    known: Mapping[str, Sequence[PayloadEntry]] | None
    found: Found
    own: tuple[str, ...]
    left: tuple[str, ...]
    payload: dict[str, Sequence[PayloadEntry]] = field(default_factory=dict)
    excludes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    marks: dict[str, tuple[Mark, ...]] = field(default_factory=dict)
    requirements: dict[str, Mapping[str, str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def stage(self, index: int, entry: StagingEntry, project: Project) -> None:
        """Look up the files of one staging entry."""
        excludes = effective_excludes(entry, project, self.own, self.left)
        self.excludes[entry.label] = excludes
        if self.known is not None:
            self.payload[entry.label] = self.known.get(entry.label, ())
            return
        source = project.locate(entry.source)
        key = (source, excludes, entry.gitignore)
        if key not in self.found:
            self.found[key] = find_payload(
                source,
                excludes,
                ignore_top=project.toplevel or project.root,
                gitignore=entry.gitignore,
                use_cache=self.use_cache,
                environ=self.environ,
                look=True,
            )
        found = self.found[key]
        self.payload[entry.label] = found.entries
        self.marks[entry.label] = marks(str(source), found.flagged)
        self.requirements[entry.label] = read_requirements(source, found.requirements)
        self.findings += in_the_way(found, index)

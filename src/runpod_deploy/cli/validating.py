"""The work of `validate`: the files it is about, what is found in each, and how that is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runpod_deploy.cli.diagnostics import render_json
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.errors import Diagnostic, InvalidInput, Severity
from runpod_deploy.facts.job_files import find_job_files
from runpod_deploy.facts.plan_job import load_job, plan_job
from runpod_deploy.facts.plan_sweep import check_any, each_config
from runpod_deploy.facts.project import is_everything
from runpod_deploy.schema.job import JobConfig

if TYPE_CHECKING:
    from runpod_deploy.cli.live_checks import LiveChecks
    from runpod_deploy.schema.policy import Policy

NO_JOB, PART = "no job file", "extended by another file, and checked there"


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What is checked, and what of the folders is not: path and reason."""

    jobs: tuple[Path, ...]
    skipped: tuple[tuple[Path, str], ...]
    searched: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """One file with what was found in it.

    Attributes:
        strict: Only warnings fail it.
        refused: Only a policy does.
    """

    path: Path
    ok: bool
    strict: bool
    diagnostics: tuple[Diagnostic, ...]
    refused: bool = False


def chosen(named: Sequence[Path]) -> Choice:
    """Return the job files among `named` and in the folders among them, each once.

    Args:
        named: Files and folders; without any, the working folder.

    Raises:
        InvalidInput: A folder holds no job file, or nothing was named where no project can be.
    """
    if not named:
        if is_everything(Path.cwd()):
            raise InvalidInput(
                "no job file was named, and this folder holds everything there is",
                help="Name the file, or the folder of the project:\n  runpod-deploy validate DIR",
            )
        named = (Path(),)
    jobs: dict[Path, None] = {}
    skipped: dict[Path, str] = {}
    for path in named:
        if not path.is_dir():
            jobs[path] = None
            continue
        found = find_job_files(path)
        if not found.jobs:
            where = f"the working folder, {Path.cwd()}" if path == Path() else str(path)
            raise InvalidInput(
                f"there is no job file in {where}",
                help="In a folder, a .yaml or .yml file is a job file when its outermost keys say "
                "so: `schema_version` beside another section, `pod` and `run`, or `extends`. To "
                "begin one:\n  runpod-deploy init",
            )
        jobs.update(dict.fromkeys(found.jobs))
        skipped.update(dict.fromkeys(found.parts, PART))
        skipped.update(dict.fromkeys(found.others, NO_JOB))
    return Choice(
        jobs=tuple(jobs),
        skipped=tuple((path, why) for path, why in skipped.items() if path not in jobs),
        searched=any(path.is_dir() for path in named),
    )


def check(
    path: Path,
    values: Mapping[str, str],
    allow_paths: Sequence[Path],
    *,
    strict: bool,
    live: LiveChecks | None = None,
    policies: Sequence[Policy] = (),
) -> Checked:
    """Return everything that is to be said about one job file.

    Args:
        live: Asks cloud and registry about a job that can be planned; None: nobody is asked.
        policies: What the plan of the job must keep.

    Raises:
        CloudError: The cloud could not be asked.
        AccountError: It refused the key.
    """
    broken: tuple[Diagnostic, ...] = ()
    try:
        config = load_job(path, values, allow_paths)
        diagnostics = check_any(config, allow_paths=allow_paths)
        if live is not None:
            diagnostics += live.findings(config)
        if policies:
            broken = _broken(config, allow_paths, policies, live)
        ok = all(one.severity is not Severity.ERROR for one in diagnostics)
    except InvalidInput as error:
        diagnostics, ok = error.diagnostics or (_placeless(error),), False
    warned = any(one.severity is Severity.WARNING for one in diagnostics)
    return Checked(
        path=path,
        ok=ok and not broken and not (strict and warned),
        strict=ok and strict and warned,
        diagnostics=(*diagnostics, *broken),
        refused=ok and bool(broken) and not (strict and warned),
    )


def _broken(
    config: JobConfig,
    allow_paths: Sequence[Path],
    policies: Sequence[Policy],
    live: LiveChecks | None,
) -> tuple[Diagnostic, ...]:
    from runpod_deploy.cli.policing import broken_rules  # noqa: PLC0415 - only with --policy

    plan_files = []
    for job in each_config(config):
        plan_file, _ = plan_job(job, plan_id="0" * 32, allow_paths=allow_paths)
        if live is not None:
            catalog = live.market.see(plan_file.plan)
            observed = replace(plan_file.observed, catalog=catalog)
            plan_file = replace(plan_file, observed=observed)
        plan_files.append(plan_file)
    return broken_rules(policies, plan_files, config.source.path)


def _placeless(error: InvalidInput) -> Diagnostic:
    return Diagnostic(
        severity=Severity.ERROR,
        code="invalid",
        summary="Job file cannot be used",
        detail=f"{error.message[:1].upper()}{error.message[1:]}.",
        help=error.help,
    )


def show(checked: Sequence[Checked], choice: Choice, how: str, terminal: Terminal) -> None:
    """Write what was found: `how` is text, json, github or sarif."""
    if how == "text":
        _show_text(checked, terminal)
    elif how == "json":
        terminal.document(_as_json(checked, choice))
    else:
        _for_programs([one for file in checked for one in file.diagnostics], how, terminal)
        for file in checked:
            _tell_strict(file, terminal)
    if choice.searched:
        _show_totals(checked, choice, terminal)


def _for_programs(found: list[Diagnostic], how: str, terminal: Terminal) -> None:
    where: dict[str, Any] = {"environ": terminal.environ, "cwd": Path.cwd()}
    if how == "github":
        from runpod_deploy.cli.annotations import render_github  # noqa: PLC0415 - only for this

        terminal.data(render_github(found, **where).encode(errors="backslashreplace"))
        return
    from runpod_deploy.cli.sarif import render_sarif  # noqa: PLC0415 - likewise

    terminal.document(render_sarif(found, **where))


def _show_text(checked: Sequence[Checked], terminal: Terminal) -> None:
    for file in checked:
        terminal.findings(file.diagnostics)
        _tell_strict(file, terminal)
        if file.ok and not terminal.quiet:
            terminal.print(f"{line(str(file.path))}: {terminal.out.good('ok')}")


def _tell_strict(file: Checked, terminal: Terminal) -> None:
    if file.strict:
        terminal.alert(f"{line(str(file.path))}: refused, because warnings fail with --strict")


def _as_json(checked: Sequence[Checked], choice: Choice) -> dict[str, Any]:
    return {
        "ok": all(file.ok for file in checked),
        "files": [
            {
                "file": str(file.path),
                "ok": file.ok,
                "diagnostics": render_json(file.diagnostics),
            }
            for file in checked
        ],
        "skipped": [{"file": str(path), "reason": why} for path, why in choice.skipped],
    }


def _show_totals(checked: Sequence[Checked], choice: Choice, terminal: Terminal) -> None:
    wrong = sum(not file.ok for file in checked)
    said = f"{len(checked)} job file{'' if len(checked) == 1 else 's'} checked, {wrong} wrong."
    if choice.skipped and terminal.verbose:
        for path, why in choice.skipped:
            terminal.say(f"{line(str(path))}: skipped, {why}")
    elif choice.skipped:
        count = len(choice.skipped)
        files = "1 other YAML file" if count == 1 else f"{count} other YAML files"
        said += f" {files} skipped (--verbose names them)."
    terminal.say(said)

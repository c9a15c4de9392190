"""What a run needs of this machine, looked at before anything is claimed, asked for or paid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runpod_deploy.compiler.plan import Plan, PlanSecret
from runpod_deploy.errors import Diagnostic, InvalidInput, Severity
from runpod_deploy.executor.local_commands import LocalCommandFailed, LocalCommands
from runpod_deploy.executor.secret_values import read_secret
from runpod_deploy.executor.webhook import WebhookFailed, has_webhook, read_address
from runpod_deploy.facts.project import at_home

WEBHOOK_MISSING = "webhook-missing"
_COMMAND_FAILED = "secret-command-failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Here:
    """This machine, as far as a run needs it; attributes as of `RunContext`."""

    project_root: Path
    environ: Mapping[str, str] = field(repr=False)
    allowed: Sequence[Path] | None = None
    commands: LocalCommands | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a look told.

    Attributes:
        values: Secret name to the bytes that will lie on the pod; never printed.
        problems: What is missing.
    """

    values: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    problems: tuple[Diagnostic, ...] = ()


async def look(plan: Plan, here: Here) -> Found:
    """Look for required paths, secrets and the webhook's address; commands of secrets are run."""
    found = await secrets_of(plan, here)
    problems = (*_missing_paths(plan, here), *found.problems, *_webhook(plan, here))
    return Found(values=found.values, problems=problems)


def missing(plan: Plan, here: Here) -> tuple[Diagnostic, ...]:
    """Return what can be told to be missing without running anything."""
    secrets = [one for one in plan.secrets if one.command is None and one.runpod is None]
    read = [_read(here, secret) for secret in secrets]
    lacking = [one for one in read if isinstance(one, Diagnostic)]
    return (*_missing_paths(plan, here), *lacking, *_webhook(plan, here))


async def refuse_unready(plans: Sequence[Plan], here: Here) -> None:
    """Refuse saved plans that cannot begin here; all that is missing is told, each once.

    Raises:
        InvalidInput: Something is missing; nothing was done.
    """
    problems = [one for plan in plans for one in (await look(plan, here)).problems]
    if problems:
        raise as_error("Nothing was done", problems)


async def secrets_of(plan: Plan, here: Here) -> Found:
    """Read what this machine knows of the secrets, and tell what is wrong with each."""
    values: dict[str, bytes] = {}
    problems: list[Diagnostic] = []
    for secret in plan.secrets:
        if secret.runpod is not None:
            continue  # the pod's to tell
        value = await _ask(here, secret) if secret.command is not None else _read(here, secret)
        if isinstance(value, Diagnostic):
            problems.append(value)
        else:
            values[secret.name] = value
    return Found(values=values, problems=tuple(problems))


def as_error(said: str, problems: Sequence[Diagnostic]) -> InvalidInput:
    """Return the error of what is missing; its one line tells all of it, for journal and manifest."""
    reasons = dict.fromkeys(_in_a_line(one) for one in problems)
    return InvalidInput(f"{said}: {' '.join(reasons)}", diagnostics=tuple(dict.fromkeys(problems)))


def _in_a_line(problem: Diagnostic) -> str:
    if problem.code == _COMMAND_FAILED:
        # What a password store says when it fails is for the screen, not to be kept.
        return f"{problem.detail.partition(': ')[0]}."
    return " ".join(problem.detail.split())


def _problem(code: str, summary: str, detail: str, help_text: str) -> Diagnostic:
    return Diagnostic(
        severity=Severity.ERROR, code=code, summary=summary, detail=detail, help=help_text
    )


def _missing_paths(plan: Plan, here: Here) -> list[Diagnostic]:
    return [
        _problem(
            "required-path-missing",
            "Required path missing",
            f"local.required_paths names {path!r}, which is not there below {here.project_root}.",
            "Create it, or take it out of local.required_paths.",
        )
        for path in plan.required_paths
        if not (here.project_root / path).exists()
    ]


def _webhook(plan: Plan, here: Here) -> Iterator[Diagnostic]:
    notify = plan.notify
    if notify is None or not has_webhook(notify):
        return
    try:
        read_address(notify, here.project_root, here.environ, allowed=here.allowed)
    except WebhookFailed as error:
        yield _problem(
            WEBHOOK_MISSING,
            "Webhook missing",
            f"The webhook of `notify` cannot be told of the end: {error}.",
            "Set it where this command runs, or take notify.webhook out of the job file.",
        )


def _read(here: Here, secret: PlanSecret) -> bytes | Diagnostic:
    unset = [name for name in secret.env if name not in here.environ]
    if secret.file is None and unset:
        return _problem(
            "secret-missing",
            "Secret missing",
            f"Secret {secret.name!r} needs the environment variable{'s' * (len(unset) > 1)} "
            f"{', '.join(unset)}, which this command was not given.",
            f"Set {'it' if len(unset) == 1 else 'them'} first:"
            + "".join(f"\n  export {name}=…" for name in unset),
        )
    try:
        return read_secret(secret, here.project_root, here.environ, allowed=here.allowed)
    except OSError as error:
        where = here.project_root / at_home(secret.file or "")
        why = "there is none" if isinstance(error, FileNotFoundError) else _told(error)
        return _problem(
            "secret-missing",
            "Secret missing",
            f"Secret {secret.name!r} is to come from the file {secret.file!r}, looked for at {where}: "
            f"{why}.",
            "Put the file there; what it holds is never part of a plan.",
        )


def _told(error: OSError) -> str:
    said = error.strerror or str(error)
    return f"{said[:1].lower()}{said[1:]}"


async def _ask(here: Here, secret: PlanSecret) -> bytes | Diagnostic:
    """Return what the command of a secret prints; it is run once, however often it is asked."""
    command = secret.command or ""
    if here.commands is None:
        return _problem(
            "command-not-allowed",
            "Command not allowed",
            f"Secret {secret.name!r} is what a command on this machine prints, and nobody allowed "
            f"it to run: {command}",
            "Read it. If it is what you want, say --allow-commands.",
        )
    try:
        return await here.commands.printed(command, here.project_root, here.environ)
    except (LocalCommandFailed, OSError) as error:
        return _problem(
            _COMMAND_FAILED,
            "Secret missing",
            f"The command of secret {secret.name!r} gave none: {error}.",
            f"Try it in {here.project_root}:\n  {command}",
        )

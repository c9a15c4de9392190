"""check: everything that can fail for free fails here, before anything is paid for."""

from collections.abc import Iterator

from runpod_deploy.compiler.plan import PlanSecret
from runpod_deploy.errors import Diagnostic, InvalidInput, Severity
from runpod_deploy.executor.affordable import check_funds
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.local_commands import LocalCommandFailed
from runpod_deploy.executor.secret_values import read_secret
from runpod_deploy.executor.webhook import WebhookFailed, has_webhook, read_address
from runpod_deploy.facts.project import at_home


async def do(ctx: RunContext) -> None:
    """Hold local paths against the plan, read the secrets, and look at the account's money.

    Raises:
        AccountError: The account cannot pay for an hour.
        InvalidInput: A required path or a secret is missing; all of them are named.
    """
    problems = [*_missing_paths(ctx), *await _read_secrets(ctx), *_webhook(ctx)]
    if problems:
        raise InvalidInput("The run cannot start.", diagnostics=tuple(problems))
    await check_funds(ctx)


async def read_secrets(ctx: RunContext) -> None:
    """Read the secrets again for a run that is carried on.

    Raises:
        InvalidInput: One of them is missing; all of them are named.
    """
    problems = await _read_secrets(ctx)
    if problems:
        raise InvalidInput(
            "The run cannot be carried on without its secrets: they are delivered to the pod, and "
            "hidden in its log. It is as it was.",
            diagnostics=tuple(problems),
        )


def _problem(code: str, summary: str, detail: str, help_text: str) -> Diagnostic:
    return Diagnostic(
        severity=Severity.ERROR, code=code, summary=summary, detail=detail, help=help_text
    )


def _missing_paths(ctx: RunContext) -> list[Diagnostic]:
    return [
        _problem(
            "required-path-missing",
            "Required path missing",
            f"local.required_paths names {path!r}, which is not there below {ctx.project_root}.",
            "Create it, or take it out of local.required_paths.",
        )
        for path in ctx.plan.required_paths
        if not (ctx.project_root / path).exists()
    ]


async def _read_secrets(ctx: RunContext) -> list[Diagnostic]:
    """Read what this machine knows of the secrets, and return what is wrong with each."""
    problems = []
    for secret in ctx.plan.secrets:
        if secret.runpod is not None:
            continue  # the pod's to tell
        value = await _ask(ctx, secret) if secret.command is not None else _read(ctx, secret)
        if isinstance(value, Diagnostic):
            problems.append(value)
        else:
            ctx.secret_values[secret.name] = value
    return problems


def _webhook(ctx: RunContext) -> Iterator[Diagnostic]:
    notify = ctx.plan.notify
    if notify is None or not has_webhook(notify):
        return
    try:
        read_address(notify, ctx.project_root, ctx.environ, allowed=ctx.allowed)
    except WebhookFailed as error:
        yield _problem(
            "webhook-missing",
            "Webhook missing",
            f"The webhook of `notify` cannot be told of the end: {error}.",
            "Set it where this command runs, or take notify.webhook out of the job file.",
        )


def _read(ctx: RunContext, secret: PlanSecret) -> bytes | Diagnostic:
    unset = [name for name in secret.env if name not in ctx.environ]
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
        return read_secret(secret, ctx.project_root, ctx.environ, allowed=ctx.allowed)
    except OSError as error:
        where = ctx.project_root / at_home(secret.file or "")
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


async def _ask(ctx: RunContext, secret: PlanSecret) -> bytes | Diagnostic:
    """Run the command of a secret; what it prints is hidden from then on."""
    command = secret.command or ""
    if ctx.commands is None:
        return _problem(
            "command-not-allowed",
            "Command not allowed",
            f"Secret {secret.name!r} is what a command on this machine prints, and nobody allowed "
            f"it to run: {command}",
            "Read it. If it is what you want, say --allow-commands.",
        )
    try:
        value = await ctx.commands.printed(command, ctx.project_root, ctx.environ)
    except (LocalCommandFailed, OSError) as error:
        return _problem(
            "secret-command-failed",
            "Secret missing",
            f"The command of secret {secret.name!r} gave none: {error}.",
            f"Try it in {ctx.project_root}:\n  {command}",
        )
    ctx.masker.add(value.decode("utf-8", "surrogateescape"))
    return value

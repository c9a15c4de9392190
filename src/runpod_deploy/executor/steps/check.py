"""check: everything that can fail for free fails here, before anything is paid for."""

from runpod_deploy.errors import Diagnostic, InvalidInput, Severity
from runpod_deploy.executor.affordable import check_funds
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.secret_values import read_secret


async def do(ctx: RunContext) -> None:
    """Hold local paths against the plan, read the secrets, and look at the account's money.

    Raises:
        AccountError: The account cannot pay for an hour.
        InvalidInput: A required path or a secret is missing; all of them are named.
    """
    problems = [*_missing_paths(ctx), *_read_secrets(ctx)]
    if problems:
        raise InvalidInput("The run cannot start.", diagnostics=tuple(problems))
    await check_funds(ctx)


def read_secrets(ctx: RunContext) -> None:
    """Read the secrets again for a run that is carried on.

    Raises:
        InvalidInput: One of them is missing; all of them are named.
    """
    problems = _read_secrets(ctx)
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


def _read_secrets(ctx: RunContext) -> list[Diagnostic]:
    problems = []
    for secret in ctx.plan.secrets:
        unset = [name for name in secret.env if name not in ctx.environ]
        if secret.file is None and unset:
            problems.append(
                _problem(
                    "secret-missing",
                    "Secret missing",
                    f"Secret {secret.name!r} needs the environment variable{'s' * (len(unset) > 1)} "
                    f"{', '.join(unset)}, which this command was not given.",
                    f"export {unset[0]}=…",
                )
            )
            continue
        try:
            value = read_secret(secret, ctx.project_root, ctx.environ)
        except OSError as error:
            problems.append(
                _problem(
                    "secret-missing",
                    "Secret missing",
                    f"Secret {secret.name!r} is to come from the file {secret.file!r}: {error}",
                    "Create the file where this command runs; it is never part of the plan.",
                )
            )
            continue
        ctx.secret_values[secret.name] = value
    return problems

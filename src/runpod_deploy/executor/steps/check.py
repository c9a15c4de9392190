"""check: everything that can fail for free fails here, before anything is paid for."""

from collections.abc import Mapping

from runpod_deploy.errors import InvalidInput
from runpod_deploy.executor.affordable import check_funds
from runpod_deploy.executor.beforehand import Here, as_error, look, secrets_of
from runpod_deploy.executor.context import RunContext


async def do(ctx: RunContext) -> None:
    """Hold local paths against the plan, read the secrets, and look at the account's money.

    Raises:
        AccountError: The account cannot pay for an hour.
        InvalidInput: A required path or a secret is missing; all of them are named.
    """
    found = await look(ctx.plan, _here(ctx))
    _keep(ctx, found.values)
    if found.problems:
        raise as_error("The run cannot start", found.problems)
    await check_funds(ctx)


async def read_secrets(ctx: RunContext) -> None:
    """Read the secrets again for a run that is carried on.

    Raises:
        InvalidInput: One of them is missing; all of them are named.
    """
    found = await secrets_of(ctx.plan, _here(ctx))
    _keep(ctx, found.values)
    if found.problems:
        raise InvalidInput(
            "The run cannot be carried on without its secrets: they are delivered to the pod, and "
            "hidden in its log. It is as it was.",
            diagnostics=found.problems,
        )


def _here(ctx: RunContext) -> Here:
    return Here(
        project_root=ctx.project_root,
        environ=ctx.environ,
        allowed=ctx.allowed,
        commands=ctx.commands,
    )


def _keep(ctx: RunContext, values: Mapping[str, bytes]) -> None:
    ctx.secret_values.update(values)
    for secret in ctx.plan.secrets:
        if secret.command is not None and secret.name in values:
            # What a command prints is known only now; it is hidden from here on.
            ctx.masker.add(values[secret.name].decode("utf-8", "surrogateescape"))

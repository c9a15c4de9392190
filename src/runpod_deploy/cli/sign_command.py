"""`plan sign`: put one's name under a saved plan."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from runpod_deploy.cli.amounts import count
from runpod_deploy.cli.arguments import Quiet, Verbose
from runpod_deploy.cli.terminal import open_terminal
from runpod_deploy.errors import InvalidInput

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_NEVER = "never"
_LONGEST_DAYS = 3660


def sign_command(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.json", help="A saved plan, or sweep.")],
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            metavar="FILE|agent",
            help="A private SSH key, the public half of one that the SSH agent holds, or its only one.",
            show_default=False,
        ),
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="7d|12h|never", help="How long the approval holds.")
    ] = "7d",
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Approve a saved plan with an SSH key: `apply --require-signature` asks for it."""
    from runpod_deploy.cli.planning import load_plan_or_sweep  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.compiler.approval import (  # noqa: PLC0415 - likewise
        NAMESPACE,
        approval_of,
        statement,
    )
    from runpod_deploy.compiler.sweepfile import SweepFile  # noqa: PLC0415 - likewise
    from runpod_deploy.facts.approvals import approval_file, signature_file  # noqa: PLC0415
    from runpod_deploy.facts.signing_key import find_key, signature_over  # noqa: PLC0415
    from runpod_deploy.facts.sshsig import armoured, fingerprint  # noqa: PLC0415
    from runpod_deploy.record.atomic import write_atomic  # noqa: PLC0415

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    until = expiry(expires, time.time())
    try:
        plan_file = load_plan_or_sweep(plan)
    except OSError as error:
        raise InvalidInput(f"{plan} cannot be read: {error.strerror}") from error
    signer = find_key(key, terminal.environ, asks=terminal.asks, plan=str(plan))
    message = statement(approval_of(plan_file, until))
    if signer.notice:
        terminal.say(signer.notice)
    signature = signature_over(message, NAMESPACE, signer)
    file = approval_file(plan, signature.public_key)
    try:
        # The statement first: one without a signature counts for nothing.
        write_atomic(file, message)
        write_atomic(signature_file(file), armoured(signature).encode())
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror}") from error
    plans = plan_file.shards if isinstance(plan_file, SweepFile) else (plan_file,)
    job = plans[0].plan.job
    sweep = f", a sweep of {count(len(plans), 'run')}" if plan_file is not plans[0] else ""
    terminal.say(
        f"Approved {plan_file.plan_hash}\n"
        f"  job      {job.name}, {job.file}{sweep}\n"
        f"  by       {fingerprint(signature.public_key)}, {signer.label}\n"
        f"  until    {until or 'there is a new plan'}"
    )
    terminal.print(str(file))


def expiry(text: str, now: float) -> str | None:
    """Return when an approval expires, UTC as in its statement; None for `never`.

    Raises:
        InvalidInput: `text` is neither a span of time nor `never`.
    """
    if text == _NEVER:
        return None
    amount, unit = text[:-1], _UNITS.get(text[-1:])
    if unit is None or not (amount.isascii() and amount.isdecimal()) or len(amount) > 6:
        raise InvalidInput(
            f"--expires {text!r} is no span of time",
            help="Write a number and m, h, d or w, such as 12h or 7d; or never.",
        )
    span = timedelta(**{unit: int(amount)})
    if not timedelta() < span <= timedelta(days=_LONGEST_DAYS):
        raise InvalidInput(f"--expires {text}: an approval holds for up to {_LONGEST_DAYS} days")
    return (datetime.fromtimestamp(now, UTC) + span).strftime("%Y-%m-%dT%H:%M:%SZ")

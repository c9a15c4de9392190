"""What is demanded of a plan before it is applied: approvals, and a policy."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.errors import InvalidInput

if TYPE_CHECKING:
    from runpod_deploy.cli.planning import Planned, PlannedSweep
    from runpod_deploy.facts.approvals import SeenApproval

P = TypeVar("P", "Planned", "PlannedSweep")

_APPROVED = frozenset(("payload", "image", "price"))
"""What `--allow` would let differ in earnest; all else is carried out as it was planned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Demands:
    """The flags.

    Attributes:
        signatures: How many different keys must have approved a saved plan.
        signers: The `allowed_signers` file.
    """

    signatures: int | None = None
    signers: Path | None = None


def met(demands: Demands, path: Path, planned: P, terminal: Terminal) -> P:
    """Return a plan or a sweep with who approved it.

    Args:
        path: The saved file; approvals lie beside it.

    Raises:
        PlanRefused: A demand is not met.
        InvalidInput: The flags do not go together, or a file cannot be used.
    """
    if demands.signatures is None:
        if demands.signers is not None:
            raise InvalidInput(
                "--allowed-signers alone demands nothing",
                help="Say how many must have signed, as --require-signature 1.",
            )
        return planned
    good = _approved(demands.signatures, demands.signers, path, planned, terminal)
    return replace(planned, approvals=good)


def _approved(
    needed: int,
    signers: Path | None,
    path: Path,
    planned: "Planned | PlannedSweep",
    terminal: Terminal,
) -> "tuple[SeenApproval, ...]":
    from runpod_deploy.cli.planning import Planned  # noqa: PLC0415 - loaded already
    from runpod_deploy.facts import approvals  # noqa: PLC0415 - few ask for it
    from runpod_deploy.facts.allowed_signers import read_allowed_signers  # noqa: PLC0415 - likewise

    if needed < 1:
        raise InvalidInput(f"--require-signature {needed}: at least 1")
    if signers is None:
        raise InvalidInput(
            "--require-signature needs --allowed-signers FILE: whose signatures count?",
            help="Its lines are as in ssh-keygen(1):\n"
            '  ann@example.org namespaces="runpod-deploy" ssh-ed25519 AAAA…',
        )
    if not planned.saved:
        raise InvalidInput(
            "--require-signature goes with a saved plan; what is compiled now, nobody has approved",
            help="runpod-deploy plan JOB.yaml -o plan.json",
        )
    allow = planned.allow if isinstance(planned, Planned) else frozenset()
    for part in sorted(_APPROVED & allow):
        raise InvalidInput(
            f"--allow {part} does not go with --require-signature: it was approved as it stands in "
            "the plan",
            help="Plan anew and have that plan signed.",
        )
    try:
        allowed = read_allowed_signers(signers.read_bytes(), str(signers))
    except OSError as error:
        raise InvalidInput(f"{signers} cannot be read: {error.strerror}") from error
    terminal.findings(allowed.notes)
    what = planned.plan_file if isinstance(planned, Planned) else planned.sweep_file
    return approvals.require_approvals(path, what, allowed, needed=needed, now=time.time())

"""Plans held against policy files: what is looked up for that, and the refusal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runpod_deploy.cli.printable import line
from runpod_deploy.compiler.market import asks_the_same
from runpod_deploy.compiler.policy.judge import judge
from runpod_deploy.compiler.policy.rule import Judged
from runpod_deploy.compiler.policy.rules import asks_catalog
from runpod_deploy.errors import Diagnostic, InvalidInput, PlanRefused
from runpod_deploy.schema.policy import Policy, load_policy

if TYPE_CHECKING:
    from runpod_deploy.cli.terminal import Terminal
    from runpod_deploy.compiler.observed import ObservedCatalog
    from runpod_deploy.compiler.plan import Plan, PlanFile
    from runpod_deploy.executor.run import Target


def read_policies(paths: Sequence[Path]) -> tuple[Policy, ...]:
    """Return the policies in `paths`.

    Raises:
        InvalidInput: One of them cannot be read or says what cannot be; holds every diagnostic.
    """
    read: list[Policy] = []
    found: list[Diagnostic] = []
    for path in paths:
        try:
            read.append(load_policy(path))
        except InvalidInput as error:
            found.extend(error.diagnostics)
    if found:
        raise InvalidInput("a policy file is wrong", diagnostics=tuple(found))
    return tuple(read)


def broken_rules(
    policies: Sequence[Policy], plan_files: Sequence[PlanFile], job: str
) -> tuple[Diagnostic, ...]:
    """Return a diagnostic for each rule that a plan breaks, by what was seen when it was made.

    Args:
        plan_files: That of a job, or those of all runs of a sweep; what several break is told once.
    """
    caps = _caps(plan_files)
    found: dict[Diagnostic, None] = {}
    for one in plan_files:
        judged = Judged(plan=one.plan, catalog=one.observed.catalog, caps_usd=caps)
        found.update(dict.fromkeys(judge(policies, judged, job)))
    return tuple(found)


def _caps(plan_files: Sequence[PlanFile]) -> float:
    return sum(one.plan.budget.cost_cap_usd for one in plan_files)


def refusal(found: Sequence[Diagnostic], so: str = "") -> PlanRefused:
    """Return the error of a plan whose broken rules have been told; `so` ends the sentence."""
    count = "a rule" if len(found) == 1 else f"{len(found)} rules"
    return PlanRefused(f"the plan breaks {count} of the policy{so}")


def hold(
    policies: Sequence[Policy],
    plan_files: Sequence[PlanFile],
    path: Path,
    target: Target | None,
    terminal: Terminal,
) -> Target | None:
    """Refuse plans that are to be applied when one breaks a rule, by prices of now.

    Args:
        plan_files: That of a job, or those of all runs of a sweep.
        target: The cloud it is for; None for an emulator that need not run yet.

    Returns:
        The cloud; the emulator's once it had to be asked.

    Raises:
        PlanRefused: It breaks a rule; each was told.
        CloudError: The cloud could not be asked.
        AccountError: It refused the key.
    """
    found, target = _judged(policies, plan_files, path, target, terminal)
    if found:
        terminal.findings(found)
        raise refusal(found, ", and nothing was done")
    return target


def hold_again(
    policies: Sequence[Policy],
    plan_files: Sequence[PlanFile],
    folder: Path,
    target: Target,
    terminal: Terminal,
    *,
    ended_by: str,
) -> None:
    """Refuse to carry on what was begun when a plan breaks a rule, by prices of now.

    A refusal ends nothing: what is rented is looked after by its lease, as before.

    Args:
        plan_files: That of a run, or those of the runs of a sweep that are not over.
        folder: That of the run or the sweep.
        ended_by: What `cancel` knows a run of it by.

    Raises:
        PlanRefused, CloudError, AccountError: As `hold`.
    """
    found, _ = _judged(policies, plan_files, folder, target, terminal)
    if found:
        terminal.findings(found)
        error = refusal(found, ", and was not carried on: all is as it was")
        error.help = f"To end it:\n  runpod-deploy cancel {line(ended_by)}"
        raise error


def _judged(
    policies: Sequence[Policy],
    plan_files: Sequence[PlanFile],
    path: Path,
    target: Target | None,
    terminal: Terminal,
) -> tuple[tuple[Diagnostic, ...], Target | None]:
    found: dict[Diagnostic, None] = {}
    caps = _caps(plan_files)
    seen: list[tuple[Plan, ObservedCatalog | None]] = []
    for plan in (one.plan for one in plan_files):
        # Runs of a sweep that ask for the same are looked up once.
        known = next((catalog for other, catalog in seen if asks_the_same(other, plan)), None)
        if known is None and any(asks_catalog(policy.rules, plan) for policy in policies):
            from runpod_deploy.cli.market import Market  # noqa: PLC0415 - only to ask
            from runpod_deploy.cli.target import emulator_target  # noqa: PLC0415 - likewise

            target = target or emulator_target(terminal.environ)
            known = Market(target=target, environ=terminal.environ, refresh=True).see(plan)
            seen.append((plan, known))
        judged = Judged(plan=plan, catalog=known, caps_usd=caps)
        found.update(dict.fromkeys(judge(policies, judged, str(path))))
    return tuple(found), target

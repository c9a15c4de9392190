"""The judgement: each rule that a plan breaks as a diagnostic at the rule's place."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from runpod_deploy.compiler.policy.rule import Breach, Judged
from runpod_deploy.compiler.policy.rules import RULES
from runpod_deploy.errors import Diagnostic, Severity
from runpod_deploy.schema.policy import Policy

_SHOWN = 5
_LONGEST = 200


def judge(policies: Iterable[Policy], judged: Judged, job: str) -> tuple[Diagnostic, ...]:
    """Return one error for each rule that the plan breaks; none: the policies allow it.

    Args:
        policies: All of them must be kept.
        job: What messages call the plan.
    """
    return tuple(
        _diagnostic(policy, name, breaches, job)
        for policy in policies
        for name, breaches in _broken(policy, judged)
    )


def _broken(policy: Policy, judged: Judged) -> Iterator[tuple[str, Sequence[Breach]]]:
    for name, limit in policy.rules.items():
        breaches = tuple(RULES[name].breaches(judged, limit))
        if breaches:
            yield name, breaches


def _diagnostic(policy: Policy, name: str, breaches: Sequence[Breach], job: str) -> Diagnostic:
    rule = RULES[name]
    said = [f"`{one.field}` {one.says}" for one in breaches[:_SHOWN]]
    if len(breaches) > _SHOWN:
        said.append(f"and {len(breaches) - _SHOWN} more")
    return Diagnostic(
        severity=Severity.ERROR,
        code=f"policy-{name.replace('_', '-')}",
        summary=rule.summary,
        detail=f"In the plan of {job}, {'; '.join(said)}. The policy says {_limit(name, policy)}.",
        where=policy.place(name),
        source_line=policy.line(name),
        help=rule.cure if policy.help is None else f"{rule.cure}\n{policy.help}",
    )


def _limit(name: str, policy: Policy) -> str:
    text = f"{name}: {_written(policy.rules[name])}"
    return f"`{text if len(text) <= _LONGEST else text[:_LONGEST] + '…'}`"


def _written(limit: Any) -> str:
    if isinstance(limit, list):
        return f"[{', '.join(map(str, limit))}]"
    return str(limit).lower() if isinstance(limit, bool) else f"{limit:g}"

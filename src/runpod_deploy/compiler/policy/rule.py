"""What a rule of a policy is: a check of one plan, which tells where the plan breaks it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from runpod_deploy.compiler.observed import ObservedCatalog
from runpod_deploy.compiler.plan import Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What a policy looks at.

    Attributes:
        catalog: Price and stock of the candidates; None when nobody was asked.
        caps_usd: The caps of all runs of its sweep that are judged, together; None: it alone.
    """

    plan: Plan
    catalog: ObservedCatalog | None
    caps_usd: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Breach:
    """One place where a plan breaks a rule.

    Attributes:
        field: The field of the plan file, dotted.
        says: What is wrong with it, to follow the field's name.
    """

    field: str
    says: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One rule that a policy may write.

    Attributes:
        summary: What a finding is called.
        breaches: Yields where a plan breaks the rule with this limit.
        cure: What to do, in sentences.
    """

    summary: str
    breaches: Callable[[Judged, Any], Iterator[Breach]]
    cure: str

"""The candidate ring: which place is tried next, and why each earlier one was refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from runpod_deploy.compiler.plan import Candidate


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a candidate could not be had."""

    candidate: Candidate
    reason: str
    status: int = 0


@dataclass(slots=True)
class Ring:
    """Walks the candidates in order, round after round.

    Attributes:
        attempts: Rounds at most; None: as often as fits before `until`.
        until: Monotonic time after which no further round begins; None: `attempts` alone decides,
            and without those one round is all.
    """

    candidates: Sequence[Candidate]
    attempts: int | None
    until: float | None
    refusals: list[Refusal] = field(default_factory=list)
    round: int = 0
    _next: int = 0

    def take(self) -> Candidate | None:
        """Return the next candidate of this round, None at its end."""
        if self._next >= len(self.candidates):
            return None
        candidate = self.candidates[self._next]
        self._next += 1
        return candidate

    def next_round(self, now: float) -> bool:
        """Begin another round if attempts and time allow."""
        self.round += 1
        if self.attempts is not None and self.round >= self.attempts:
            return False
        if self.until is None and self.attempts is None:
            return False
        if self.until is not None and now >= self.until:
            return False
        self._next = 0
        return True

    def refuse(self, candidate: Candidate, reason: str, status: int = 0) -> Refusal:
        """Note that `candidate` cannot be had."""
        refusal = Refusal(candidate, reason, status)
        self.refusals.append(refusal)
        return refusal

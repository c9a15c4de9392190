"""The candidate ring: which place is tried next, and why each earlier one was refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from runpod_deploy.compiler.plan import Candidate


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a candidate could not be had.

    Attributes:
        api_failed: The API could not answer, which says nothing about the candidate.
    """

    candidate: Candidate
    reason: str
    status: int = 0
    api_failed: bool = False


@dataclass(slots=True)
class Ring:
    """Walks the candidates in order, round after round.

    Attributes:
        attempts: Rounds at most; None: as often as fits before `until`.
        until: Monotonic time after which no further round begins; None: `attempts` alone decides,
            and without those one round is all.
        told: What was said once and need not be said again in each round.
        prices: USD per hour of each candidate's whole pod, as far as the catalog says.
        unlisted: GPU types that the catalog does not know.
        avoid: Asked for last in each round: a pod of it was lost.
    """

    candidates: Sequence[Candidate]
    attempts: int | None
    until: float | None
    refusals: list[Refusal] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    prices: dict[Candidate, float] = field(default_factory=dict)
    unlisted: frozenset[str] = frozenset()
    avoid: Candidate | None = None
    round: int = 0
    _waiting: list[Candidate] = field(init=False)

    def __post_init__(self) -> None:
        self._waiting = list(self.candidates)
        self._avoid()

    @property
    def waiting(self) -> tuple[Candidate, ...]:
        """Those that this round has not come to yet."""
        return tuple(self._waiting)

    def arrange(self, order: Sequence[Candidate]) -> None:
        """Let the rest of this round go in `order`; those that are not in it are left out."""
        self._waiting = [candidate for candidate in order if candidate in self._waiting]
        self._avoid()

    def take(self) -> Candidate | None:
        """Return the next candidate of this round, None at its end."""
        return self._waiting.pop(0) if self._waiting else None

    def next_round(self, now: float) -> bool:
        """Begin another round if attempts and time allow."""
        self.round += 1
        if self.attempts is not None and self.round >= self.attempts:
            return False
        if self.until is None and self.attempts is None:
            return False
        if self.until is not None and now >= self.until:
            return False
        self._waiting = list(self.candidates)
        self._avoid()
        return True

    def _avoid(self) -> None:
        if self.avoid in self._waiting:
            self._waiting.remove(self.avoid)
            self._waiting.append(self.avoid)

    def recall(self, refusal: Refusal) -> None:
        """Note a refusal of an earlier executor, and go on behind it."""
        if not self._waiting:
            self.round += 1
            self._waiting = list(self.candidates)
            self._avoid()
        self.pass_over(refusal.candidate)
        self.refusals.append(refusal)

    def pass_over(self, candidate: Candidate) -> None:
        """Let this round not come to `candidate` any more."""
        self._waiting = [one for one in self._waiting if one != candidate]

    def refuse(
        self, candidate: Candidate, reason: str, status: int = 0, *, api_failed: bool = False
    ) -> Refusal:
        """Note that `candidate` cannot be had."""
        refusal = Refusal(candidate, reason, status, api_failed)
        self.refusals.append(refusal)
        return refusal

    def last_refusals(self) -> list[Refusal]:
        """Return the latest refusal of each candidate, in the order of the candidates."""
        latest = {refusal.candidate: refusal for refusal in self.refusals}
        return [latest[candidate] for candidate in self.candidates if candidate in latest]

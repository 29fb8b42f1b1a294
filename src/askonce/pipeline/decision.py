"""What the semantic tier decided: what serving rests on, and what an audit makes a label of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from askonce.ports import MATCH

if TYPE_CHECKING:
    from askonce.matching.calibration import Evidence
    from askonce.model import Question

__all__ = ["Decision", "Finding"]


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What was decided about a candidate.

    Attributes:
        question: Exact key of the asked question.
        key: Exact key of the candidate: its answer is stored, or under way, under it.
        answer: The class of the candidate's answer.
        probability: That this answer is right, calibrated.
        threshold: What the probability had to reach.
        reason: `match`, or the reason code of what spoke against it.
        vetoed: Whether a guard, or an earlier verdict, forbids this match at any probability.
        evidence: What the probability was made of, (n,).
    """

    question: bytes
    key: bytes
    answer: bytes
    probability: float
    threshold: float
    reason: str
    vetoed: bool
    evidence: Evidence

    @property
    def accepted(self) -> bool:
        """Whether the candidate's answer may be served."""
        return self.reason == MATCH


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look-up brought.

    Attributes:
        decisions: One for each candidate near enough, the likeliest that nothing forbids first.
        reason: Stable reason code: `match`, or why there is none.
        question: What to add under the asked key, should its answer be kept; None where the tier doesn't apply.
    """

    decisions: tuple[Decision, ...]
    reason: str
    question: Question | None

    @property
    def matches(self) -> list[Decision]:
        """Approved candidates, likeliest first."""
        return [decision for decision in self.decisions if decision.accepted]

    @property
    def candidates(self) -> tuple[Decision, ...]:
        """Those that nothing forbids, served or not: the likeliest of each answer's class."""
        by_class: dict[bytes, Decision] = {}
        for decision in self.decisions:
            if not decision.vetoed:
                by_class.setdefault(decision.answer, decision)
        return tuple(by_class.values())

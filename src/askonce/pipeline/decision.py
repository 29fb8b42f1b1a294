"""What the semantic tier decided about one candidate: what serving rests on, and what an audit makes a label of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from askonce.matching.calibration import Evidence

__all__ = ["MATCH", "Decision"]

MATCH: Final = "match"


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

"""Where the serving threshold is tightened: cases in which a question's words tell less than its label says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.matching.analysis import analyse
from askonce.matching.terms import is_light
from askonce.ports import MATCH

if TYPE_CHECKING:
    from askonce.matching.calibration import Calibration

__all__ = ["Adjustment", "Bar", "adjustments", "clears", "tightened"]

_FEW_TERMS: Final = 2


class Adjustment(NamedTuple):
    """A reason code, and by what factor the accepted risk (1 - threshold) shrinks."""

    reason: str
    factor: float


SHORT: Final = Adjustment("too-short", 0.5)
"""At most one word with subject matter: that one misread is all of the question."""
CONVERSATION: Final = Adjustment("conversation", 0.5)
"""For each earlier turn: the more was said before, the more may be meant that isn't said."""


def adjustments(text: str, turns: int) -> list[Adjustment]:
    """What tightens the threshold for a question that is the `turns`-th of its conversation."""
    terms = sum(not is_light(term) for term in analyse(text).terms)
    return [*([SHORT] if terms < _FEW_TERMS else []), *([CONVERSATION] * (turns - 1))]


def tightened(threshold: float, applied: list[Adjustment]) -> float:
    """The threshold, tightened; never lower than it was."""
    risk = 1.0 - threshold
    for adjustment in applied:
        risk *= adjustment.factor
    return max(threshold, 1.0 - risk)


def clears(probability: float, threshold: float, text: str, turns: int) -> bool:
    """Whether a probability reaches the threshold as tightened for a question; its words are read only if they decide."""
    earlier = [CONVERSATION] * (turns - 1)
    most = tightened(threshold, [SHORT, *earlier])
    if tightened(threshold, earlier) <= probability < most:
        return probability >= tightened(threshold, adjustments(text, turns))
    return probability >= most


class Bar(NamedTuple):
    """What a candidate has to clear; `threshold` is `base`, tightened because of `strict` (a reason code)."""

    calibration: Calibration
    base: float
    threshold: float
    strict: str

    def reason(self, probability: float, doubt: str) -> str:
        """`match`, or what it failed on: the bar for all, or the higher one."""
        if probability >= self.threshold:
            return MATCH
        return doubt or "low-confidence" if probability < self.base else self.strict

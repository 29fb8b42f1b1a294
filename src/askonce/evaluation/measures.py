"""What scores and labels say of a system: ranking, errors at equal recall, errors within a budget, calibration.

A system gives each pair or request a score and accepts those at or above a threshold. Pairs of equal score can't be told
apart: a threshold between them would accept a random part of them, so curves run straight from before to behind a
group of equal scores, which is the expectation over that part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Accepted",
    "Bin",
    "Curve",
    "accepted",
    "calibration_error",
    "curve_of",
    "reliability",
    "within_budget",
]

_HAIR: Final = 1e-9
Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What falling thresholds accept: one place for each different score, the first one accepts nothing.

    Attributes:
        thresholds: Scores from which on pairs are accepted, falling, (m,); the first is infinite.
        right: Pairs accepted whose label is 1, (m,).
        wrong: Pairs accepted whose label is 0, (m,).
    """

    thresholds: Floats
    right: Floats
    wrong: Floats

    @property
    def hit_ratio(self) -> Floats:
        """Accepted pairs among all pairs, (m,)."""
        return np.asarray((self.right + self.wrong) / (self.right[-1] + self.wrong[-1]))

    @property
    def precision(self) -> Floats:
        """Right ones among the accepted pairs, (m,); 1 where none is accepted."""
        accepted = self.right + self.wrong
        return np.divide(self.right, accepted, out=np.ones_like(accepted), where=accepted > 0)

    @property
    def auc(self) -> float | None:
        """Probability that a right pair scores above a wrong one, a tie counting half; None if a kind is missing."""
        pairs = self.right[-1] * self.wrong[-1]
        if not pairs:
            return None
        return float(np.trapezoid(self.right, self.wrong) / pairs)

    def threshold(self, recall: float) -> float:
        """The highest threshold that accepts at least this share of the right pairs; infinite for none."""
        wanted = recall * self.right[-1] * (1 - _HAIR)
        return float(self.thresholds[np.searchsorted(self.right, wanted, side="left")])

    def precision_at(self, hit_ratio: float) -> float:
        """Share of right ones among the best-scored `hit_ratio`, in (0, 1], of all pairs.

        Within a group of equal scores interpolated linearly.
        """
        accepted = self.right + self.wrong
        wanted = hit_ratio * accepted[-1]
        return float(np.interp(wanted, accepted, self.right) / wanted)

    def false_hit_rate(self, recall: float) -> float | None:
        """Share of the wrong pairs accepted at the highest threshold that accepts a share `recall` of the right ones.

        Within a group of equal scores interpolated linearly. None if either kind is missing.
        """
        if not self.right[-1] or not self.wrong[-1]:
            return None
        # Three tenths of ten pairs are three pairs, not the hair more that floats make of it.
        wanted = recall * self.right[-1] * (1 - _HAIR)
        place = int(np.searchsorted(self.right, wanted, side="left"))
        if place == 0:
            return 0.0
        before, after = self.right[place - 1], self.right[place]
        share = (wanted - before) / (after - before)
        wrong = self.wrong[place - 1] + share * (self.wrong[place] - self.wrong[place - 1])
        return float(wrong / self.wrong[-1])


class Accepted(NamedTuple):
    """What one threshold accepts.

    Attributes:
        threshold: Pairs at or above it are accepted; None where nothing is.
        hit_ratio: Accepted ones among all.
        recall: Accepted ones among the right ones; None where there are none.
        wrong_among_hits: Wrong ones among the accepted; None where nothing is accepted.
        false_hit_rate: Accepted ones among the wrong ones; None where there are none.
    """

    threshold: float | None
    hit_ratio: float
    recall: float | None
    wrong_among_hits: float | None
    false_hit_rate: float | None


class Bin(NamedTuple):
    """Pairs whose probability lies in [low, high): how many, their mean probability, and the share that is right."""

    low: float
    high: float
    size: int
    probability: float
    right: float


def curve_of(scores: Floats, right: Flags) -> Curve:
    """The curve of a system: `scores` and labels, (n,) each, n > 0; scores are finite."""
    levels, places = np.unique(-scores, return_inverse=True)
    hits = np.bincount(places, weights=right, minlength=len(levels)).cumsum()
    misses = np.bincount(places, weights=~right, minlength=len(levels)).cumsum()
    start = np.zeros(1)
    return Curve(
        np.concatenate((np.full(1, np.inf), -levels)),
        np.concatenate((start, hits)),
        np.concatenate((start, misses)),
    )


def accepted(curve: Curve, threshold: float) -> Accepted:
    """What a threshold accepts."""
    place = int(np.searchsorted(-curve.thresholds, -threshold, side="right")) - 1
    return _at(curve, place, threshold)


def within_budget(curve: Curve, budget: float) -> Accepted:
    """The threshold with the most hits whose share of wrong hits is at most `budget`: known in hindsight only."""
    allowed = np.flatnonzero(curve.wrong <= budget * (curve.right + curve.wrong))
    place = int(allowed[-1])
    return _at(curve, place, float(curve.thresholds[place]) if place else None)


def reliability(probabilities: Floats, right: Flags, bins: int = 10) -> list[Bin]:
    """Pairs by probability, in bins of equal width; empty bins are left out."""
    places = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    return [
        Bin(
            place / bins,
            (place + 1) / bins,
            int((places == place).sum()),
            float(probabilities[places == place].mean()),
            float(right[places == place].mean()),
        )
        for place in np.unique(places).tolist()
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: the bins' gaps between probability and share of right pairs, weighted by count."""
    return sum(each.size * abs(each.probability - each.right) for each in bins) / sum(
        each.size for each in bins
    )


def _at(curve: Curve, place: int, threshold: float | None) -> Accepted:
    right, wrong = float(curve.right[place]), float(curve.wrong[place])
    all_right, all_wrong = float(curve.right[-1]), float(curve.wrong[-1])
    return Accepted(
        threshold,
        (right + wrong) / (all_right + all_wrong),
        right / all_right if all_right else None,
        wrong / (right + wrong) if right + wrong else None,
        wrong / all_wrong if all_wrong else None,
    )

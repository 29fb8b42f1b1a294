"""Bounds on a rate from weighted labels, valid at every sample size and at every moment one looks.

A bettor starts with 1 and stakes part of the wealth on each label against the claim "the rate is m". If the claim
is true, the wealth is a nonnegative supermartingale, so that it ever reaches 1/d with probability d at most (Ville's
inequality). The rates at which nobody has got that rich are the interval. Method: Waudby-Smith and Ramdas, "Estimating
means of bounded random variables by betting", arXiv 2010.09686; the stakes here are a fixed mixture over a grid,
which needs no tuning and keeps validity. Labels drawn with known propensities enter as the ratio's estimating
equation, weight * (wrong - m), whose mean is zero at the true rate among all from which they were drawn.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "interval"]

_Floats = NDArray[np.float64]
_STAKES: Final = np.array([0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95])
"""Shares of the largest stake that can't lose everything."""
_SURE: Final = 1e6
"""Against the claim "all are wrong" one right label suffices."""
_HALVINGS: Final = 30


class Interval(NamedTuple):
    """A rate: its estimate and the bounds, each of which holds with the asked confidence; 0 <= low <= high <= 1."""

    estimate: float
    low: float
    high: float


def interval(wrong: _Floats, weights: _Floats, recency: _Floats, confidence: float) -> Interval:
    """Bounds on the rate of `wrong` among all from which the labels were drawn.

    Args:
        wrong: 1 for wrong, 0 for right, (m,), oldest first.
        weights: Inverse propensities, (m,), at least 1.
        recency: How much each label still counts, (m,), in (0, 1]. The bounds are then on the recency-weighted
            rate, and hold at any fixed moment rather than at all moments at once.
        confidence: Of each bound, in (0, 1).
    """
    total = float((weights * recency).sum())
    if total == 0:
        return Interval(0.0, 0.0, 1.0)
    estimate = float((weights * recency) @ wrong / total)
    # The ratio is the same when all weights are scaled: relative weights lie in (0, 1].
    relative = weights * recency / float((weights * recency).max())
    limit = float(np.log(1.0 / (1.0 - confidence)))
    high = _first_refuted(wrong, relative, estimate, limit)
    low = 1.0 - _first_refuted(1.0 - wrong, relative, 1.0 - estimate, limit)
    return Interval(estimate, min(low, estimate), high)


def _first_refuted(wrong: _Floats, weights: _Floats, estimate: float, limit: float) -> float:
    """The smallest rate, at least the estimate, that a bettor against it got rich on; 1 where there is none."""
    low, high = estimate, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _log_wealth(wrong, weights, middle) >= limit else (middle, high)
    return high


def _log_wealth(wrong: _Floats, weights: _Floats, rate: float) -> float:
    """Log of the wealth from betting that the true rate is below `rate`, the mean over the stakes.

    A fixed mixture of bettors needs no maximum over time: each one's wealth depends on the counts alone.
    """
    stakes = _STAKES / (1.0 - rate) if rate < 1.0 else _STAKES * _SURE
    gains = np.log1p(-np.outer(stakes, weights * (wrong - rate))).sum(axis=1)
    top = gains.max()
    return float(top + np.log(np.exp(gains - top).mean()))

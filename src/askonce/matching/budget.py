"""An error budget kept: which calibration and which threshold serve at most a given share of wrong hits.

Two methods, for two questions.

*From where on to serve* is decided before labels are plenty, most of them just below the threshold, where misses give
them for free. So the threshold rests on a model (`matching.reliability`): how the calibrated probability relates to the
truth, with a prior around "as shipped", and on its whole posterior rather than its best guess.

*Whether the promise was kept* rests on no model at all: audits of served hits, drawn with known propensities, and
bounds by betting (`matching.bounds`) that hold no matter how often one looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.matching.bounds import Interval, interval
from askonce.matching.calibration import Calibration, Label, refit, sigmoid
from askonce.matching.reliability import Outcomes, safe_logit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["NEVER", "Budget", "Setting", "Traffic", "audit_share", "settle"]

NEVER: Final = 2.0
"""A threshold that no probability reaches."""
_ALARM: Final = 0.1
"""False alarms are this much rarer than bounds that fail."""
_OLDEST_HALF_LIVES: Final = 50.0
"""What would count less than a quadrillionth is left out, lest nothing be left to divide by."""
_WARM_UP: Final = 50
"""Hits that are all audited at first."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What an operator promises.

    Attributes:
        error_rate: Largest share of wrong answers among semantic hits, in (0, 1).
        confidence: With which the promise is to hold, and each reported bound does, in (0, 1).
        half_life_s: Age at which a label counts half.
    """

    error_rate: float
    confidence: float = 0.95
    half_life_s: float = 3 * 86_400.0


class Traffic(NamedTuple):
    """What a feature has answered so far: all requests that the tier was asked about, and the semantic hits."""

    requests: int
    hits: int


class Setting(NamedTuple):
    """How to serve from now on, and why.

    Attributes:
        calibration: The last layer to use.
        threshold: Serve where the probability is at least this; above 1: serve nothing.
        among_hits: Share of wrong answers among the served hits, with its interval.
        among_all: The same among all requests.
        breached: The hits' share of wrong answers is above the budget, with confidence; serve nothing until
            recovery.
        labels: Number of labels that this rests on.
        refitted: Whether `calibration` is fitted to the labels rather than the shipped one.
    """

    calibration: Calibration
    threshold: float
    among_hits: Interval
    among_all: Interval
    breached: bool
    labels: int
    refitted: bool


def settle(
    shipped: Calibration,
    labels: Sequence[Label],
    budget: Budget,
    *,
    traffic: Traffic,
    now: float,
    breached_at: float | None = None,
) -> Setting:
    """Decides how to serve, from all that is known. Pure; tens to hundreds of milliseconds: call it off the loop.

    Args:
        shipped: The verifier's own last layer.
        labels: The feature's labels, in any order; the caller bounds their number (20,000 are fine).
        budget: What was promised.
        traffic: What was answered so far, to relate wrong hits to all requests.
        now: Seconds, on the clock of the labels.
        breached_at: When the feature's budget was found breached, if it was and nobody has lifted it. `breached`
            then says whether the breach stands: it ends when labels made since show, at the new threshold and
            without any model, a share of wrong answers within the budget.
    """
    oldest = now - _OLDEST_HALF_LIVES * budget.half_life_s
    drawn = sorted((label for label in labels if label.at >= oldest), key=lambda label: label.at)
    ages = np.array([max(0.0, now - label.at) for label in drawn])
    recency = 0.5 ** (ages / budget.half_life_s)
    fitted = refit(shipped, drawn, recency)
    right = np.array([label.right for label in drawn], np.float64)
    weights = np.array([1.0 / label.propensity for label in drawn])
    outcomes = Outcomes(fitted.held_back, right, weights, recency)
    threshold = _probability(safe_logit(outcomes, budget.error_rate, budget.confidence))
    served = np.array([label.served for label in drawn], bool)
    rates = _rate(outcomes, served, budget.confidence)
    if breached_at is None:
        breached = _rate(outcomes, served, _alarm(budget)).low > budget.error_rate
    else:
        since = np.array([label.at > breached_at for label in drawn], bool)
        certain = fitted.calibration.logits(_stacked(drawn, shipped)) >= _logit(threshold)
        breached = _rate(outcomes, since & certain, budget.confidence).high > budget.error_rate
    share = traffic.hits / max(1, traffic.requests)
    among_all = Interval(*(bound * share for bound in rates))
    return Setting(
        fitted.calibration,
        NEVER if breached else threshold,
        rates,
        among_all,
        breached,
        len(drawn),
        fitted.used,
    )


def audit_share(steady: float, hits: int) -> float:
    """The share of served hits to audit next: all of them at first, falling to the steady share.

    A label's propensity is the share that applied when its hit was served. The number of audits grows with the
    logarithm of the hits until the steady share is reached: 50 of the first 50, 230 of the first 2,000.

    Args:
        steady: The share to end at, in [0, 1]; 0 audits nothing.
        hits: Hits served so far.
    """
    return max(steady, min(1.0, _WARM_UP / max(1, hits))) if steady > 0 else 0.0


def _rate(outcomes: Outcomes, use: NDArray[np.bool_], confidence: float) -> Interval:
    """The share of wrong answers among all from which the chosen labels were drawn."""
    return interval(1.0 - outcomes.right[use], outcomes.weights[use], outcomes.recency[use], confidence)


def _alarm(budget: Budget) -> float:
    """Confidence that it takes to stop serving: higher than for a report, since one bad first hit proves little."""
    return 1.0 - _ALARM * (1.0 - budget.confidence)


def _stacked(labels: Sequence[Label], shipped: Calibration) -> NDArray[np.float32]:
    if not labels:
        return np.empty((0, len(shipped.weights)), np.float32)
    return np.stack([label.evidence for label in labels])


def _probability(logit: float) -> float:
    return NEVER if logit == np.inf else float(sigmoid(np.array(logit)))


def _logit(probability: float) -> float:
    return np.inf if probability >= 1.0 else float(np.log(probability / (1.0 - probability)))

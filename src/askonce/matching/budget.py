"""An error budget kept: which calibration and which threshold serve at most a given share of wrong hits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.matching.bounds import Interval, interval
from askonce.matching.calibration import Calibration, Label, Source, refit

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Budget", "Setting", "Traffic", "audit_share", "settle"]

NEVER: Final = 2.0
"""A threshold that no probability reaches."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What an operator promises.

    Attributes:
        error_rate: Largest share of wrong answers among semantic hits, in (0, 1).
        confidence: Of each bound, in (0, 1).
        half_life_s: Age at which a label counts half.
    """

    error_rate: float
    confidence: float = 0.95
    half_life_s: float = 30 * 86_400.0


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
        breached_at: When the feature's budget was found breached, if it was and nobody has lifted it. Then only
            labels made since count towards recovery, and `Setting.breached` says whether the breach stands.
    """
    fitted = refit(shipped, [label for label in labels if label.propensity > 0])
    rates = _served_rates(labels, budget, now)
    share = traffic.hits / max(1, traffic.requests)
    breached = rates.low > budget.error_rate if breached_at is None else True
    threshold = NEVER if breached else 1.0 - budget.error_rate
    return Setting(
        fitted.calibration,
        threshold,
        rates,
        Interval(rates.estimate * share, rates.low * share, rates.high * share),
        breached,
        len(labels),
        fitted.used,
    )


def audit_share(steady: float, audited: int) -> float:
    """The share of served hits to audit next: all of them at first, falling to the steady share.

    A label's propensity is the share that applied when its hit was served. The number of audits grows with the
    logarithm of the hits until the steady share is reached.

    Args:
        steady: The share to end at, in [0, 1].
        audited: Hits served so far.
    """
    return max(steady, min(1.0, _WARM_UP / max(1, audited)))


_WARM_UP: Final = 50


def _served_rates(labels: Sequence[Label], budget: Budget, now: float) -> Interval:
    """The served hits' share of wrong answers, from audits."""
    audits = [label for label in labels if label.served and label.source is Source.AUDIT]
    ages = np.array([max(0.0, now - label.at) for label in audits])
    wrong = np.array([not label.right for label in audits], np.float64)
    weights = np.array([1.0 / label.propensity for label in audits])
    return interval(wrong, weights, 0.5 ** (ages / budget.half_life_s), budget.confidence)

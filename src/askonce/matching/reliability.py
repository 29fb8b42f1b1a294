"""How far calibrated log odds can be trusted: a small Bayesian model of their errors, exact on a grid.

The model: an answer of calibrated log odds z is wrong with probability

    floor + (1 - floor) * sigmoid(-(slope * z + shift))

Shift and slope are what moves when a calibration meets other traffic (Platt's scaling); the floor is what no
evidence sees, such as a stored answer that was wrong from the start. The error falls in z, so that dense labels
below a threshold say something of what is above it; how much is what the prior on slope and floor decides. The
likelihood of a label doesn't depend on why it was made as long as that depends on z and the past alone, so no
inverse propensities are needed here, and looking often changes nothing.

The threshold is the lowest from which the posterior predictive probability that a window of hits has more wrong ones
than the budget allows is small. Ages enter as powers of the likelihood (power prior: Ibrahim and Chen 2000).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Outcomes", "safe_logit"]

_Floats = NDArray[np.float64]

_SLOPES: Final = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4])
_SHIFTS: Final = np.arange(-2.0, 2.01, 0.2)
_FLOORS: Final = np.array([0.0, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128])
_SLOPE_DEVIATION: Final = 0.08
_SHIFT_DEVIATION: Final = 0.5
_FLOOR_SCALE: Final = 0.001
_FLOOR_TAIL: Final = 3.0
"""The floor's prior density falls as (1 + floor / scale) ** -tail (Lomax): small by far, but open to being talked out of it."""
_LOWEST, _HIGHEST, _WIDTH = -6.0, 9.0, 0.15
_WINDOW_HITS: Final = 2000
"""Hits over which the realised share is to stay within the budget: its own luck counts too."""
_UNSEEN: Final = 2.0
"""Candidates that are assumed right at the threshold, beside those that were seen above it."""


class Outcomes(NamedTuple):
    """Labels, oldest first, each (m,).

    Attributes:
        logits: Calibrated log odds.
        right: 1 or 0.
        weights: Inverse propensities: how many candidates each stands for.
        recency: How much each still counts, in (0, 1].
    """

    logits: _Floats
    right: _Floats
    weights: _Floats
    recency: _Floats


def safe_logit(outcomes: Outcomes, error_rate: float, confidence: float) -> float:
    """The lowest log odds from which serving keeps within a share of wrong hits; infinite where none do.

    Args:
        outcomes: What is known.
        error_rate: Largest share of wrong answers among hits, in (0, 1).
        confidence: Posterior predictive probability with which the next two thousand hits keep to it.
    """
    edges = np.arange(_LOWEST, _HIGHEST + _WIDTH, _WIDTH)
    errors, prior = _model(edges + _WIDTH / 2)
    places = np.clip(((outcomes.logits - _LOWEST) / _WIDTH).astype(np.int64), 0, len(edges) - 1)
    bins = len(edges)
    right = np.bincount(places, outcomes.recency * outcomes.right, bins)
    wrong = np.bincount(places, outcomes.recency * (1.0 - outcomes.right), bins)
    posterior = _normal(prior + np.log(errors) @ wrong + np.log1p(-errors) @ right)
    crowd = np.bincount(places, outcomes.recency * outcomes.weights, bins)
    above = np.cumsum(crowd[::-1])[::-1]
    wrong_above = np.cumsum((errors * crowd)[:, ::-1], axis=1)[:, ::-1]
    rates = (wrong_above + _UNSEEN * errors) / (above + _UNSEEN)
    excess = posterior @ _tail(rates, error_rate)
    safe = np.flatnonzero(excess <= 1.0 - confidence)
    return float(edges[safe[0]]) if len(safe) else np.inf


def _model(logits: _Floats) -> tuple[_Floats, _Floats]:
    """Error of each hypothesis at each of the log odds, (h, b), and the hypotheses' log prior, (h,)."""
    slope, shift, floor = (axis.ravel()[:, None] for axis in np.meshgrid(_SLOPES, _SHIFTS, _FLOORS))
    errors = floor + (1.0 - floor) / (1.0 + np.exp(slope * logits + shift))
    steps = np.diff(np.append(_FLOORS, 2 * _FLOORS[-1]))
    prior = (
        -0.5 * ((slope - 1.0) / _SLOPE_DEVIATION) ** 2
        - 0.5 * (shift / _SHIFT_DEVIATION) ** 2
        - _FLOOR_TAIL * np.log1p(floor / _FLOOR_SCALE)
        + np.log(steps)[np.searchsorted(_FLOORS, floor)]
    )
    return np.asarray(errors), np.asarray(prior.ravel())


def _normal(logs: _Floats) -> _Floats:
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def _tail(rates: _Floats, error_rate: float) -> _Floats:
    """Probability that more than the allowed share of a window is wrong: a Poisson tail, looked up on a fine grid."""
    allowed = int(error_rate * _WINDOW_HITS)
    means = np.linspace(0.0, 4.0 * allowed + 10.0, 400)
    counts = np.arange(1, allowed + 1)
    factorials = np.concatenate(([0.0], np.cumsum(np.log(counts))))
    logs = np.arange(allowed + 1) * np.log(np.maximum(means, 1e-12))[:, None] - means[:, None] - factorials
    tails = 1.0 - np.exp(logs).sum(1)
    return np.asarray(np.interp(rates * _WINDOW_HITS, means, tails))

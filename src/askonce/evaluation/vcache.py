"""A baseline: a threshold learned for each entry, with a bound on errors, as vCache does.

From the formulas of Schroeder et al., "vCache: Verified Semantic Prompt Caching", arXiv 2502.03771. Each entry keeps the
similarities at which it was the nearest one and whether its answer would have been right. Its chance of being right at
similarity s is modelled as L(s) = 1 / (1 + exp(-gamma (s - t))), fitted by maximum likelihood. The upstream is asked
with probability tau = min over epsilon of 1 - delta / (1 - (1 - epsilon) L(s; t', gamma')), where t' is the upper end of
the (1 - epsilon) confidence band on t, so that at most a share delta of all answers should be wrong. Whatever was asked
is inserted and gives its nearest entry an observation; what was served gives none.

The band is the profile likelihood's (twice the log likelihood ratio is chi-squared): an interval from the curvature at
the maximum doesn't exist where right and wrong observations are separable, which is what most entries hold. Parameters
lie on a grid. An entry without observations is never served.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from askonce.evaluation.measures import Floats

__all__ = ["VCacheEntry"]

_THRESHOLDS: Final = np.linspace(0.2, 1.0, 81)
_SLOPES: Final = np.geomspace(2.0, 400.0, 16)
_EPSILONS: Final = np.array([0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3])
_DROPS: Final = np.array([NormalDist().inv_cdf(1 - float(epsilon)) ** 2 / 2 for epsilon in _EPSILONS])
"""How far below its maximum the log likelihood is at the band's end."""


@dataclass(slots=True, eq=False)
class VCacheEntry:
    """What an entry has seen.

    Attributes:
        observations: How many.
        log_likelihood: Of them, by threshold and slope, (81, 16); float32, since there are thousands of entries.
    """

    observations: int = 0
    log_likelihood: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros((len(_THRESHOLDS), len(_SLOPES)), np.float32)
    )

    def observe(self, similarity: float, *, right: bool) -> None:
        """A question whose nearest entry this is was answered upstream: was this entry's answer right for it?"""
        logits = _SLOPES * (similarity - _THRESHOLDS[:, None])
        self.log_likelihood -= np.logaddexp(0.0, -logits if right else logits).astype(np.float32)
        self.observations += 1

    def ask_probability(self, similarity: float, delta: float) -> float:
        """With which probability to ask the upstream (tau), in [0, 1].

        Args:
            similarity: Of the asked question to this entry's.
            delta: Largest share of wrong answers, among all answers.
        """
        if not self.observations:
            return 1.0
        profile = self.log_likelihood.max(axis=1)
        within = profile[None, :] >= profile.max() - _DROPS[:, None]
        ends = len(_THRESHOLDS) - 1 - within[:, ::-1].argmax(axis=1)
        slopes = _SLOPES[self.log_likelihood[ends].argmax(axis=1)]
        right: Floats = (1 - _EPSILONS) / (1 + np.exp(-slopes * (similarity - _THRESHOLDS[ends])))
        return max(0.0, float(np.min(1 - delta / (1 - right))))

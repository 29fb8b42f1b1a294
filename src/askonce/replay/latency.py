"""How long an upstream takes to answer, where a log doesn't say: a time to the first token, and a pace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ASSUMED", "LatencyModel", "fitted"]

_FEWEST: Final = 20
_MOST: Final = 100_000
_SLOWEST_TOKENS_PER_S: Final = 1.0
_FASTEST_TOKENS_PER_S: Final = 10_000.0
_OUTLIERS: Final = 0.99
"""Durations above this quantile (retries, queues) don't bend the line."""


class LatencyModel(NamedTuple):
    """An answer of n tokens takes `first_token_s + n / tokens_per_s`; `basis` says where these come from."""

    first_token_s: float
    tokens_per_s: float
    basis: str

    def seconds(self, tokens: NDArray[np.float64]) -> NDArray[np.float64]:
        """How long answers of so many tokens take."""
        return self.first_token_s + tokens / self.tokens_per_s


ASSUMED: Final = LatencyModel(0.5, 60.0, "assumed")
"""Where nothing is known and nothing was declared: a hosted model of middling size."""


def fitted(durations_s: NDArray[np.float64], tokens: NDArray[np.float64]) -> LatencyModel | None:
    """The line through durations by tokens, by least squares; None where there are too few of them.

    Args:
        durations_s: Of whole answers, (n,); NaN where the log doesn't say.
        tokens: Completion tokens of the same, (n,); NaN where the log doesn't say.
    """
    known = np.flatnonzero(np.isfinite(durations_s) & np.isfinite(tokens))
    if len(known) < _FEWEST:
        return None
    known = known[:: max(1, len(known) // _MOST)]
    seconds, count = durations_s[known], tokens[known]
    usual = seconds <= np.quantile(seconds, _OUTLIERS)
    seconds, count = seconds[usual], count[usual]
    spread = count - count.mean()
    scatter = float(spread @ spread)
    slope = float(spread @ seconds) / scatter if scatter > 0 else 0.0
    if not 1 / _FASTEST_TOKENS_PER_S <= slope <= 1 / _SLOWEST_TOKENS_PER_S:
        return LatencyModel(float(np.median(seconds)), float("inf"), "the log's median")
    first = max(0.0, float(seconds.mean() - slope * count.mean()))
    return LatencyModel(first, 1 / slope, "fitted to the log")

"""The vCache baseline against its formulas."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.evaluation.vcache import VCacheEntry

_OBSERVATIONS = st.lists(st.tuples(st.floats(0.3, 1.0), st.booleans()), min_size=1, max_size=8)
_THRESHOLDS = [0.2 + 0.01 * step for step in range(81)]
_SLOPES = [2.0 * 200 ** (step / 15) for step in range(16)]
_EPSILONS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3]


def _entry(observations: list[tuple[float, bool]]) -> VCacheEntry:
    entry = VCacheEntry()
    for similarity, right in observations:
        entry.observe(similarity, right=right)
    return entry


def _log_likelihood(observations: list[tuple[float, bool]], threshold: float, slope: float) -> float:
    total = 0.0
    for similarity, right in observations:
        logit = slope * (similarity - threshold)
        total -= float(np.logaddexp(0.0, -logit if right else logit))
    return total


@given(_OBSERVATIONS)
@settings(max_examples=15, deadline=None)
def test_every_curve_is_as_likely_as_the_observations_make_it(observations: list[tuple[float, bool]]) -> None:
    """Each threshold and slope of the grid, by brute force."""
    expected = [[_log_likelihood(observations, t, slope) for slope in _SLOPES] for t in _THRESHOLDS]
    assert _entry(observations).log_likelihood == pytest.approx(np.array(expected), abs=1e-3)


@given(_OBSERVATIONS, st.floats(0.3, 1.0), st.sampled_from([0.005, 0.02, 0.1]))
@settings(max_examples=15, deadline=None)
def test_the_upstream_is_asked_with_the_probability_of_the_formula(
    observations: list[tuple[float, bool]], similarity: float, delta: float
) -> None:
    """Tau from the band of every epsilon, by brute force."""
    profile = [max((_log_likelihood(observations, t, g), g) for g in _SLOPES) for t in _THRESHOLDS]
    top = max(likelihood for likelihood, _ in profile)
    tau = 1.0
    for epsilon in _EPSILONS:
        drop = NormalDist().inv_cdf(1 - epsilon) ** 2 / 2
        end = max(place for place, (likelihood, _) in enumerate(profile) if likelihood >= top - drop)
        right = (1 - epsilon) / (1 + math.exp(-profile[end][1] * (similarity - _THRESHOLDS[end])))
        tau = min(tau, 1 - delta / (1 - right))
    asked = _entry(observations).ask_probability(similarity, delta)
    # float32 sums may move the band's end by a step of the grid
    near = abs(asked - max(0.0, tau)) < 1e-3
    tops = [likelihood - top for likelihood, _ in profile]
    edges = [NormalDist().inv_cdf(1 - epsilon) ** 2 / 2 for epsilon in _EPSILONS]
    close_call = any(abs(-each - edge) < 1e-3 for each in tops for edge in edges)
    assert near or close_call


def test_an_entry_that_was_never_tried_is_never_served() -> None:
    """It asks with certainty."""
    assert VCacheEntry().ask_probability(1.0, 0.05) == 1.0


def test_evidence_moves_an_entry_from_asking_to_serving() -> None:
    """Right answers at all similarities in use: asked less and less, then never; wrong ones undo that."""
    entry = VCacheEntry()
    chances = []
    for similarity in np.linspace(0.75, 0.95, 30):
        entry.observe(float(similarity), right=True)
        chances.append(entry.ask_probability(0.95, 0.02))
    assert chances[-1] == 0.0
    assert chances[0] > 0.5
    for _ in range(5):
        entry.observe(0.94, right=False)
    assert entry.ask_probability(0.95, 0.02) > 0.5


@given(_OBSERVATIONS, st.floats(0.3, 1.0), st.floats(0.3, 1.0))
@settings(max_examples=30, deadline=None)
def test_the_nearer_the_less_it_asks(
    observations: list[tuple[float, bool]], one: float, other: float
) -> None:
    """The chance to be asked falls with similarity, and with the errors allowed."""
    entry = _entry(observations)
    near, far = max(one, other), min(one, other)
    assert entry.ask_probability(near, 0.02) <= entry.ask_probability(far, 0.02) + 1e-12
    assert entry.ask_probability(near, 0.05) <= entry.ask_probability(near, 0.01)

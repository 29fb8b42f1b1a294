from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.matching.bounds import interval

LABELS = st.lists(st.booleans(), min_size=1, max_size=40)


def ones(count: int) -> np.ndarray:
    return np.ones(count)


@settings(max_examples=25, deadline=None)
@given(LABELS, st.floats(0.5, 0.99))
def test_bounds_enclose_the_estimate(labels: list[bool], confidence: float) -> None:
    """The bounds lie within 0 and 1, on both sides of the share that was seen."""
    wrong = np.array(labels, float)
    found = interval(wrong, ones(len(wrong)), ones(len(wrong)), confidence)
    assert 0.0 <= found.low <= found.estimate <= found.high <= 1.0
    assert abs(found.estimate - wrong.mean()) < 1e-9


def test_nothing_known_bounds_nothing() -> None:
    """Without labels the rate may be anything."""
    assert interval(np.empty(0), np.empty(0), np.empty(0), 0.95) == (0.0, 0.0, 1.0)


@settings(max_examples=25, deadline=None)
@given(LABELS, st.floats(1.0, 50.0))
def test_equal_propensities_change_nothing(labels: list[bool], weight: float) -> None:
    """Labels that all stand for the same number of hits say what plain labels say."""
    wrong = np.array(labels, float)
    plain = interval(wrong, ones(len(wrong)), ones(len(wrong)), 0.95)
    weighted = interval(wrong, weight * ones(len(wrong)), ones(len(wrong)), 0.95)
    np.testing.assert_allclose(plain, weighted, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(LABELS)
def test_right_and_wrong_mirror_each_other(labels: list[bool]) -> None:
    """Bounds on the share of right answers are the bounds on that of wrong ones, mirrored."""
    wrong = np.array(labels, float)
    some = interval(wrong, ones(len(wrong)), ones(len(wrong)), 0.9)
    other = interval(1 - wrong, ones(len(wrong)), ones(len(wrong)), 0.9)
    np.testing.assert_allclose((some.low, some.high), (1 - other.high, 1 - other.low), atol=1e-6)


def test_more_clean_labels_tighten_the_bound() -> None:
    """Four hundred clean labels show less than 2 % wrong, forty don't."""
    few, many = (interval(np.zeros(count), ones(count), ones(count), 0.95) for count in (40, 400))
    assert few.high > 0.02 > many.high > 0.0


def test_one_wrong_label_alone_moves_no_bound_far() -> None:
    """A single wrong hit refutes a tiny rate, not one of a tenth."""
    found = interval(np.ones(1), ones(1), ones(1), 0.95)
    assert 0.0 < found.low < 0.1


def test_the_bounds_hold_at_every_moment_at_once() -> None:
    """Looking after every few labels, the true rate leaves the interval in at most a tenth of 100 runs (promised: 10 %)."""
    random = np.random.default_rng(3)
    left = 0
    for _ in range(100):
        wrong = (random.random(240) < 0.05).astype(float)
        bounds = [interval(wrong[:n], ones(n), ones(n), 0.95) for n in range(40, 241, 40)]
        left += any(not bound.low <= 0.05 <= bound.high for bound in bounds)
    assert left <= 10


def test_rare_draws_from_a_worse_part_are_weighed_back() -> None:
    """Labels of a part sampled at 5 % and of one sampled always give the rate of both parts together."""
    random = np.random.default_rng(5)
    worse = random.random(40_000) < 0.5
    drawn = random.random(40_000) < np.where(worse, 0.05, 1.0)
    wrong = (random.random(40_000) < np.where(worse, 0.2, 0.02)).astype(float)[drawn]
    weights = np.where(worse, 20.0, 1.0)[drawn]
    found = interval(wrong, weights, ones(len(wrong)), 0.99)
    assert abs(found.estimate - 0.11) < 0.02
    assert found.low < 0.11 < found.high
    assert abs(wrong.mean() - 0.11) > 0.05, "unweighted, the labels tell another story"


def test_old_labels_fade() -> None:
    """Long ago all was right, of late a fifth is wrong: the recency-weighted rate is near the latter."""
    wrong = np.concatenate((np.zeros(500), np.tile([1.0, 0, 0, 0, 0], 40)))
    recency = 0.5 ** (np.arange(len(wrong))[::-1] / 40)
    assert interval(wrong, ones(len(wrong)), recency, 0.95).low > 0.02
    assert interval(wrong, ones(len(wrong)), ones(len(wrong)), 0.95).estimate < 0.06

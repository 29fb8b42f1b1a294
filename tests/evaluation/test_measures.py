"""What scores and labels say of a system."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from askonce.evaluation.measures import (
    accepted,
    calibration_error,
    curve_of,
    reliability,
    within_budget,
)

_SCORES = st.integers(-3, 12).map(lambda level: level / 10)
_ROWS = st.lists(st.tuples(_SCORES, st.booleans()), min_size=1, max_size=60)
_SHARES = st.floats(0, 1)


def _arrays(rows: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([score for score, _ in rows]), np.array([label for _, label in rows])


@given(_ROWS)
def test_auc_is_the_rank_statistic(rows: list[tuple[float, bool]]) -> None:
    """The share of (right, wrong) pairs in which the right one scores higher, ties counting half."""
    rights = [score for score, right in rows if right]
    wrongs = [score for score, right in rows if not right]
    auc = curve_of(*_arrays(rows)).auc
    if not rights or not wrongs:
        assert auc is None
    else:
        wins = sum((one > other) + (one == other) / 2 for one in rights for other in wrongs)
        assert auc == pytest.approx(wins / len(rights) / len(wrongs))


@given(_ROWS, _SHARES, _SHARES)
def test_the_false_hit_rate_rises_with_recall(
    rows: list[tuple[float, bool]], one: float, other: float
) -> None:
    """A share in [0, 1], monotone; only at recall 0 is it surely 0."""
    curve = curve_of(*_arrays(rows))
    assume(curve.auc is not None)
    low, high = curve.false_hit_rate(min(one, other)), curve.false_hit_rate(max(one, other))
    assert low is not None
    assert high is not None
    assert 0 <= low <= high <= 1
    assert curve.false_hit_rate(0.0) == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 10_000), st.booleans()),
        min_size=2,
        max_size=60,
        unique_by=lambda row: row[0],
    )
)
def test_without_ties_the_false_hit_rate_is_what_the_threshold_accepts(rows: list[tuple[int, bool]]) -> None:
    """At the recall of each right pair: the wrong ones that score above it."""
    scores, right = _arrays([(float(score), label) for score, label in rows])
    curve = curve_of(scores, right)
    assume(curve.auc is not None)
    for place, score in enumerate(sorted(scores[right], reverse=True), 1):
        rate = curve.false_hit_rate(place / right.sum())
        assert rate == pytest.approx(float((scores[~right] >= score).mean()), abs=1e-6)


@given(_ROWS, _SHARES)
def test_the_threshold_of_a_recall_is_the_highest_that_reaches_it(
    rows: list[tuple[float, bool]], recall: float
) -> None:
    """It accepts enough of the right pairs, and the next higher score doesn't."""
    scores, right = _arrays(rows)
    assume(right.any())
    threshold = curve_of(scores, right).threshold(recall)
    wanted = recall * right.sum() * (1 - 1e-6)
    assert (scores[right] >= threshold).sum() >= wanted
    assert wanted == 0 or (scores[right] > threshold).sum() < wanted + 1e-6 * len(rows)


@given(
    st.lists(
        st.tuples(st.integers(0, 10_000), st.booleans()),
        min_size=1,
        max_size=40,
        unique_by=lambda row: row[0],
    )
)
def test_precision_is_that_of_the_best_scored(rows: list[tuple[int, bool]]) -> None:
    """At each number of hits, without ties: counted by hand."""
    scores, right = _arrays([(float(score), label) for score, label in rows])
    best = right[np.argsort(-scores)]
    curve = curve_of(scores, right)
    for count in range(1, len(rows) + 1):
        assert curve.precision_at(count / len(rows)) == pytest.approx(best[:count].mean())


def test_ties_are_interpolated() -> None:
    """Where all score the same, a recall of R costs the share R of the wrong pairs."""
    curve = curve_of(np.ones(10), np.arange(10) < 5)
    assert curve.false_hit_rate(0.3) == pytest.approx(0.3)
    exact = curve_of(np.arange(20.0), np.arange(20) % 2 == 1)
    assert [exact.false_hit_rate(recall) for recall in (0.1, 0.3, 0.7)] == pytest.approx([0.0, 0.2, 0.6])
    assert curve.auc == pytest.approx(0.5)


@given(_ROWS, _SCORES)
def test_a_threshold_accepts_what_scores_at_least_as_high(
    rows: list[tuple[float, bool]], threshold: float
) -> None:
    """Counted by hand."""
    scores, right = _arrays(rows)
    found = accepted(curve_of(scores, right), threshold)
    taken = scores >= threshold
    assert found.hit_ratio == pytest.approx(taken.mean())
    assert found.recall == (pytest.approx(taken[right].mean()) if right.any() else None)
    assert found.wrong_among_hits == (pytest.approx((~right[taken]).mean()) if taken.any() else None)
    assert found.false_hit_rate == (pytest.approx(taken[~right].mean()) if not right.all() else None)


@given(_ROWS, _SHARES)
def test_the_best_threshold_within_a_budget_is_the_best(
    rows: list[tuple[float, bool]], budget: float
) -> None:
    """No threshold within the budget has more hits, and it keeps the budget itself."""
    scores, right = _arrays(rows)
    curve = curve_of(scores, right)
    best = within_budget(curve, budget)
    others = [accepted(curve, float(score)) for score in scores]
    assert (best.wrong_among_hits or 0) <= budget
    within = [each.hit_ratio for each in others if (each.wrong_among_hits or 0) <= budget]
    assert best.hit_ratio == pytest.approx(max(within, default=0.0))


def test_calibrated_probabilities_have_next_to_no_calibration_error() -> None:
    """Labels drawn with the claimed probability; and probabilities pushed away by 0.2 are off by as much."""
    generator = np.random.default_rng(1)
    claimed = generator.uniform(0, 0.8, 40_000)
    right = generator.random(40_000) < claimed
    assert calibration_error(reliability(claimed, right)) < 0.01
    assert calibration_error(reliability(claimed + 0.2, right)) == pytest.approx(0.2, abs=0.01)


@given(st.lists(st.tuples(_SHARES, st.booleans()), min_size=1, max_size=40))
def test_bins_hold_every_pair_once(rows: list[tuple[float, bool]]) -> None:
    """Also those at 0 and 1; a bin's mean probability lies within it."""
    probabilities, right = _arrays(rows)
    bins = reliability(probabilities, right)
    assert sum(each.size for each in bins) == len(rows)
    assert sum(each.size * each.right for each in bins) == pytest.approx(right.sum())
    assert all(each.low - 1e-12 <= each.probability <= each.high for each in bins)

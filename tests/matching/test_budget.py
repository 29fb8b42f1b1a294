from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.matching.budget import NEVER, Budget, Setting, Traffic, audit_share, settle
from askonce.matching.calibration import Calibration, Label, Source

SHIPPED = Calibration(np.array([1.0]), 0.0)
TRAFFIC = Traffic(requests=1000, hits=400)
DAY = 86_400.0


def label(
    odds: float, *, right: bool, at: float = 0.0, served: bool = False, propensity: float = 1.0
) -> Label:
    source = Source.AUDIT if served else Source.MISS
    return Label(np.array([odds], np.float32), right, propensity, at, served, source)


def labels_of(count: int, floor: float = 0.0, shift: float = 0.0, seed: int = 0) -> list[Label]:
    random = np.random.default_rng(seed)
    odds = random.normal(3.0, 2.0, count)
    wrong = random.random(count) < floor + (1 - floor) / (1 + np.exp(odds + shift))
    return [
        label(z, right=not bad, at=float(place))
        for place, (z, bad) in enumerate(zip(odds, wrong, strict=True))
    ]


def settled(
    labels: list[Label], rate: float = 0.02, now: float = 0.0, breached_at: float | None = None
) -> Setting:
    return settle(SHIPPED, labels, Budget(rate), traffic=TRAFFIC, now=now, breached_at=breached_at)


@pytest.mark.parametrize("rate", [0.005, 0.01, 0.02, 0.05])
def test_without_labels_the_shipped_calibration_serves_cautiously(rate: float) -> None:
    """Nothing known: the threshold leaves less room for error than the budget has, but isn't out of reach."""
    setting = settled([], rate)
    assert 1.0 - rate < setting.threshold < 1.0
    assert setting.calibration is SHIPPED
    assert not setting.breached


@given(st.floats(0.005, 0.3), st.floats(0.005, 0.3))
@settings(max_examples=15, deadline=None)
def test_a_larger_budget_never_serves_less(one: float, other: float) -> None:
    """The threshold falls as the budget grows."""
    labels = labels_of(40)
    assert settled(labels, max(one, other)).threshold <= settled(labels, min(one, other)).threshold


def test_labels_that_bear_the_calibration_out_lower_the_threshold() -> None:
    """Thousands of labels as predicted: more is served than without them."""
    assert settled(labels_of(3000)).threshold < settled([]).threshold - 0.02


def test_labels_that_belie_the_calibration_raise_the_threshold() -> None:
    """Traffic that is harder than what was trained on is served less, on the scale of the shipped log odds."""
    hard = settled(labels_of(1500, shift=-2.0))
    easy = settled(labels_of(1500))

    def least(setting: Setting) -> float:
        grid = np.linspace(-3, 15, 2000)
        served = setting.calibration.probabilities(grid[:, None]) >= setting.threshold
        return float(grid[served][0]) if served.any() else np.inf

    assert least(hard) > least(easy) + 1.0


def test_a_floor_of_errors_above_the_budget_serves_nothing() -> None:
    """Where a tenth is wrong however sure the verifier is, no threshold keeps 2 %."""
    assert settled(labels_of(4000, floor=0.1)).threshold == NEVER


@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_the_threshold_keeps_the_budget_on_traffic_that_differs_a_little(rate: float) -> None:
    """With odds off by a factor of 1.6, what is served after 800 labels is wrong less often than budgeted, but for one time of 20."""
    evidence = np.random.default_rng(1).normal(3.0, 2.0, 50_000)
    truly_wrong = 1 / (1 + np.exp(evidence - 0.5))
    kept = 0
    for seed in range(20):
        setting = settled(labels_of(800, shift=-0.5, seed=seed), rate)
        served = setting.calibration.probabilities(evidence[:, None]) >= setting.threshold
        assert served.any()
        kept += truly_wrong[served].mean() <= rate
    assert kept >= 19


def test_rates_come_from_audits_of_served_hits_alone() -> None:
    """Misses say nothing of how often hits are wrong; audits count for what they stand for."""
    audits = [label(6.0, right=True, served=True, propensity=0.5) for _ in range(18)]
    audits += [label(6.0, right=False, served=True, propensity=1.0) for _ in range(4)]
    misses = [label(-2.0, right=False) for _ in range(50)]
    setting = settled(audits + misses)
    assert setting.among_hits.estimate == pytest.approx(4 / 40)
    assert setting.among_hits.low < 0.1 < setting.among_hits.high
    assert setting.among_all.estimate == pytest.approx(0.4 * 4 / 40)
    assert setting.labels == 72


def test_one_wrong_hit_is_no_breach_and_many_are() -> None:
    """The first audited hit being wrong stops nothing; a fifth wrong of a hundred does, and then nothing is served."""
    assert not settled([label(6.0, right=False, served=True)]).breached
    many = [label(6.0, right=place % 5 > 0, served=True, at=float(place)) for place in range(100)]
    setting = settled(many)
    assert setting.breached
    assert setting.threshold == NEVER


def test_a_kept_budget_is_hardly_ever_called_breached() -> None:
    """With just the budgeted share wrong, asking after every few audits raises no alarm in 10 runs."""
    for seed in range(10):
        wrong = np.random.default_rng(seed).random(120) < 0.05
        audits = [label(6.0, right=not bad, served=True, at=float(place)) for place, bad in enumerate(wrong)]
        assert not any(settled(audits[:count], 0.05).breached for count in (60, 120))


def test_a_breach_stands_until_labels_made_since_show_recovery() -> None:
    """Good labels from before don't lift a breach, nor do few since; many since do, and serving resumes."""
    before = [label(8.0, right=True, at=float(place)) for place in range(400)]
    since = [replace(one, at=one.at + 1000) for one in before]
    assert settled(before, now=2000, breached_at=900).breached
    assert settled(before + since[:40], now=2000, breached_at=900).breached
    setting = settled(before + since, now=2000, breached_at=900)
    assert not setting.breached
    assert setting.threshold < 1.0


def test_old_labels_lose_their_say() -> None:
    """Ten half-lives after a bad spell, the few new labels decide."""
    bad = [label(6.0, right=place % 5 > 0, served=True) for place in range(100)]
    good = [label(6.0, right=True, served=True, at=30 * DAY) for _ in range(100)]
    assert settled(bad).breached
    assert not settled(bad + good, now=30 * DAY).breached


@given(st.floats(0.001, 1.0), st.integers(0, 10**6))
def test_audits_start_dense_and_end_at_the_steady_share(steady: float, hits: int) -> None:
    """A share between the steady one and 1, never rising."""
    share = audit_share(steady, hits)
    assert steady <= share <= 1.0
    assert audit_share(steady, hits + 1) <= share
    assert audit_share(steady, 0) == 1.0
    assert audit_share(0.02, 2500) == 0.02


def test_no_audits_are_made_where_none_are_wanted() -> None:
    """A steady share of zero means that nobody is asked, at the start neither."""
    assert audit_share(0.0, 0) == 0.0

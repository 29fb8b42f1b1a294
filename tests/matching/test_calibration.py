from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.matching.calibration import Calibration, Label, Source, label_of, refit
from askonce.model import Audit

PLACES = 6


def labels_of(
    truth: Calibration, count: int, seed: int = 0, propensity: float = 1.0, width: int = PLACES
) -> list[Label]:
    random = np.random.default_rng(seed)
    evidence = random.normal(size=(count, width)).astype(np.float32)
    right = random.random(count) < truth.probabilities(evidence)
    return [
        Label(row, bool(good), propensity, float(place), served=False, source=Source.MISS)
        for place, (row, good) in enumerate(zip(evidence, right, strict=True))
    ]


def calibration(*weights: float, bias: float = 0.0) -> Calibration:
    return Calibration(np.array(weights), bias)


SHIPPED = calibration(1.0, -1.0, 0.5, 0.0, 0.0, 0.0, bias=1.0)


@given(st.lists(st.floats(-50, 50), min_size=PLACES, max_size=PLACES))
def test_a_probability_is_the_logistic_of_the_weighed_evidence(evidence: list[float]) -> None:
    """Each probability is strictly between 0 and 1, and the sigmoid of the log odds while those aren't extreme."""
    row = np.array(evidence, np.float32)
    odds = float(row.astype(float) @ SHIPPED.weights) + SHIPPED.bias
    probability = SHIPPED.probability(row)
    assert 0.0 < probability < 1.0
    if abs(odds) < 20:
        assert math.isclose(probability, 1 / (1 + math.exp(-odds)), rel_tol=1e-6)


def test_few_labels_change_nothing() -> None:
    """With fewer than sixty labels the shipped calibration stays, whatever they say."""
    wrong = labels_of(calibration(*[0.0] * PLACES, bias=-3.0), 59)
    found = refit(SHIPPED, wrong)
    assert found.calibration is SHIPPED
    assert not found.used
    assert len(found.held_back) == 59


def test_no_labels_are_fine() -> None:
    """Nothing to learn from: the shipped calibration."""
    assert refit(SHIPPED, []).calibration is SHIPPED


def test_a_refit_that_brings_nothing_is_not_used() -> None:
    """Where the shipped calibration is already right, hardly any of ten samples talks it out of that."""
    used = sum(refit(SHIPPED, labels_of(SHIPPED, 400, seed)).used for seed in range(10))
    assert used <= 2


def test_a_refit_learns_what_the_traffic_shows() -> None:
    """Other odds and another weight are learned from 1,500 labels, and predict unseen labels better."""
    truth = calibration(1.0, -1.0, 0.5, 1.5, 0.0, 0.0, bias=-0.5)
    found = refit(SHIPPED, labels_of(truth, 1500))
    unseen = labels_of(truth, 3000, seed=9)
    evidence = np.stack([label.evidence for label in unseen])
    right = np.array([label.right for label in unseen])

    def loss(one: Calibration) -> float:
        chance = one.probabilities(evidence)
        return float(-np.log(np.where(right, chance, 1 - chance)).mean())

    assert found.used
    assert found.gain > 0.05
    assert loss(found.calibration) < loss(SHIPPED) - 0.05
    assert loss(found.calibration) < loss(truth) + 0.01


def test_the_order_of_labels_does_not_matter() -> None:
    """Labels are sorted by their time; each held-back log odds stays with its label."""
    labels = labels_of(calibration(2.0, 0.0, 0.0, 0.0, 0.0, 0.0, bias=-1.0), 300)
    forward, backward = refit(SHIPPED, labels), refit(SHIPPED, labels[::-1])
    assert forward.used
    np.testing.assert_allclose(forward.calibration.weights, backward.calibration.weights)
    np.testing.assert_allclose(forward.held_back, backward.held_back[::-1])


def test_held_back_odds_come_from_fits_that_did_not_see_the_label() -> None:
    """Turning one label round leaves its own held-back log odds as they were."""
    labels = labels_of(calibration(2.0, 0.0, 0.0, 0.0, 0.0, 0.0, bias=-1.0), 300)
    turned = list(labels)
    old = labels[40]
    turned[40] = Label(old.evidence, not old.right, old.propensity, old.at, old.served, old.source)
    before, after = refit(SHIPPED, labels), refit(SHIPPED, turned)
    assert before.used
    assert after.used
    assert before.held_back[40] == after.held_back[40]
    assert before.calibration.bias != after.calibration.bias


def test_old_labels_can_count_less() -> None:
    """With recency weights the refit follows what is so now, not what was."""
    past, present = (calibration(1.0, -1.0, 0.5, 0.0, 0.0, 0.0, bias=bias) for bias in (3.0, -1.0))
    labels = labels_of(past, 400) + [
        Label(one.evidence, one.right, 1.0, one.at + 400, one.served, one.source)
        for one in labels_of(present, 400, seed=1)
    ]
    recency = np.concatenate((np.full(400, 0.01), np.ones(400)))
    assert refit(SHIPPED, labels, recency).calibration.bias < -0.5
    assert refit(SHIPPED, labels).calibration.bias > 0.0


def test_wide_and_constant_evidence_is_fine() -> None:
    """A hundred places, ten of them always the same: finite weights, none for what never varies."""
    labels = labels_of(calibration(*[0.1] * 100, bias=2.0), 200, width=100)
    for label in labels:
        label.evidence[:10] = 7.0
    found = refit(Calibration(np.zeros(100), 0.0), labels)
    assert found.used
    assert np.isfinite(found.calibration.weights).all()
    assert not found.calibration.weights[:10].any()


def kept(**other: Any) -> Audit:
    known: dict[str, Any] = {
        "feature": "f", "at": 5.0, "question": b"q", "answer": b"a", "request_id": "", "source": "hit", "judge": "model",
        "right": True, "propensity": 0.5, "probability": 0.9, "threshold": 0.8, "reason": "match",
        "evidence": np.array([1.0, 2.0], np.float32), "engine": "e",
    }  # fmt: skip
    return Audit(**(known | other))


@pytest.mark.parametrize(
    ("source", "named", "served"),
    [("hit", Source.AUDIT, True), ("shadow", Source.SHADOW, False), ("miss", Source.MISS, False)],
)
def test_an_audit_is_a_label(source: str, named: Source, served: bool) -> None:  # noqa: FBT001
    """With its propensity, its time and what it was served by."""
    label = label_of(kept(source=source), Calibration(np.ones(2), 0.0))
    assert label is not None
    assert (label.right, label.propensity, label.at) == (True, 0.5, 5.0)
    assert (label.served, label.source, label.evidence.tolist()) == (served, named, [1.0, 2.0])


@pytest.mark.parametrize(
    "flaw",
    [
        {"source": "feedback"},
        {"source": "hearsay"},
        {"evidence": None},
        {"evidence": np.ones(3, np.float32)},
        {"evidence": np.array([1.0, np.nan], np.float32)},
        {"propensity": 0.0},
        {"propensity": float("nan")},
        {"propensity": 1.5},
    ],
)
def test_what_says_nothing_is_no_label(flaw: dict[str, Any]) -> None:
    """Feedback has no propensity; other evidence, numbers that aren't any and unknown words mean nothing here."""
    assert label_of(kept(**flaw), Calibration(np.ones(2), 0.0)) is None

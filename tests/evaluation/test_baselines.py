"""Baselines on streams."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.evaluation.baselines import Served, cosine_streams, vcache_stream

_SEEDS = st.integers(0, 1_000)


def _stream(seed: int, count: int, intents: int) -> tuple[np.ndarray, list[str]]:
    """Questions around a centre for each intent, some far from it."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(intents, 6))
    labels = generator.integers(0, intents, count)
    vectors = centres[labels] + generator.normal(scale=0.5, size=(count, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), [f"intent {label}" for label in labels]


@given(_SEEDS, st.floats(0.5, 0.99))
@settings(max_examples=20, deadline=None)
def test_one_threshold_serves_the_nearest_stored_question(seed: int, threshold: float) -> None:
    """As a cache kept by hand does; several thresholds at once don't touch one another."""
    vectors, intents = _stream(seed, 60, 5)
    stored: list[int] = []
    expected = Served(np.zeros(60, bool), np.zeros(60, bool))
    for place in range(60):
        near = max(stored, key=lambda other: float(vectors[place] @ vectors[other]), default=None)
        if near is not None and float(vectors[place] @ vectors[near]) >= threshold:
            expected.hits[place] = True
            expected.wrong[place] = intents[near] != intents[place]
        else:
            stored.append(place)
    _, found, _ = cosine_streams(vectors, intents, [0.3, threshold, 1.1])
    assert (found.hits == expected.hits).mean() > 0.98  # sums in another order may tip a similarity
    assert found.wrong_among_hits == pytest.approx(expected.wrong_among_hits, abs=0.05)


@given(_SEEDS)
@settings(max_examples=10, deadline=None)
def test_out_of_reach_nothing_is_served_and_below_all_everything_is(seed: int) -> None:
    """All but the first question."""
    vectors, intents = _stream(seed, 40, 4)
    all_of_it, nothing = cosine_streams(vectors, intents, [-1.1, 1.1])
    assert all_of_it.hits.sum() == 39
    assert nothing.hits.sum() == 0
    assert nothing.wrong_among_hits == 0.0


def test_vcache_keeps_its_bound_among_all_answers_and_serves_more_with_a_looser_one() -> None:
    """Seeded; wrong among all questions stays below delta, hits grow with it, a seed gives the same decisions."""
    vectors, intents = _stream(3, 1_500, 12)
    tight, loose = (vcache_stream(vectors, intents, delta, 1) for delta in (0.01, 0.2))
    assert 0 < tight.hit_ratio < loose.hit_ratio
    assert tight.wrong.mean() <= 0.02
    assert loose.wrong.mean() <= 0.2
    assert (loose.wrong <= loose.hits).all()
    assert (vcache_stream(vectors, intents, 0.2, 1).hits == loose.hits).all()


def test_vcache_learns_which_entries_are_right() -> None:
    """Where neighbours are right, hits are many times those where they are wrong; there the bound is what is served."""
    generator = np.random.default_rng(0)
    pure, mixed = np.eye(2, 8)
    kinds = generator.integers(0, 2, 800)
    vectors = np.where(kinds[:, None] == 0, pure, mixed) + generator.normal(scale=0.02, size=(800, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    intents = [
        "pure" if kind == 0 else f"mixed {label}"
        for kind, label in zip(kinds, generator.integers(0, 40, 800), strict=True)
    ]
    served = vcache_stream(vectors.astype(np.float32), intents, 0.05, 2)
    assert served.hits[kinds == 0].mean() > 4 * served.hits[kinds == 1].mean()
    assert served.hits[kinds == 1].mean() == pytest.approx(0.05, abs=0.03)

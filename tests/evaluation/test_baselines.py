"""Baselines on streams."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.evaluation.baselines import VCachePolicy, play_together
from askonce.evaluation.questions import Embeddable, vectors_of
from askonce.evaluation.sets import StreamSet
from askonce.evaluation.streams import CosinePolicy, Stream, Tally, play
from askonce.evaluation.tier import WordEyes
from askonce.evaluation.traffic import StreamSystem, Tier, compare_on
from askonce.matching.calibration import Calibration
from askonce.matching.verifier import Asked, Candidate, Judgement
from askonce.model import Tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.matching.vocabulary import Vocabulary

_SEEDS = st.integers(0, 1_000)


def _stream(seed: int, count: int, intents: int) -> tuple[np.ndarray, np.ndarray]:
    """Questions around a centre for each intent, some far from it."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(intents, 6))
    labels = generator.integers(0, intents, count)
    vectors = centres[labels] + generator.normal(scale=0.5, size=(count, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), labels


@given(_SEEDS, st.floats(0.5, 0.99))
@settings(max_examples=10, deadline=None)
def test_policies_played_together_do_not_touch_one_another(seed: int, threshold: float) -> None:
    """Each comes to what it comes to alone, over the whole table of similarities."""
    vectors, labels = _stream(seed, 300, 5)
    together = play_together(
        vectors,
        labels,
        [CosinePolicy(0.3, 300), CosinePolicy(threshold, 300), VCachePolicy(0.1, 300, seed)],
    )
    table = Stream(vectors @ vectors.T, labels)
    assert together[0] == play(table, CosinePolicy(0.3, 300))
    alone = play(table, CosinePolicy(threshold, 300))
    assert together[1].hits == pytest.approx(alone.hits, abs=3)  # sums in another order may tip a similarity
    assert together[2].asked_beside == 0


def test_vcache_keeps_its_bound_among_all_answers_and_serves_more_with_a_looser_one() -> None:
    """Seeded; wrong among all questions stays below delta, hits grow with it, a seed gives the same decisions."""
    vectors, labels = _stream(3, 1_500, 12)
    policies = [VCachePolicy(delta, 1_500, 1) for delta in (0.01, 0.2, 0.2)]
    tight, loose, again = play_together(vectors, labels, policies)
    assert 0 < tight.hits < loose.hits
    assert tight.wrong / 1_500 <= 0.02
    assert loose.wrong / 1_500 <= 0.2
    assert loose == again


@pytest.mark.parametrize(("mixed", "least", "most"), [(False, 0.2, 1.0), (True, 0.02, 0.09)])
def test_vcache_learns_which_entries_are_right(*, mixed: bool, least: float, most: float) -> None:
    """Where neighbours are right it comes to serve them; where they are wrong it serves as much as its bound allows."""
    generator = np.random.default_rng(0)
    vectors = np.eye(1, 8) + generator.normal(scale=0.02, size=(800, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = generator.integers(0, 40, 800) if mixed else np.zeros(800, np.int64)
    (tally,) = play_together(vectors.astype(np.float32), labels, [VCachePolicy(0.05, 800, 2)])
    assert least < tally.hit_rate < most


def test_the_best_setting_is_the_one_with_most_hits_within_the_rate() -> None:
    """In hindsight; none where nothing was served within it."""
    tallies = {
        0.8: Tally(100, 50, 10, 0),
        0.9: Tally(100, 30, 1, 0),
        0.95: Tally(100, 5, 0, 0),
        0.99: Tally(100, 0, 0, 0),
    }
    system = StreamSystem("cosine", "threshold", tallies)
    assert system.best(0.05) == (0.9, tallies[0.9])
    assert system.best(0.01) == (0.95, tallies[0.95])
    assert StreamSystem("cosine", "threshold", {0.99: tallies[0.99]}).best(0.05) is None


def _questions(vectors: np.ndarray) -> list[Embeddable | None]:
    tokens = Tokens(np.zeros(1, np.uint16), np.ones((1, 2), np.int8))
    return [
        Embeddable(f"how is order {number} doing", vector, tokens) if vector.any() else None
        for number, vector in enumerate(vectors)
    ]


def test_a_stream_is_compared_whatever_its_texts() -> None:
    """Texts without a vector are near nothing and answered afresh; each system has a tally for each setting."""
    assert vectors_of([None]).tolist() == [[0.0]]
    vectors, labels = _stream(1, 120, 3)
    vectors[:20] = 0
    steps: list[int] = []
    stream = StreamSet("mine", ["text"] * 120, [f"intent {label}" for label in labels], 0)
    tier = Tier(_Nearness(), (0.01, 0.05), -1.0, 0)
    comparison = compare_on(stream, _questions(vectors), tier, steps.append)
    assert sum(steps) == comparison.questions == 120
    assert comparison.intents == 3
    cosine, vcache, askonce = comparison.systems
    assert (cosine.name, vcache.name, askonce.name) == ("cosine", "vcache", "askonce")
    rates = [tally.hit_rate for tally in cosine.tallies.values()]
    assert rates == sorted(rates, reverse=True)
    assert all(tally.requests == 120 for tally in vcache.tallies.values())
    assert list(askonce.tallies) == [0.01, 0.05]


class _Nearness:
    """A verifier that looks at the similarity alone, and forbids what is asked about order 13."""

    calibration = Calibration(np.array([30.0]), -26.0)

    def judge(
        self,
        asked: Asked,
        candidates: Sequence[Candidate],
        vocabulary: Vocabulary,
        crowd: Sequence[float] = (),
    ) -> list[Judgement]:
        assert vocabulary.texts <= 1_000
        assert not crowd
        veto = "thirteen" if "13" in asked.text else ""
        return [Judgement(veto, "", np.array([each.similarity], np.float32)) for each in candidates]


def test_the_tier_serves_what_its_verifier_and_its_floor_let_through() -> None:
    """Clear neighbours are served, what a guard forbids or lies below the floor never is."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 5, 800)
    vectors = np.eye(5, 12)[labels] + generator.normal(scale=0.03, size=(800, 12))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    questions = _questions(vectors)
    free = Tier(_Nearness(), (0.05,), -1.0, 0).policy(questions, 0.05)
    floored = Tier(_Nearness(), (0.05,), 1.1, 0).policy(questions, 0.05)
    served = {}
    for place, label in enumerate(labels.tolist()):
        near = vectors[:place] @ vectors[place]
        served[place] = free.answer(place, near, partial(int, label))
    hits = [place for place, answer in served.items() if answer is not None]
    assert len(hits) > 400
    assert all(served[place] == labels[place] for place in hits)
    assert not any("13" in str(place) for place in hits)
    (none,) = play_together(vectors, labels, [floored])
    assert none.hits == 0


def test_few_words_are_served_more_strictly_as_in_the_gateway() -> None:
    """A question of a word or two has to clear the tightened bar; while weights are trained, none is treated apart."""
    vector, tokens = np.ones(1, np.float32), Tokens(np.zeros(1, np.uint16), np.ones((1, 2), np.int8))
    asked = [Embeddable(text, vector, tokens) for text in ("Why?", "How do I change my router's channel?")]
    strict = WordEyes([*asked, None], _Nearness())
    assert [strict.bar(place, 0.8) for place in range(3)] == [pytest.approx(0.9), 0.8, 0.8]
    assert WordEyes(asked, _Nearness(), strict=False).bar(0, 0.8) == 0.8

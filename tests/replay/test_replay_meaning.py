"""The semantic tier's word, kept for all scenarios."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.embedders.minilm import MiniLMEmbedder
from askonce.embedders.packaged import packaged_projection, packaged_verifier
from askonce.replay.meaning import Meaning, embedded, sampled
from askonce.replay.nearest import Nearest, nearest_within
from askonce.replay.traffic import Question

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXTS = (
    "How do I reset my password?",
    "how do i reset my password",
    "How do I reset my router?",
    "Where is my parcel?",
)


async def meaning_of(texts: tuple[str, ...], classes: list[int] | None = None, turns: int = 1) -> Meaning:
    questions = [Question(number, number, 0, text, turns) for number, text in enumerate(texts)]
    embedder = MiniLMEmbedder(project=packaged_projection(), workers=1)
    embedder.start()
    try:
        found = await embedded(embedder, texts)
    finally:
        await embedder.close()
    taken = np.ones(len(texts), np.bool_)
    return Meaning(
        questions, taken, found, classes or [-1] * len(texts), verifier=packaged_verifier(), floor=0.8
    )


async def test_the_verifier_decides() -> None:
    """The same in other letters may answer; what is near and means something else may not, nor what isn't stored."""
    meaning = await meaning_of(TEXTS)
    assert list(meaning.likely(1, [True] * 4, 0.98, 0.8)) == [0]
    assert list(meaning.likely(1, [False, True, True, True], 0.5, 0.8)) == []
    assert list(meaning.likely(2, [True, True, False, True], 0.98, 0.8)) == []


async def test_a_verdict_is_asked_for_once() -> None:
    """The same candidates are not judged again, whatever the threshold; new ones are."""
    meaning = await meaning_of((*TEXTS[:2], "How can I reset my password?", TEXTS[3]))
    for threshold in (0.9, 0.98, 0.99):
        list(meaning.likely(1, [True, False, False, False], threshold, 0.8))
    assert meaning.judged == 1
    list(meaning.likely(1, [True, False, True, False], 0.9, 0.8))
    assert meaning.judged == 2


async def test_what_refers_back_has_no_equivalent() -> None:
    """In a conversation, a text that refers to what was said before is matched with nothing."""
    texts = ("And what about that one?", "and what about that one")
    assert list((await meaning_of(texts, turns=1)).likely(1, [True, True], 0.5, 0.8)) == [0]
    assert list((await meaning_of(texts, turns=2)).likely(1, [True, True], 0.5, 0.8)) == []


async def test_texts_without_an_embedding_are_left_out() -> None:
    """What the embedder doesn't take is no candidate and has none."""
    meaning = await meaning_of((TEXTS[0], TEXTS[0] + " please" * 2_000))
    assert list(meaning.likely(1, [True, True], 0.1, 0.8)) == []


@pytest.mark.parametrize(("most", "count"), [(100, 12), (12, 12), (7, 7), (1, 1)])
def test_samples_are_whole_partitions_from_the_beginning(most: int, count: int) -> None:
    """Up to so many questions are taken; of at most one partition only its first ones."""
    questions = [Question(number, number, number % 3, "x", 1) for number in range(12)]
    taken = sampled(questions, most)
    assert taken.sum() == count
    parts = [taken[part::3] for part in range(3)]
    assert all((np.diff(part.astype(int)) <= 0).all() for part in parts)
    assert sum(0 < part.sum() < len(part) for part in parts) <= 1


def naive(vectors: NDArray[np.float32], own: int) -> tuple[list[int], float]:
    similarities = vectors @ vectors[own]
    earlier = sorted(range(own), key=lambda place: -similarities[place])[:10]
    others = [float(one) for place, one in enumerate(similarities) if place != own]
    return earlier, max(others, default=-1.0)


@settings(max_examples=20)
@given(st.integers(2, 400), st.integers(0, 1_000), st.sampled_from([3, 30]))
def test_the_nearest_are_found(count: int, seed: int, dimensions: int) -> None:
    """The ten nearest earlier ones are among those found, for all that have any near enough, at any size and density."""
    vectors = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found: dict[int, Nearest] = {}
    nearest_within(np.arange(count, dtype=np.int32), vectors, 0.7, found.__setitem__)
    for own in range(count):
        earlier, best = naive(vectors, own)
        if own not in found:
            assert best < 0.7001
            continue
        assert best > 0.6999
        kept = [place for place in found[own].places if place < own][:10]
        expected = (vectors @ vectors[own])[earlier]
        assert np.allclose((vectors @ vectors[own])[kept], expected, atol=1e-4)

"""vCache's policy on a stream, and several policies played on the same stream at once."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import numpy as np

from askonce.evaluation.streams import Tally
from askonce.evaluation.vcache import VCacheEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from askonce.evaluation.streams import Policy

__all__ = ["VCachePolicy", "play_together"]

_BLOCK: Final = 256
"""Questions whose similarities to all earlier ones are computed together."""


class VCachePolicy:
    """Asks with the probability that the nearest entry has learned, stores whatever was asked; see `vcache`.

    Args:
        delta: Largest share of wrong answers among all answers.
        length: Of the stream.
        seed: Of the draws between asking and serving.
    """

    def __init__(self, delta: float, length: int, seed: int) -> None:
        self._delta = delta
        self._draws = np.random.default_rng(seed).random(length)
        self._places = np.empty(length, np.int64)
        self._answers = np.empty(length, np.int64)
        self._stored = 0
        self._entries: defaultdict[int, VCacheEntry] = defaultdict(VCacheEntry)

    def answer(self, place: int, similarities: NDArray[np.float32], fresh: Callable[[], int]) -> int | None:
        """See `streams.Policy.answer`."""
        right = None
        if self._stored:
            near = similarities[self._places[: self._stored]]
            nearest = int(near.argmax())
            similarity, stored = float(near[nearest]), int(self._answers[nearest])
            if self._draws[place] >= self._entries[nearest].ask_probability(similarity, self._delta):
                return stored
            right = fresh()
            self._entries[nearest].observe(similarity, right=right == stored)
        self._places[self._stored] = place
        self._answers[self._stored] = fresh() if right is None else right
        self._stored += 1
        return None


def play_together(
    vectors: NDArray[np.float32],
    answers: NDArray[np.int64],
    policies: Sequence[Policy],
    advance: Callable[[int], None] = lambda _: None,
) -> list[Tally]:
    """Plays a stream against several policies, each on its own; memory grows with the stream, not with its square.

    Args:
        vectors: Unit vectors in order of arrival, (n, d).
        answers: The answer that is right for each, (n,).
        policies: Fresh ones.
        advance: Told how many questions were played since it was last told.

    Returns:
        What each policy came to.
    """
    hits, wrong, beside = (np.zeros(len(policies), np.int64) for _ in range(3))
    for place, similarities in _similarities(vectors):
        right = int(answers[place])
        for number, policy in enumerate(policies):
            asked: list[int] = []

            def fresh(right: int = right, asked: list[int] = asked) -> int:
                asked.append(right)
                return right

            served = policy.answer(place, similarities, fresh)
            if served is not None:
                hits[number] += 1
                wrong[number] += served != right
                beside[number] += bool(asked)
        advance(1)
    return [Tally(len(answers), *map(int, counts)) for counts in zip(hits, wrong, beside, strict=True)]


def _similarities(vectors: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Each place of the stream with the similarities to all before it."""
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        similarities = block @ vectors[: start + len(block)].T
        for row, place in enumerate(range(start, start + len(block))):
            yield place, similarities[row, :place]

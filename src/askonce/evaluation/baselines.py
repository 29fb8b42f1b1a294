"""How other semantic caches do on a stream: one cosine threshold for all, and vCache's learned ones.

Each question is asked once, in the stream's order. The nearest stored question decides; what isn't served is asked
upstream and stored. A hit is wrong where the intents differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.evaluation.vcache import VCacheEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from askonce.evaluation.measures import Flags

__all__ = ["Served", "cosine_streams", "vcache_stream"]

_BLOCK: Final = 256
"""Questions whose similarities to all earlier ones are computed together."""


class Served(NamedTuple):
    """What became of each question of a stream.

    Attributes:
        hits: Whether a stored answer was served, (n,).
        wrong: Whether that answer was another intent's, (n,); never without a hit.
    """

    hits: Flags
    wrong: Flags

    @property
    def hit_ratio(self) -> float:
        """Hits among all questions."""
        return float(self.hits.mean())

    @property
    def wrong_among_hits(self) -> float:
        """Wrong ones among the hits; 0 without any."""
        return float(self.wrong.sum() / max(1, self.hits.sum()))


def cosine_streams(
    vectors: NDArray[np.float32], intents: Sequence[str], thresholds: Sequence[float]
) -> list[Served]:
    """Serves the nearest stored question's answer from a similarity on, for each threshold on its own.

    Args:
        vectors: Unit vectors in the stream's order, (n, d).
        intents: What each question's answer serves, n of them.
        thresholds: Similarities.
    """
    labels = _labels(intents)
    stored = np.zeros((len(thresholds), len(vectors)), np.bool_)
    served = [Served(np.zeros(len(vectors), np.bool_), np.zeros(len(vectors), np.bool_)) for _ in thresholds]
    for place, similarities in _similarities(vectors):
        closest = float(similarities.max(initial=-np.inf))
        for threshold, known, outcome in zip(thresholds, stored, served, strict=True):
            # Most questions have nothing so near, stored or not: no need to look which of it is stored.
            nearest = _nearest(similarities, known[:place]) if closest >= threshold else None
            if nearest is not None and similarities[nearest] >= threshold:
                outcome.hits[place] = True
                outcome.wrong[place] = labels[nearest] != labels[place]
            else:
                known[place] = True
    return served


def vcache_stream(vectors: NDArray[np.float32], intents: Sequence[str], delta: float, seed: int) -> Served:
    """vCache's decisions (see `VCacheEntry`); the upstream's answer to what was asked tells whether an entry was right.

    Args:
        vectors: Unit vectors in the stream's order, (n, d).
        intents: What each question's answer serves, n of them.
        delta: Largest share of wrong answers among all answers.
        seed: Of the draws between asking and serving.
    """
    labels = _labels(intents)
    draws = np.random.default_rng(seed).random(len(vectors))
    known = np.zeros(len(vectors), np.bool_)
    entries: dict[int, VCacheEntry] = {}
    served = Served(np.zeros(len(vectors), np.bool_), np.zeros(len(vectors), np.bool_))
    for place, similarities in _similarities(vectors):
        nearest = _nearest(similarities, known[:place])
        if nearest is not None:
            similarity = float(similarities[nearest])
            right = bool(labels[nearest] == labels[place])
            entry = entries.get(nearest)
            if entry is not None and draws[place] >= entry.ask_probability(similarity, delta):
                served.hits[place] = True
                served.wrong[place] = not right
                continue
            entries.setdefault(nearest, VCacheEntry()).observe(similarity, right=right)
        known[place] = True
    return served


def _similarities(vectors: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Each place of the stream with the similarities to all before it."""
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        similarities = block @ vectors[: start + len(block)].T
        for row, place in enumerate(range(start, start + len(block))):
            yield place, similarities[row, :place]


def _nearest(similarities: NDArray[np.float32], known: Flags) -> int | None:
    """The most similar of those that are known."""
    if not known.any():
        return None
    closest = int(similarities.argmax())
    return closest if known[closest] else int(np.where(known, similarities, -np.inf).argmax())


def _labels(intents: Sequence[str]) -> NDArray[np.intp]:
    return np.unique(np.array(intents), return_inverse=True)[1]

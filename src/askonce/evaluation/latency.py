"""How long a verdict takes beyond the embedding."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.evaluation.questions import vectors_of
from askonce.matching.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from askonce.evaluation.embeddings import Embeddings
    from askonce.evaluation.sets import PairSet
    from askonce.matching.verifier import Verifier

__all__ = ["CANDIDATES", "Latency", "measure_latency"]

CANDIDATES: Final = (1, 5, 10)
"""How many nearest questions to judge at once; the semantic tier looks at ten."""
_QUESTIONS: Final = 450
_WARM_UP: Final = 15


class Latency(NamedTuple):
    """How long verdicts take in one thread.

    Attributes:
        questions: Number of verdicts, of all kinds together.
        words: Mean number of words of an asked question.
        quantiles_ms: Median and 99th percentile in milliseconds, by number of candidates judged at once.
    """

    questions: int
    words: float
    quantiles_ms: Mapping[int, tuple[float, float]]


async def measure_latency(pairs: PairSet, embeddings: Embeddings, verifier: Verifier) -> Latency | None:
    """Times verdicts on a set's first questions against their nearest stored ones; None if none can be embedded."""
    chosen = pairs.pairs[:_QUESTIONS]
    asked = [each for each in await embeddings.questions([pair.asked for pair in chosen]) if each is not None]
    different = list(dict.fromkeys(pair.stored for pair in chosen))
    stored = [each for each in await embeddings.questions(different) if each is not None]
    if not asked or not stored:
        return None
    vocabulary = Vocabulary(pair.stored for pair in pairs.pairs)
    vectors = vectors_of(stored)
    times: dict[int, list[float]] = {count: [] for count in CANDIDATES}
    for place, question in enumerate([*asked[:_WARM_UP], *asked]):
        # Every question is judged once: what a verifier remembers of a text must not help it here.
        count = CANDIDATES[place % len(CANDIDATES)]
        nearest = np.argsort(-(vectors @ question.vector))[:count]
        candidates = [stored[other].candidate(question, stored[other].text.encode()) for other in nearest]
        started = time.perf_counter()
        verifier.judge(question.asked(), candidates, vocabulary)
        times[count].append((time.perf_counter() - started) * 1e3)
    warm = min(_WARM_UP, len(asked)) // len(CANDIDATES)
    words = float(np.mean([len(each.text.split()) for each in asked]))
    return Latency(
        len(asked), words, {count: _quantiles(taken[warm:]) for count, taken in times.items() if taken}
    )


def _quantiles(times: Sequence[float]) -> tuple[float, float]:
    return float(np.quantile(times, 0.5)), float(np.quantile(times, 0.99))

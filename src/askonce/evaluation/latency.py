"""How long a verdict takes beyond the embedding."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.evaluation.questions import vectors_of
from askonce.matching.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.evaluation.embeddings import Embeddings
    from askonce.evaluation.sets import PairSet
    from askonce.matching.verifier import Verifier

__all__ = ["CANDIDATES", "Latency", "measure_latency"]

CANDIDATES: Final = 5
"""As many as the semantic tier asks about."""
_QUESTIONS: Final = 300
_WARM_UP: Final = 10


class Latency(NamedTuple):
    """Milliseconds of a verdict on one candidate, and of one on the five nearest, one thread: median and 99th percentile.

    Attributes:
        questions: Number of verdicts, of both kinds together.
        words: Mean number of words of an asked question.
    """

    questions: int
    words: float
    one_p50_ms: float
    one_p99_ms: float
    five_p50_ms: float
    five_p99_ms: float


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
    times: dict[int, list[float]] = {1: [], CANDIDATES: []}
    for place, question in enumerate([*asked[:_WARM_UP], *asked]):
        # Every question is judged once: what a verifier remembers of a text must not help it here.
        count = CANDIDATES if place % 2 else 1
        nearest = np.argsort(-(vectors @ question.vector))[:count]
        candidates = [stored[other].candidate(question, stored[other].text.encode()) for other in nearest]
        started = time.perf_counter()
        verifier.judge(question.asked(), candidates, vocabulary)
        times[count].append((time.perf_counter() - started) * 1e3)
    warm = slice(min(_WARM_UP, len(asked)) // 2, None)
    words = float(np.mean([len(each.text.split()) for each in asked]))
    return Latency(len(asked), words, *_quantiles(times[1][warm]), *_quantiles(times[CANDIDATES][warm]))


def _quantiles(times: Sequence[float]) -> tuple[float, float]:
    return float(np.quantile(times, 0.5)), float(np.quantile(times, 0.99))

"""Streams of questions with known answers, against which a cache's policy is played.

Questions come in a seeded random order. Each has one right answer at the time that it is asked; a policy serves a
stored answer or asks afresh, and only what it serves counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

import numpy as np

from askonce.embedders.minilm import MiniLMEmbedder
from askonce.evaluation.embeddings import Embeddings
from askonce.evaluation.sets import read_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from askonce.embedders.onnx import Projection
    from askonce.evaluation.questions import Embeddable

__all__ = [
    "Arrivals",
    "CosinePolicy",
    "Drift",
    "Policy",
    "Questions",
    "Stream",
    "Tally",
    "arrivals",
    "best",
    "load",
    "play",
    "stream_of",
]


class Questions(NamedTuple):
    """A labelled data set.

    Attributes:
        vectors: Unit vectors, (n, d).
        intents: The intent of each, numbered from 0, (n,).
        known: The texts themselves with their tokens, (n,); none where only vectors are looked at.
    """

    vectors: NDArray[np.float32]
    intents: NDArray[np.int64]
    known: Sequence[Embeddable] = ()


class Arrivals(NamedTuple):
    """Questions in the order of arrival: their places in the data set and the right answer of each then, (n,)."""

    order: NDArray[np.int64]
    answers: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Drift:
    """What changes half-way.

    Attributes:
        new: Share of the intents that nobody asks about before.
        changed: Share of the intents whose right answer is another one from then on.
    """

    new: float = 0.1
    changed: float = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Questions in the order of arrival.

    Attributes:
        similarity: Cosines of all pairs, (n, n).
        answers: The answer that is right for each at its arrival, (n,).
    """

    similarity: NDArray[np.float32]
    answers: NDArray[np.int64]


class Policy(Protocol):
    """A cache under test."""

    def answer(self, place: int, similarities: NDArray[np.float32], fresh: Callable[[], int]) -> int | None:
        """Serves the question at `place`.

        Args:
            place: Its place in the stream; questions before it may be stored.
            similarities: Cosines to those before it, (place,).
            fresh: Asks upstream for the right answer. Asking for a hit too is an audit.

        Returns:
            The stored answer that is served; None where the fresh one is.
        """
        ...


@dataclass(frozen=True, slots=True)
class Tally:
    """What a policy came to on a stream: counts."""

    requests: int
    hits: int
    wrong: int
    asked_beside: int

    @classmethod
    def total(cls, tallies: Iterable[Tally]) -> Tally:
        """Several streams as one."""
        return cls(
            *map(
                sum,
                zip(*((one.requests, one.hits, one.wrong, one.asked_beside) for one in tallies), strict=True),
            )
        )

    @property
    def hit_rate(self) -> float:
        """Share of requests that were served from the cache."""
        return self.hits / max(1, self.requests)

    @property
    def false_hit_rate(self) -> float:
        """Share of hits that were wrong; 0 without hits."""
        return self.wrong / max(1, self.hits)


def play(stream: Stream, policy: Policy) -> Tally:
    """Plays a whole stream against a policy and counts, `asked_beside` being hits that were asked upstream too."""
    hits = wrong = beside = 0
    for place, right in enumerate(stream.answers.tolist()):
        asked: list[int] = []

        def fresh(right: int = right, asked: list[int] = asked) -> int:
            asked.append(right)
            return right

        served = policy.answer(place, stream.similarity[place, :place], fresh)
        if served is not None:
            hits += 1
            wrong += served != right
            beside += bool(asked)
    return Tally(len(stream.answers), hits, wrong, beside)


def stream_of(questions: Questions, seed: int, length: int, drift: Drift | None = None) -> Stream:
    """The stream of these arrivals."""
    order, answers = arrivals(questions, seed, length, drift)
    vectors = questions.vectors[order]
    return Stream(vectors @ vectors.T, answers)


def arrivals(questions: Questions, seed: int, length: int, drift: Drift | None = None) -> Arrivals:
    """Random ones without repetition; with drift, new intents come and answers change half-way."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(questions.intents))
    kinds = int(questions.intents.max()) + 1
    if drift is None:
        order = order[:length]
        answers = questions.intents[order]
    else:
        shuffled = random.permutation(kinds)
        late = shuffled[: round(drift.new * kinds)]
        changed = shuffled[::-1][: round(drift.changed * kinds)]
        early = order[~np.isin(questions.intents[order], late)][: length // 2]
        order = np.concatenate((early, order[~np.isin(order, early)][: length - len(early)]))
        answers = questions.intents[order].copy()
        answers[(np.arange(len(order)) >= len(early)) & np.isin(answers, changed)] += kinds
    return Arrivals(order, answers)


class CosinePolicy:
    """Serves the nearest stored question's answer from a fixed cosine on, and stores every miss."""

    def __init__(self, threshold: float, length: int) -> None:
        self._threshold = threshold
        self._places = np.empty(length, np.int64)
        self._answers = np.empty(length, np.int64)
        self._stored = 0

    def answer(self, place: int, similarities: NDArray[np.float32], fresh: Callable[[], int]) -> int | None:
        """See `Policy.answer`."""
        if self._stored:
            near = similarities[self._places[: self._stored]]
            best = int(near.argmax())
            if near[best] >= self._threshold:
                return int(self._answers[best])
        self._places[self._stored] = place
        self._answers[self._stored] = fresh()
        self._stored += 1
        return None


_Setting = TypeVar("_Setting")


def best(tallies: Mapping[_Setting, Tally], rate: float) -> tuple[_Setting, Tally] | None:
    """The setting with the most hits among those with at most this share of wrong hits; None without any hit.

    It is known in hindsight only.
    """
    within = [
        (setting, tally) for setting, tally in tallies.items() if tally.hits and tally.false_hit_rate <= rate
    ]
    return max(within, key=lambda pair: pair[1].hits, default=None)


async def load(
    folder: Path,
    name: str,
    cache: Path | None = None,
    *,
    parts: Sequence[str] = ("train", "test"),
    project: Projection | None = None,
) -> Questions:
    """A data set's questions, each text once, embedded by the packaged embedder.

    Args:
        folder: Where `intents/NAME_train.jsonl` and `intents/NAME_test.jsonl` are.
        name: `banking77` or `clinc150`, say.
        cache: File that keeps embeddings between runs; None to embed each time.
        parts: Of the data set.
        project: What to keep of each token; None where only vectors are looked at.

    Raises:
        BadFile: A file is missing or isn't what it should be.
        EmbedderUnavailable: The embedder can't load.
    """
    kinds: dict[str, str] = {}
    for part in parts:
        texts, intents = read_stream(folder / "intents" / f"{name}_{part}.jsonl")
        kinds |= dict(zip(texts, intents, strict=True)) | kinds
    embedder = MiniLMEmbedder(project=project, workers=2)
    embedder.start()
    try:
        embeddings = Embeddings(embedder, cache)
        embedded = await embeddings.questions(list(kinds))
        embeddings.save()
    finally:
        await embedder.close()
    known = [(each, kind) for each, kind in zip(embedded, kinds.values(), strict=True) if each is not None]
    vectors = np.stack([each.vector for each, _ in known]).astype(np.float32)
    numbers = np.unique([kind for _, kind in known], return_inverse=True)[1].astype(np.int64)
    return Questions(vectors, numbers, [each for each, _ in known] if project is not None else ())

"""The semantic tier for a log: the packaged embedder and verifier asked once, their word kept for every scenario."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.errors import EmbedderUnavailable
from askonce.matching.conversation import refers_back
from askonce.matching.verifier import Asked, Candidate
from askonce.matching.vocabulary import Vocabulary
from askonce.pipeline.strictness import adjustments, tightened
from askonce.replay.nearest import nearest_within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from askonce.matching.verifier import Verifier
    from askonce.model import Tokens
    from askonce.ports import Embedder, Embedding
    from askonce.replay.nearest import Nearest
    from askonce.replay.traffic import Question

__all__ = ["Meaning", "embedded", "sampled"]

_CANDIDATES: Final = 10
_READ: Final = 5
"""Candidates whose words the verifier reads; the rest are neighbours and nothing else."""
_AT_ONCE: Final = 4
_Texts = dict[str, "Embedding | None"]


class _Likely(NamedTuple):
    """A candidate that no guard forbids, by its question's place."""

    probability: float
    place: int


def sampled(questions: Sequence[Question], most: int) -> NDArray[np.bool_]:
    """Which questions the semantic tier is played for: all, or whole partitions up to that many.

    Partitions are taken in an order that depends on nothing but their number; the one that doesn't fit any more is taken from
    its beginning, as it would have come.
    """
    partitions = np.array([question.partition for question in questions], np.int64)
    if len(questions) <= most:
        return np.ones(len(questions), np.bool_)
    order = np.random.default_rng(0).permutation(int(partitions.max()) + 1)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    chosen = np.argsort(rank[partitions], kind="stable")[:most]
    taken = np.zeros(len(questions), np.bool_)
    taken[chosen] = True
    return taken


async def embedded(
    embedder: Embedder, texts: Sequence[str], advance: Callable[[int], None] = lambda _: None
) -> _Texts:
    """Each different text with its embedding; None for one that the embedder doesn't take.

    Raises:
        EmbedderUnavailable: It can't load.
    """
    if not await embedder.ready():
        raise EmbedderUnavailable(embedder.detail)
    found: _Texts = {}

    async def embed(some: Iterator[str]) -> None:
        for text in some:
            try:
                found[text] = await embedder.embed(text)
            except EmbedderUnavailable:
                found[text] = None
            advance(1)

    waiting = iter(dict.fromkeys(texts))
    await asyncio.gather(*(embed(waiting) for _ in range(_AT_ONCE)))
    return found


class Meaning:
    """What the semantic tier makes of a log's questions.

    A candidate's probability is found when it first stands among a question's five nearest stored ones, with the neighbours
    of that moment, and kept: later neighbours, and those of other scenarios, don't change it.

    Args:
        questions: The log's.
        taken: Those that are played, as by `sampled`.
        texts: Their embeddings.
        classes: What tells the answers of questions apart, where the log has them; -1 where it doesn't.
        verifier: The gateway's.
        floor: The lowest cosine at which any feature considers a candidate.

    Attributes:
        judged: How often the verifier was asked.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        taken: NDArray[np.bool_],
        texts: _Texts,
        classes: Sequence[int],
        *,
        verifier: Verifier,
        floor: float,
    ) -> None:
        self._questions = questions
        self._verifier = verifier
        self._classes = classes
        self._floor = floor
        self._nearest: dict[int, Nearest] = {}
        self._tokens: dict[str, Tokens] = {}
        self._vocabularies: dict[int, Vocabulary] = {}
        self._counted: set[int] = set()
        self._known: dict[int, tuple[frozenset[int], tuple[_Likely, ...]]] = {}
        self._risks: dict[int, float] = {}
        self._taken = taken
        self.judged = 0
        self._prepare(texts)

    def plays(self, question: int) -> bool:
        """Whether the semantic tier is played for a question."""
        return bool(self._taken[question])

    def added(self, question: int) -> None:
        """A question's answer is under way: its words count in the partition from now on."""
        if question not in self._counted:
            self._counted.add(question)
            one = self._questions[question]
            vocabulary = self._vocabularies.get(one.partition)
            if vocabulary is None:
                vocabulary = self._vocabularies[one.partition] = Vocabulary()
            vocabulary.add(one.text)

    def likely(
        self, question: int, findable: Sequence[bool] | bytearray, threshold: float, floor: float
    ) -> Iterator[int]:
        """Questions whose answers may serve this one, likeliest first.

        Args:
            question: The asked one.
            findable: Which questions are in the index, by place.
            threshold: What a probability has to reach, before it is tightened for this question.
            floor: Cosine below which a question isn't considered.
        """
        nearest = self._nearest.get(question)
        if nearest is None:
            return
        places = _first(nearest, findable, floor)
        if not places:
            return
        seen, ranked = self._known.get(question, (frozenset(), ()))
        if not places <= seen:
            near = [at for at, place in enumerate(nearest.places) if findable[place]][:_CANDIDATES]
            judged = self._judge(question, nearest, near, places - seen)
            ranked = tuple(sorted({*ranked, *judged}, reverse=True))
            self._known[question] = (seen | places, ranked)
        for likely in ranked:
            if likely.probability < threshold:
                return
            if likely.place in places and likely.probability >= self._bar(question, threshold):
                yield likely.place

    def clears(self, question: int, probability: float, threshold: float) -> bool:
        """Whether a link of that probability may serve a question."""
        return probability >= threshold and probability >= self._bar(question, threshold)

    def probability(self, question: int, place: int) -> float:
        """What was found of a candidate; 0 where nothing was."""
        _, ranked = self._known.get(question, (frozenset(), ()))
        return next((likely.probability for likely in ranked if likely.place == place), 0.0)

    def _judge(self, question: int, nearest: Nearest, near: list[int], fresh: set[int]) -> Iterator[_Likely]:
        self.judged += 1
        one = self._questions[question]
        candidates = [self._candidate(nearest.places[at], nearest.similarities[at]) for at in near]
        vocabulary = self._vocabularies.get(one.partition) or Vocabulary()
        asked = Asked(one.text, self._tokens[one.text])
        judgements = self._verifier.judge(asked, candidates, vocabulary)
        calibration = self._verifier.calibration
        for at, judgement in zip(near, judgements, strict=True):
            place = nearest.places[at]
            if place in fresh and not judgement.veto:
                yield _Likely(calibration.probability(judgement.evidence), place)

    def _candidate(self, place: int, similarity: float) -> Candidate:
        text, answer = self._questions[place].text, self._classes[place]
        name = f"answer {answer}" if answer >= 0 else f"question {place}"
        return Candidate(text, similarity, self._tokens[text], name.encode())

    def _bar(self, question: int, threshold: float) -> float:
        risk = self._risks.get(question)
        if risk is None:
            one = self._questions[question]
            risk = self._risks[question] = 1.0 - tightened(0.0, adjustments(one.text, one.turns))
        return 1.0 - (1.0 - threshold) * risk

    def _prepare(self, texts: _Texts) -> None:
        """Keeps each text's tokens, and finds the nearest within each partition."""
        for text, embedding in texts.items():
            if embedding is not None and embedding.tokens is not None and len(embedding.tokens.ids):
                self._tokens[text] = embedding.tokens
        members: dict[int, list[int]] = {}
        for place in np.flatnonzero(self._taken).tolist():
            question = self._questions[place]
            if question.text in self._tokens:
                members.setdefault(question.partition, []).append(place)
        for places in members.values():
            vectors = np.array([self._vector(texts, place) for place in places], np.float32)
            nearest_within(np.array(places, np.int32), vectors, self._floor, self._nearest.__setitem__)
        for place in list(self._nearest):
            one = self._questions[place]
            if one.turns > 1 and refers_back(one.text):
                del self._nearest[place]

    def _vector(self, texts: _Texts, place: int) -> NDArray[np.float32]:
        embedding = texts[self._questions[place].text]
        assert embedding is not None  # noqa: S101 - texts without tokens were left out
        return embedding.vector


def _first(nearest: Nearest, findable: Sequence[bool] | bytearray, floor: float) -> set[int]:
    """The nearest of those that can be found, as many as are read: they are in order, so that most look-ups end soon."""
    found: set[int] = set()
    for place, similarity in zip(nearest.places, nearest.similarities, strict=True):
        if similarity < floor or len(found) == _READ:
            break
        if findable[place]:
            found.add(place)
    return found

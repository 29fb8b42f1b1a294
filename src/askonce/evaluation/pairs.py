"""Labelled pairs under a verifier: every judgement that the systems of a comparison are scored from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from askonce.evaluation.questions import vectors_of
from askonce.matching.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from askonce.evaluation.embeddings import Embeddings
    from askonce.evaluation.measures import Flags, Floats
    from askonce.evaluation.questions import Embeddable
    from askonce.evaluation.sets import PairSet
    from askonce.matching.calibration import Calibration
    from askonce.matching.verifier import Verifier

__all__ = ["JudgedPairs", "judge_pairs"]

_BLOCK: Final = 1_000
"""Pairs whose embeddings are held at a time."""
BELOW_FLOOR: Final = "below-floor"
UNEMBEDDABLE: Final = "not-embeddable"
_ANSWER: Final = b"stored"
"""The class of the only answer at hand."""
_PARTITION: Final = 20_000
_CROWD: Final = 10


@dataclass(frozen=True, slots=True, eq=False)
class JudgedPairs:
    """A set's pairs as judged; row i belongs to pair i.

    Attributes:
        name: The set's.
        right: Labels, (n,).
        categories: Kinds of pairs, "" for none, n of them.
        cosines: Similarities by the embedder, (n,); -1 where a text has no embedding.
        vetoes: The guards' reason codes, "" for none, n of them.
        evidence: For the verifier's last layer, (n, k).
    """

    name: str
    right: Flags
    categories: Sequence[str]
    cosines: Floats
    vetoes: Sequence[str]
    evidence: Floats

    @classmethod
    def of(cls, pairs: PairSet, cosines: Floats, vetoes: Sequence[str], evidence: Floats) -> JudgedPairs:
        """A set's pairs with what was found of them."""
        right = np.array([pair.right for pair in pairs.pairs])
        return cls(pairs.name, right, [pair.category for pair in pairs.pairs], cosines, vetoes, evidence)

    def __len__(self) -> int:
        return len(self.right)

    @property
    def vetoed(self) -> Flags:
        """Where a guard objects, (n,)."""
        return np.array([bool(veto) for veto in self.vetoes], np.bool_)

    def only(self, places: Sequence[int]) -> JudgedPairs:
        """These rows alone."""
        return JudgedPairs(
            self.name,
            self.right[places],
            [self.categories[place] for place in places],
            self.cosines[places],
            [self.vetoes[place] for place in places],
            self.evidence[places],
        )

    def probabilities(self, calibration: Calibration) -> Floats:
        """Chance that the stored answer is right, (n,); 0 under a veto."""
        return np.where(self.vetoed, 0.0, calibration.probabilities(self.evidence))

    def scores(self, calibration: Calibration) -> Floats:
        """Probabilities, and below all of them the vetoed pairs by their cosine, in [-3, -1]."""
        return np.where(self.vetoed, self.cosines - 2.0, calibration.probabilities(self.evidence))


async def judge_pairs(
    pairs: PairSet,
    embeddings: Embeddings,
    verifier: Verifier,
    *,
    floor: float = -1.0,
    advance: Callable[[int], None] = lambda _: None,
) -> JudgedPairs:
    """Embeds and judges each pair by itself, as if the stored question's answer were the only one known.

    The set's stored questions, up to 20,000 of them, are the partition: word weights come from them in order, and the
    nearest of them, other than the two in question, are the crowd.

    Args:
        pairs: At least one.
        embeddings: Of one embedder.
        verifier: Under test.
        floor: Cosine below which the tier doesn't ask the verifier: such pairs count as vetoed.
        advance: Told how many pairs were judged since it was last told.

    Raises:
        EmbedderUnavailable: The embedder can't load.
    """
    vocabulary = Vocabulary(pair.stored for pair in pairs.pairs)
    partition = await Partition.of([pair.stored for pair in pairs.pairs], embeddings)
    judged: list[tuple[float, str]] = []
    evidence = np.zeros((len(pairs.pairs), len(verifier.calibration.weights)))
    for start in range(0, len(pairs.pairs), _BLOCK):
        block = pairs.pairs[start : start + _BLOCK]
        asked = await embeddings.questions([pair.asked for pair in block])
        stored = await embeddings.questions([pair.stored for pair in block])
        crowds = partition.crowds(asked, [pair.stored for pair in block])
        for place, (one, other, crowd) in enumerate(zip(asked, stored, crowds, strict=True), start):
            if one is None or other is None:
                judged.append((-1.0, UNEMBEDDABLE))
                continue
            candidate = other.candidate(one, _ANSWER)
            (judgement,) = verifier.judge(one.asked(), [candidate], vocabulary, crowd)
            below = candidate.similarity < floor
            judged.append((candidate.similarity, BELOW_FLOOR if below else judgement.veto))
            evidence[place] = judgement.evidence
        advance(len(block))
    cosines = np.array([cosine for cosine, _ in judged])
    return JudgedPairs.of(pairs, cosines, [veto for _, veto in judged], evidence)


class Partition:
    """The stored questions of a set, to find an asked one's crowd in; up to 20,000 different ones, the first.

    Args:
        texts: Theirs, n of them, each with an embedding.
        vectors: (n, d).
    """

    def __init__(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        self._places = {text: place for place, text in enumerate(texts)}
        self._vectors = vectors

    @classmethod
    async def of(cls, texts: Sequence[str], embeddings: Embeddings) -> Partition:
        """Embeds the texts."""
        different = list(dict.fromkeys(texts))[:_PARTITION]
        found: list[Embeddable] = []
        for start in range(0, len(different), _BLOCK):
            block = await embeddings.questions(different[start : start + _BLOCK])
            found += [each for each in block if each is not None]
        return cls([each.text for each in found], vectors_of(found))

    def crowds(self, asked: Sequence[Embeddable | None], stored: Sequence[str]) -> list[Sequence[float]]:
        """The highest similarities of each asked question to all others than itself and its own stored one."""
        if not self._places:
            return [() for _ in asked]
        similarities = vectors_of(asked) @ self._vectors.T if any(asked) else np.zeros((len(asked), 1))
        crowds: list[Sequence[float]] = []
        for row, question, text in zip(similarities, asked, stored, strict=True):
            left_out = {self._places.get(text), self._places.get(question.text if question else "")} - {None}
            count = min(len(row), _CROWD + len(left_out))
            nearest = np.argpartition(-row, count - 1)[:count].tolist()
            crowds.append(
                sorted((float(row[place]) for place in nearest if place not in left_out), reverse=True)[
                    :_CROWD
                ]
            )
        return crowds

"""Labelled pairs under a verifier: every judgement that the systems of a comparison are scored from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from askonce.evaluation.engines import similarity
from askonce.matching.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.evaluation.embeddings import Embeddings
    from askonce.evaluation.engines import LexicalJudge
    from askonce.evaluation.measures import Flags, Floats
    from askonce.evaluation.sets import PairSet
    from askonce.matching.calibration import Calibration

__all__ = ["JudgedPairs", "judge_pairs"]

_BLOCK: Final = 1_000
"""Pairs whose embeddings are held at a time."""
BELOW_FLOOR: Final = "below-floor"
TOO_LONG: Final = "text-too-long"


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
    verifier: LexicalJudge,
    *,
    floor: float = -1.0,
    advance: Callable[[int], None] = lambda _: None,
) -> JudgedPairs:
    """Embeds and judges each pair by itself, as if the stored question were the asked one's only neighbour.

    The partition's word weights come from the stored questions, in order.

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
    cosines: list[float] = []
    vetoes: list[str] = []
    evidence = []
    for start in range(0, len(pairs.pairs), _BLOCK):
        block = pairs.pairs[start : start + _BLOCK]
        embedded = await embeddings.of([text for pair in block for text in (pair.asked, pair.stored)])
        for pair, asked, stored in zip(block, embedded[::2], embedded[1::2], strict=True):
            (judgement,) = verifier.judge((pair.asked, asked), [(pair.stored, stored)], vocabulary)
            cosine = similarity(asked, stored)
            unasked = TOO_LONG if asked is None or stored is None else BELOW_FLOOR if cosine < floor else ""
            cosines.append(cosine)
            vetoes.append(unasked or judgement.veto)
            evidence.append(judgement.evidence)
        advance(len(block))
    return JudgedPairs(
        pairs.name,
        np.array([pair.right for pair in pairs.pairs]),
        [pair.category for pair in pairs.pairs],
        np.array(cosines),
        vetoes,
        np.array(evidence, np.float64),
    )

"""Embedders and verifiers that can be measured, by name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.embedders.minilm import MiniLMEmbedder
from askonce.matching.calibration import Calibration
from askonce.matching.verifier import Candidate, LexicalVerifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from askonce.evaluation.embeddings import Embedded
    from askonce.matching.calibration import Evidence
    from askonce.matching.vocabulary import Vocabulary
    from askonce.ports import Embedder

__all__ = ["EMBEDDERS", "VERIFIERS", "Judgement", "LexicalJudge", "similarity"]

_SMALLEST: Final = 1e-9


class Judgement(NamedTuple):
    """What a verifier says of one candidate: a guard's reason code or "", and the evidence for its last layer."""

    veto: str
    evidence: Evidence


class LexicalJudge:
    """The lexical verifier, its confidence's log odds as the only evidence."""

    calibration = Calibration(np.ones(1), 0.0)

    def __init__(self) -> None:
        self._verifier = LexicalVerifier()

    def judge(
        self,
        asked: tuple[str, Embedded],
        candidates: Sequence[tuple[str, Embedded]],
        vocabulary: Vocabulary,
    ) -> list[Judgement]:
        """One judgement for each candidate, in order."""
        text, embedding = asked
        judgements = []
        for stored, other in candidates:
            candidate = Candidate(stored, similarity(embedding, other))
            verdict = self._verifier.verify(text, candidate, None, vocabulary)
            chance = min(1 - _SMALLEST, max(_SMALLEST, verdict.confidence))
            evidence = np.array([math.log(chance / (1 - chance))], np.float32)
            judgements.append(Judgement(verdict.reason if verdict.confidence == 0 else "", evidence))
        return judgements


def similarity(one: Embedded, other: Embedded) -> float:
    """Cosine of two embeddings; -1 where there is none, so that nothing accepts the pair."""
    return -1.0 if one is None or other is None else float(one.vector @ other.vector)


EMBEDDERS: Final[Mapping[str, Callable[[], Embedder]]] = {"minilm": lambda: MiniLMEmbedder(workers=2)}
VERIFIERS: Final[Mapping[str, Callable[[], LexicalJudge]]] = {"lexical": LexicalJudge}

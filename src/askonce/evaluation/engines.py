"""Embedders and verifiers that can be measured, by name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.embedders.minilm import MiniLMEmbedder
from askonce.matching import lexical
from askonce.matching.calibration import Calibration
from askonce.matching.verifier import Asked, Candidate, Judgement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from askonce.embedders.onnx import Projection
    from askonce.matching.verifier import Verifier
    from askonce.matching.vocabulary import Vocabulary
    from askonce.ports import Embedder

__all__ = ["EMBEDDERS", "VERIFIERS", "Chosen"]

_SMALLEST: Final = 1e-9


class Chosen(NamedTuple):
    """A verifier, and what it keeps of each token; None where it looks at no tokens."""

    verifier: Verifier
    projection: Projection | None


class LexicalJudge:
    """The lexical verifier, its confidence's log odds as the only evidence."""

    calibration = Calibration(np.ones(1), 0.0)

    def judge(
        self,
        asked: Asked,
        candidates: Sequence[Candidate],
        vocabulary: Vocabulary,
        crowd: Sequence[float] = (),  # noqa: ARG002 - the protocol's
    ) -> list[Judgement]:
        """One judgement for each candidate, in order."""
        judgements = []
        for candidate in candidates:
            near = lexical.Candidate(candidate.text, candidate.similarity)
            verdict = lexical.LexicalVerifier().verify(asked.text, near, None, vocabulary)
            chance = min(1 - _SMALLEST, max(_SMALLEST, verdict.confidence))
            evidence = np.array([math.log(chance / (1 - chance))], np.float32)
            judgements.append(Judgement(verdict.reason if verdict.confidence == 0 else "", "", evidence))
        return judgements


EMBEDDERS: Final[Mapping[str, Callable[[Projection | None], Embedder]]] = {
    "minilm": lambda projection: MiniLMEmbedder(project=projection, workers=2)
}
VERIFIERS: Final[Mapping[str, Callable[[], Chosen]]] = {"lexical": lambda: Chosen(LexicalJudge(), None)}

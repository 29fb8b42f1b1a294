"""Interim: the lexical verifier behind the new protocol, until the trained weights are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from askonce.embedders.onnx import Projection
from askonce.matching.calibration import Calibration
from askonce.matching.lexical import Candidate as Old
from askonce.matching.lexical import LexicalVerifier
from askonce.matching.verifier import Asked, Candidate, Judgement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.matching.vocabulary import Vocabulary

PROJECTION = Projection(lambda states: np.zeros((len(states), 64), np.int8), "interim")


class Interim:
    """See above."""

    calibration = Calibration(np.array([1.0]), 0.0)

    def judge(
        self,
        asked: Asked,
        candidates: Sequence[Candidate],
        vocabulary: Vocabulary,
        crowd: Sequence[float] = (),  # noqa: ARG002
    ) -> list[Judgement]:
        """See above."""
        found = []
        for one in candidates:
            v = LexicalVerifier().verify(asked.text, Old(one.text, one.similarity), None, vocabulary)
            veto = "" if v.reason in {"match", "low-confidence"} else v.reason
            found.append(Judgement(veto, "", np.array([12.0 if v.accepted else -3.0], np.float32)))
        return found

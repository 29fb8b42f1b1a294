"""The semantic tier on a stream of texts: the verifier on the nearest stored questions, under a budget kept by audits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from askonce.evaluation.budgeted import BudgetedPolicy, _Best
from askonce.matching.neighbourhood import Record
from askonce.matching.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from askonce.evaluation.budgeted import Rules
    from askonce.evaluation.questions import Embeddable
    from askonce.matching.verifier import Verifier

__all__ = ["TierPolicy"]


class TierPolicy(BudgetedPolicy):
    """A partition as the gateway keeps one: guards, evidence and word weights from the texts themselves.

    Args:
        rules: With the verifier's own calibration.
        questions: The stream's, in order of arrival; None for one that the tier has nothing to do with.
        verifier: Under test.
        floor: Cosine below which a stored question isn't considered.
    """

    def __init__(
        self, rules: Rules, questions: Sequence[Embeddable | None], verifier: Verifier, floor: float = -1.0
    ) -> None:
        super().__init__(rules, len(questions))
        self._questions = questions
        self._verifier = verifier
        self._floor = floor
        self._vocabulary = Vocabulary()

    def _ranked(self, rows: NDArray[np.int64], similarities: NDArray[np.float32]) -> list[_Best]:
        asked = self._questions[len(similarities)]
        found = [(int(self._classes[row]), self._questions[self._places[row]]) for row in rows]
        known = [(answer, question) for answer, question in found if question is not None]
        if asked is None or not known:
            return []
        candidates = [
            question.candidate(asked, answer.to_bytes(8, "big"), self._records.get(answer, Record()))
            for answer, question in known
        ]
        judged = self._verifier.judge(asked.asked(), candidates, self._vocabulary)
        chances = self._calibration.probabilities(np.stack([each.evidence for each in judged]))
        ranked: dict[int, _Best] = {}
        for place in np.argsort(-chances, kind="stable").tolist():
            answer, _ = known[place]
            if not judged[place].veto and candidates[place].similarity >= self._floor:
                ranked.setdefault(answer, _Best(answer, judged[place].evidence, float(chances[place])))
        return list(ranked.values())

    def _store(self, place: int, truth: int, joined: int | None) -> None:
        super()._store(place, truth, joined)
        question = self._questions[place]
        if question is not None:
            self._vocabulary.add(question.text)

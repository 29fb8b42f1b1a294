"""The semantic tier's eyes for a stream of texts: the packaged verifier's guards, evidence and word weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.matching.vocabulary import Vocabulary
from askonce.pipeline.strictness import adjustments, tightened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.evaluation.budgeted import Known
    from askonce.evaluation.questions import Embeddable
    from askonce.matching.calibration import Evidence
    from askonce.matching.verifier import Verifier

__all__ = ["WordEyes"]


class WordEyes:
    """A partition as the gateway keeps one: guards, evidence and word weights from the texts themselves.

    Args:
        questions: The stream's, in order of arrival; None for one that the tier has nothing to do with.
        verifier: Under test.
        floor: Cosine below which a stored question may not answer.
        strict: Whether the bar is higher for questions of few words, as the gateway has it.
    """

    def __init__(
        self,
        questions: Sequence[Embeddable | None],
        verifier: Verifier,
        *,
        floor: float = -1.0,
        strict: bool = True,
    ) -> None:
        self._questions = questions
        self._verifier = verifier
        self._floor = floor
        self._strict = strict
        self._vocabulary = Vocabulary()

    def weigh(self, place: int, near: Sequence[Known]) -> list[Evidence | None]:
        """See `Eyes.weigh`."""
        asked = self._questions[place]
        stored = [(number, self._questions[one.place]) for number, one in enumerate(near)]
        known = [(number, question) for number, question in stored if question is not None]
        weighed: list[Evidence | None] = [None] * len(near)
        if asked is None or not known:
            return weighed
        candidates = [
            question.candidate(asked, near[number].answer.to_bytes(8, "big"), near[number].record)
            for number, question in known
        ]
        judged = self._verifier.judge(asked.asked(), candidates, self._vocabulary)
        for (number, _), candidate, judgement in zip(known, candidates, judged, strict=True):
            if not judgement.veto and candidate.similarity >= self._floor:
                weighed[number] = judgement.evidence
        return weighed

    def bar(self, place: int, threshold: float) -> float:
        """Tightened where few words carry the question."""
        asked = self._questions[place]
        if asked is None or not self._strict:
            return threshold
        return tightened(threshold, adjustments(asked.text, 1))

    def stored(self, place: int) -> None:
        """Its words count in the partition's weights."""
        question = self._questions[place]
        if question is not None:
            self._vocabulary.add(question.text)

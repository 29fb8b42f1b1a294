"""Verdicts on neighbours: the verifier's evidence, weighed as the feature serves now and by what was judged before."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import structlog

from askonce.matching.verifier import Asked, Candidate
from askonce.matching.vocabulary import Vocabulary
from askonce.pipeline.decision import Decision, Finding
from askonce.pipeline.strictness import Bar, adjustments, tightened
from askonce.pipeline.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.matching.verifier import Judgement, Verifier
    from askonce.model import Neighbour, Policy, Question, Tokens
    from askonce.pipeline.budgets import Budgets
    from askonce.pipeline.records import Records
    from askonce.pipeline.strictness import Adjustment

__all__ = ["Verdicts"]

_INLINE_TOKENS: Final = 400
"""Of the asked question and its candidates together: verdicts on so many (some 3 ms) are made on the event loop."""
_INLINE_CHARACTERS: Final = 4_000
"""The same by length: a word of any number of letters may be a single token."""
_MOST_LONG: Final = 8
"""Verdicts on longer ones that may wait for a thread."""
_PARTITIONS: Final = 4096
_log = structlog.get_logger("askonce.semantic")


class Verdicts:
    """Decides on neighbours, knowing what each partition's words are worth."""

    def __init__(self, verifier: Verifier, budgets: Budgets, records: Records) -> None:
        self._verifier = verifier
        self._budgets = budgets
        self._records = records
        self._vocabularies: OrderedDict[bytes, Vocabulary] = OrderedDict()
        self._threads = Threads(1, "matching")

    def learn(self, partition: bytes, text: str) -> None:
        """A question was asked in a partition."""
        self._vocabulary(partition).add(text)

    async def judge(
        self, question: Question, neighbours: Sequence[Neighbour], policy: Policy, turns: int
    ) -> Finding:
        """What is decided about an embedded question's neighbours, the nearest first. Never raises."""
        others = [neighbour for neighbour in neighbours if neighbour.key != question.key]
        near = [(one, self._candidate(one, one.tokens)) for one in others if one.tokens is not None]
        if question.tokens is None or not near:
            return Finding((), "no-neighbour", question)
        count = sum(neighbour.similarity >= policy.similarity_floor for neighbour, _ in near)
        if not count:
            return Finding((), "below-floor", question)
        asked = Asked(question.text, question.tokens)
        candidates = [candidate for _, candidate in near]
        try:
            verdicts = await self._judged(asked, candidates, question.partition, turns)
        except Exception:  # noqa: BLE001 - a bug in judging some text must not cost the answer
            _log.exception("verifier failed")
            return Finding((), "verifier-failed", question)
        if verdicts is None:
            return Finding((), "verifier-busy", question)
        judged, strict = verdicts
        bar = self._bar(policy, strict)
        decisions = [
            self._decide(bar, question, neighbour, judgement)
            for (neighbour, _), judgement in zip(near[:count], judged[:count], strict=True)
        ]
        decisions.sort(key=lambda decision: (decision.vetoed, -decision.probability))
        return Finding(tuple(decisions), decisions[0].reason, question)

    def close(self) -> None:
        """Drops what waits for the thread."""
        self._threads.close()

    async def _judged(
        self, asked: Asked, candidates: Sequence[Candidate], partition: bytes, turns: int
    ) -> tuple[list[Judgement], list[Adjustment]] | None:
        """Verdicts, and what tightens them; None where too many long ones wait.

        Long texts take tens of milliseconds, for which nobody else waits.
        """
        vocabulary = self._vocabulary(partition)

        def judge() -> tuple[list[Judgement], list[Adjustment]]:
            return self._verifier.judge(asked, candidates, vocabulary), adjustments(asked.text, turns)

        tokens = len(asked.tokens.ids) + sum(len(one.tokens.ids) for one in candidates)
        characters = len(asked.text) + sum(len(one.text) for one in candidates)
        if tokens <= _INLINE_TOKENS and characters <= _INLINE_CHARACTERS:
            return judge()
        return await self._threads.run(judge) if self._threads.waiting < _MOST_LONG else None

    def _candidate(self, neighbour: Neighbour, tokens: Tokens) -> Candidate:
        record = self._records.of(neighbour.answer)
        return Candidate(neighbour.text, neighbour.similarity, tokens, neighbour.answer, record)

    def _bar(self, policy: Policy, strict: list[Adjustment]) -> Bar:
        serving = self._budgets.serving(policy.feature)
        return Bar(
            serving.calibration,
            serving.threshold,
            tightened(serving.threshold, strict),
            strict[0].reason if strict else "",
        )

    def _decide(self, bar: Bar, question: Question, neighbour: Neighbour, judgement: Judgement) -> Decision:
        """Whether a candidate's answer may be served: no veto, no earlier verdict against it, and likely enough."""
        refused = self._records.refused(question.key, neighbour.answer, neighbour.key)
        forbidden = judgement.veto or ("judged-wrong" if refused else "")
        probability = bar.calibration.probability(judgement.evidence)
        return Decision(
            question=question.key,
            key=neighbour.key,
            answer=neighbour.answer,
            probability=probability,
            threshold=bar.threshold,
            reason=forbidden or bar.reason(probability, judgement.doubt),
            vetoed=bool(forbidden),
            evidence=judgement.evidence,
        )

    def forget(self, partition: bytes) -> None:
        """Forgets what a partition's words have taught."""
        if partition in self._vocabularies:
            self._vocabularies[partition] = Vocabulary()

    async def teach(self, partition: bytes, texts: Sequence[str]) -> None:
        """Learns from texts in place of what was learned since it was forgotten: in the thread, a third of a second for all."""
        blank = self._vocabularies.get(partition)
        if blank is None:
            return
        learned = await self._threads.run(Vocabulary, texts)
        if self._vocabularies.get(partition) is blank:
            self._vocabularies[partition] = learned

    def _vocabulary(self, partition: bytes) -> Vocabulary:
        vocabulary = self._vocabularies.get(partition)
        if vocabulary is None:
            vocabulary = self._vocabularies[partition] = Vocabulary()
            if len(self._vocabularies) > _PARTITIONS:
                self._vocabularies.popitem(last=False)
        else:
            self._vocabularies.move_to_end(partition)
        return vocabulary

"""The semantic tier: which stored or running request asks the same in other words.

Recall by nearest neighbours within one partition (same scope, same context), then the verifier's verdict on each
candidate. Similarity alone never serves anything. The index holds vectors of one embedder only: those that another
engine left in the store are made anew. The tier knows keys, not answers: the gateway finds out whether a match's
answer is stored, still under way, or gone.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from askonce.errors import EmbedderUnavailable
from askonce.matching.conversation import refers_back
from askonce.matching.verifier import Asked, Candidate
from askonce.matching.vocabulary import Vocabulary
from askonce.model import Question, SemanticMode
from askonce.pipeline.decision import Decision, Finding
from askonce.pipeline.strictness import Bar, adjustments, tightened
from askonce.pipeline.threads import Threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence

    from askonce.matching.verifier import Judgement, Verifier
    from askonce.model import Neighbour, Request, Tokens
    from askonce.pipeline.budgets import Budgets
    from askonce.pipeline.records import Records
    from askonce.pipeline.strictness import Adjustment
    from askonce.ports import Embedder, Embedding, Index, Observer

__all__ = ["SemanticTier"]

_CANDIDATES: Final = 10
_PATIENCE_S: Final = 0.5
"""How long a request waits for its vector: a stuck embedder costs this much, once per flight, and no more."""
_INLINE_TOKENS: Final = 400
"""Of the asked question and its candidates together: verdicts on so many (some 3 ms) are made on the event loop."""
_INLINE_CHARACTERS: Final = 4_000
"""The same by length: a word of any number of letters may be a single token."""
_MOST_LONG: Final = 8
"""Verdicts on longer ones that may wait for a thread."""
_PARTITIONS: Final = 4096
_BACKLOG: Final = 10_000
_LOADED_AT_ONCE: Final = 20
"""Questions taken over between two looks at what else there is to do."""
_log = structlog.get_logger("askonce.semantic")


class SemanticTier:
    """Finds equivalent requests, and remembers questions."""

    def __init__(
        self,
        embedder: Embedder | None,
        index: Index,
        verifier: Verifier,
        *,
        budgets: Budgets,
        records: Records,
        observer: Observer,
    ) -> None:
        self._embedder = embedder
        self._index = index
        self._verifier = verifier
        self._budgets = budgets
        self._records = records
        self._observer = observer
        self._vocabularies: OrderedDict[bytes, Vocabulary] = OrderedDict()
        self._backlog: deque[Question] = deque(maxlen=_BACKLOG)
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads = Threads(1, "matching")
        self.loaded = 0
        """Questions taken over from the store at start."""
        self.loading = False

    def applies(self, request: Request) -> bool:
        """Whether the tier has any business with a request."""
        return self._embedder is not None and request.policy.semantic is not SemanticMode.OFF

    @property
    def backlog(self) -> int:
        """Questions that still wait for their vector."""
        return len(self._backlog)

    async def find(self, request: Request) -> Finding:
        """Equivalent requests within the asked partition. Never raises."""
        finding = await self._find(request)
        mode = self._budgets.mode(request.policy)
        self._observer.semantic(request.policy.feature, mode.value, finding.reason)
        return finding

    async def weigh(self, request: Request) -> Sequence[Decision]:
        """What would be decided about a request now: for audits, counted nowhere. Never raises."""
        return (await self._find(request)).decisions

    async def describe(self, request: Request) -> Question | None:
        """A request's question, embedded; None where that can't be done now. Never raises."""
        question = self.question(request)
        if question is None or self._embedder is None:
            return None
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return _embedded(question, await self._embedder.embed(question.text))
        except (EmbedderUnavailable, TimeoutError):
            return None

    def question(self, request: Request) -> Question | None:
        """What a request asks, not embedded yet; None where the tier doesn't apply to it."""
        ask = request.ask
        if self._embedder is None or ask.text is None or ask.partition is None or ask.exact_key is None:
            return None
        key = ask.exact_key
        return Question(key, ask.partition, ask.text, self._embedder.engine, None, None, answer=key)

    def add(self, question: Question) -> None:
        """Makes a question findable, at once or once the embedder is there."""
        if question.vector is None:
            self._backlog.append(question)
            return
        self._index.add(question)
        self._vocabulary(question.partition).add(question.text)

    def reclass(self, key: bytes, answer: bytes) -> None:
        """Gives a question another answer's class."""
        self._index.reclass(key, answer)

    def forget(self, key: bytes) -> None:
        """Makes a question unfindable: its answer is gone, or never came."""
        self._index.remove(key)

    def start(self, stored: AsyncIterator[Sequence[Question]]) -> None:
        """Begins, in the background, to take over the stored questions and to embed those without a vector."""
        if self._embedder is not None:
            self.in_background(self._load(stored, self._embedder))

    def in_background(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Runs work that no request waits for; it ends with the tier."""
        task = asyncio.create_task(work, name="semantic")  # noqa: TID251 - the tier owns its tasks
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Ends what runs in the background, and the embedder."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.close()
        if self._embedder is not None:
            await self._embedder.close()

    async def _find(self, request: Request) -> Finding:
        ask = request.ask
        question = self.question(request)
        if self._embedder is None or not self.applies(request):
            return Finding((), "semantic-off", None)
        if question is None:
            return Finding((), ask.unmatched or ask.unshared, None)
        if ask.turns > 1 and refers_back(question.text):
            return Finding((), "refers-back", None)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                embedding = await self._embedder.embed(question.text)
                neighbours = await self._index.search(question.partition, embedding.vector, _CANDIDATES)
        except EmbedderUnavailable as unavailable:
            return Finding(
                (), unavailable.reason, None if unavailable.reason == "text-too-long" else question
            )
        except TimeoutError:
            return Finding((), "embedder-slow", question)
        return await self._judge(request, neighbours, _embedded(question, embedding))

    async def _judge(self, request: Request, neighbours: Sequence[Neighbour], question: Question) -> Finding:
        others = [neighbour for neighbour in neighbours if neighbour.key != question.key]
        near = [(one, self._candidate(one, one.tokens)) for one in others if one.tokens is not None]
        if question.tokens is None or not near:
            return Finding((), "no-neighbour", question)
        count = sum(neighbour.similarity >= request.policy.similarity_floor for neighbour, _ in near)
        if not count:
            return Finding((), "below-floor", question)
        asked = Asked(question.text, question.tokens)
        candidates = [candidate for _, candidate in near]
        try:
            verdicts = await self._judged(asked, candidates, question.partition, request.ask.turns)
        except Exception:  # noqa: BLE001 - a bug in judging some text must not cost the answer
            _log.exception("verifier failed")
            return Finding((), "verifier-failed", question)
        if verdicts is None:
            return Finding((), "verifier-busy", question)
        judged, strict = verdicts
        bar = self._bar(request, strict)
        decisions = [
            self._decide(bar, question, neighbour, judgement)
            for (neighbour, _), judgement in zip(near[:count], judged[:count], strict=True)
        ]
        decisions.sort(key=lambda decision: (decision.vetoed, -decision.probability))
        return Finding(tuple(decisions), decisions[0].reason, question)

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

    def _bar(self, request: Request, strict: list[Adjustment]) -> Bar:
        serving = self._budgets.serving(request.policy.feature)
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

    def _vocabulary(self, partition: bytes) -> Vocabulary:
        vocabulary = self._vocabularies.get(partition)
        if vocabulary is None:
            vocabulary = self._vocabularies[partition] = Vocabulary()
            if len(self._vocabularies) > _PARTITIONS:
                self._vocabularies.popitem(last=False)
        else:
            self._vocabularies.move_to_end(partition)
        return vocabulary

    async def _load(self, stored: AsyncIterator[Sequence[Question]], embedder: Embedder) -> None:
        self.loading = True
        began = asyncio.get_running_loop().time()
        async for batch in stored:
            for question in batch:
                current = question.engine == embedder.engine
                self.add(
                    question
                    if current
                    else replace(question, engine=embedder.engine, vector=None, tokens=None)
                )
                self.loaded += 1
                if self.loaded % _LOADED_AT_ONCE == 0:
                    await asyncio.sleep(0)
            _log.debug("index rebuilding", questions=self.loaded)
        self.loading = False
        seconds = round(asyncio.get_running_loop().time() - began, 3)
        _log.info("index rebuilt", questions=self.loaded, seconds=seconds, to_embed=len(self._backlog))
        if await embedder.ready():
            await self._catch_up(embedder)

    async def _catch_up(self, embedder: Embedder) -> None:
        """Embeds questions that were asked before the embedder was ready, one at a time, behind all else."""
        while True:
            if not self._backlog:
                await asyncio.sleep(1)
                continue
            question = self._backlog.popleft()
            try:
                embedding = await embedder.embed(question.text)
            except EmbedderUnavailable as unavailable:
                if unavailable.reason == "embedder-busy":
                    self._backlog.append(question)
                    await asyncio.sleep(1)
                continue
            self.add(_embedded(question, embedding))


def _embedded(question: Question, embedding: Embedding) -> Question:
    return replace(question, vector=embedding.vector, tokens=embedding.tokens)

"""The semantic tier: which stored or running request asks the same in other words.

Recall by nearest neighbours within one partition (same scope, same context), then the verifier's verdict on each
candidate. Similarity alone never serves anything. The index holds vectors of one embedder only: those that another
engine left in the store are made anew. The tier knows keys, not answers: the gateway finds out whether a match's
answer is stored, still under way, or gone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog

from askonce.errors import EmbedderUnavailable
from askonce.matching.conversation import refers_back
from askonce.matching.vocabulary import ENOUGH_TEXTS
from askonce.model import Question, SemanticMode
from askonce.pipeline.decision import Decision, Finding
from askonce.pipeline.verdicts import Verdicts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Coroutine, Sequence

    from askonce.matching.verifier import Verifier
    from askonce.model import Neighbour, Policy, Request
    from askonce.pipeline.budgets import Budgets
    from askonce.pipeline.records import Records
    from askonce.ports import Embedder, Embedding, Index, Observer

__all__ = ["Examination", "SemanticTier"]

_CANDIDATES: Final = 10
_PATIENCE_S: Final = 0.5
"""How long a request waits for its vector: a stuck embedder costs this much, once per flight, and no more."""
_BACKLOG: Final = 10_000
_JUDGED_TOGETHER: Final = 5
_ERASED_AT_ONCE: Final = 1_000
_LOADED_AT_ONCE: Final = 20
"""Questions taken over between two looks at what else there is to do."""
_log = structlog.get_logger("askonce.semantic")


@dataclass(frozen=True, slots=True)
class Examination:
    """What a look-up sees: its finding, and all neighbours that it was made of, most similar first."""

    finding: Finding
    neighbours: tuple[Neighbour, ...] = ()


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
        self._verdicts = Verdicts(verifier, budgets, records)
        self._budgets = budgets
        self._observer = observer
        self._backlog: deque[Question] = deque(maxlen=_BACKLOG)
        self._tasks: set[asyncio.Task[None]] = set()
        self.loaded = 0
        """Questions taken over from the store at start."""
        self.loading = False
        self._erased: set[bytes] = set()
        self._embedding: bytes | None = None
        """Key of the question that is embedded behind all else; None once that is erased."""

    def applies(self, request: Request) -> bool:
        """Whether the tier has any business with a request."""
        return self._embedder is not None and request.policy.semantic is not SemanticMode.OFF

    @property
    def engine(self) -> str:
        """Identity of the vectors that are compared; "" without an embedder."""
        return "" if self._embedder is None else self._embedder.engine

    @property
    def dimensions(self) -> int:
        """Length of those vectors; 0 without an embedder."""
        return 0 if self._embedder is None else self._embedder.dimensions

    @property
    def backlog(self) -> int:
        """Questions that still wait for their vector."""
        return len(self._backlog)

    async def find(self, request: Request) -> Finding:
        """Equivalent requests within the asked partition. Never raises."""
        finding = (await self.examine(request)).finding
        mode = self._budgets.mode(request.policy)
        self._observer.semantic(request.policy.feature, mode.value, finding.reason)
        return finding

    async def examine(self, request: Request) -> Examination:
        """What a look-up sees now: counted nowhere. Never raises."""
        ask = request.ask
        question = self.question(request)
        if self._embedder is None or not self.applies(request):
            return Examination(Finding((), "semantic-off", None))
        if question is None:
            return Examination(Finding((), ask.unmatched or ask.unshared, None))
        if ask.turns > 1 and refers_back(question.text):
            return Examination(Finding((), "refers-back", None))
        try:
            async with asyncio.timeout(_PATIENCE_S):
                embedding = await self._embedder.embed(question.text)
                neighbours = await self._index.search(question.partition, embedding.vector, _CANDIDATES)
        except EmbedderUnavailable as unavailable:
            findable = None if unavailable.reason == "text-too-long" else question
            return Examination(Finding((), unavailable.reason, findable))
        except TimeoutError:
            return Examination(Finding((), "embedder-slow", question))
        finding = await self._verdicts.judge(
            _embedded(question, embedding), neighbours, request.policy, ask.turns
        )
        return Examination(finding, tuple(neighbours))

    async def weigh(self, request: Request) -> Sequence[Decision]:
        """What would be decided about a request now: for audits, counted nowhere. Never raises."""
        return (await self.examine(request)).finding.decisions

    async def neighbourhood(
        self, question: Question, partition: bytes, policy: Policy, count: int
    ) -> Examination:
        """Verdicts on so many neighbours of an embedded question in any partition, as if it were asked there.

        They are judged a few at a time: a look-up hears the nearest ones alone. Counted nowhere.
        """
        if question.vector is None:
            raise ValueError("a question without vector has no neighbours")
        asked = replace(question, partition=partition)
        neighbours = await self._index.search(partition, question.vector, count)
        decisions: list[Decision] = []
        for start in range(0, len(neighbours), _JUDGED_TOGETHER):
            some = neighbours[start : start + _JUDGED_TOGETHER]
            decisions += (await self._verdicts.judge(asked, some, policy, 1)).decisions
        decisions.sort(key=lambda decision: (decision.vetoed, -decision.probability))
        reason = decisions[0].reason if decisions else "no-neighbour"
        return Examination(Finding(tuple(decisions), reason, asked), tuple(neighbours))

    async def describe(self, request: Request) -> Question | None:
        """A request's question, embedded; None where that can't be done now. Never raises."""
        question = self.question(request)
        return None if question is None else await self._embed(question)

    async def embedded(self, text: str) -> Question | None:
        """A text as a question that nobody has asked; None where it can't be embedded now. Never raises."""
        engine = "" if self._embedder is None else self._embedder.engine
        return await self._embed(Question(b"", b"", text, engine, None, None, b""))

    async def _embed(self, question: Question) -> Question | None:
        if self._embedder is None:
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
        self._verdicts.learn(question.partition, question.text)

    def reclass(self, key: bytes, answer: bytes) -> None:
        """Gives a question another answer's class."""
        self._index.reclass(key, answer)

    def partition(self, key: bytes) -> bytes | None:
        """Where a question can be found; None where there is none of that key."""
        return self._index.partition(key)

    def text(self, key: bytes) -> str | None:
        """A question that can be found; None where there is none of that key."""
        return self._index.text(key)

    def forget(self, key: bytes) -> None:
        """Makes a question unfindable: its answer is gone, or never came."""
        self._index.remove(key)

    async def erase(self, keys: Collection[bytes]) -> None:
        """Forgets questions for good: also what their words taught, and those that wait for their vector."""
        gone = set(keys)
        left = [one for one in self._backlog if one.key not in gone]
        self._backlog.clear()
        self._backlog.extend(left)
        if self._embedding in gone:
            self._embedding = None
        if self.loading:
            self._erased |= gone
        partitions = set[bytes]()
        for number, key in enumerate(gone):
            partition = self._index.partition(key)
            if partition is not None:
                partitions.add(partition)
                self._index.remove(key)
            if number % _ERASED_AT_ONCE == 0:
                await asyncio.sleep(0)
        for partition in partitions:
            self._verdicts.forget(partition)
        self.in_background(self._teach(partitions))

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
        self._verdicts.close()
        if self._embedder is not None:
            await self._embedder.close()

    async def _load(self, stored: AsyncIterator[Sequence[Question]], embedder: Embedder) -> None:
        self.loading = True
        began = asyncio.get_running_loop().time()
        async for batch in stored:
            for question in batch:
                if question.key in self._erased:
                    continue
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
        self._erased.clear()
        seconds = round(asyncio.get_running_loop().time() - began, 3)
        _log.info("index rebuilt", questions=self.loaded, seconds=seconds, to_embed=len(self._backlog))
        if await embedder.ready():
            await self._catch_up(embedder)

    async def _teach(self, partitions: Collection[bytes]) -> None:
        """What the questions that are left say of their partitions' words."""
        for partition in partitions:
            await self._verdicts.teach(partition, self._index.texts(partition, ENOUGH_TEXTS))

    async def _catch_up(self, embedder: Embedder) -> None:
        """Embeds questions that were asked before the embedder was ready, one at a time, behind all else."""
        while True:
            if not self._backlog:
                await asyncio.sleep(1)
                continue
            question = self._backlog.popleft()
            self._embedding = question.key
            try:
                embedding = await embedder.embed(question.text)
            except EmbedderUnavailable as unavailable:
                if unavailable.reason == "embedder-busy" and self._embedding is not None:
                    self._backlog.append(question)
                    await asyncio.sleep(1)
                continue
            if self._embedding is not None:
                self.add(_embedded(question, embedding))


def _embedded(question: Question, embedding: Embedding) -> Question:
    return replace(question, vector=embedding.vector, tokens=embedding.tokens)

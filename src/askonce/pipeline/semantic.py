"""The semantic tier: which stored or running request asks the same in other words.

Recall by nearest neighbours within one partition (same scope, same context), then the verifier's verdict on each
candidate. Similarity alone never serves anything. The index holds vectors of one embedder only: those that another
engine left in the store are made anew. The tier knows keys, not answers: the gateway finds out whether a match's
answer is stored, still under way, or gone.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog

from askonce.errors import EmbedderUnavailable
from askonce.matching.conversation import refers_back
from askonce.matching.verifier import Candidate
from askonce.matching.vocabulary import Vocabulary
from askonce.model import Question, SemanticMode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence

    from askonce.matching.verifier import Verifier
    from askonce.model import Neighbour, Request
    from askonce.ports import Embedder, Index, Observer

__all__ = ["Finding", "Match", "SemanticTier"]

_CANDIDATES: Final = 5
_PATIENCE_S: Final = 0.5
"""How long a request waits for its vector: a stuck embedder costs this much, once per flight, and no more."""
_PARTITIONS: Final = 4096
_BACKLOG: Final = 10_000
_LOADED_AT_ONCE: Final = 20
"""Questions taken over between two looks at what else there is to do."""
_log = structlog.get_logger("askonce.semantic")


@dataclass(frozen=True, slots=True)
class Match:
    """A request whose answer serves this one too, with the verifier's confidence."""

    key: bytes
    confidence: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look-up brought.

    Attributes:
        matches: Approved candidates, most confident first.
        reason: Stable reason code: `match`, or why there is none.
        question: What to add under the asked key, should its answer be kept; None where the tier doesn't apply.
    """

    matches: tuple[Match, ...]
    reason: str
    question: Question | None


class SemanticTier:
    """Finds equivalent requests, and remembers questions."""

    def __init__(
        self, embedder: Embedder | None, index: Index, verifier: Verifier, observer: Observer
    ) -> None:
        self._embedder = embedder
        self._index = index
        self._verifier = verifier
        self._observer = observer
        self._vocabularies: OrderedDict[bytes, Vocabulary] = OrderedDict()
        self._backlog: deque[Question] = deque(maxlen=_BACKLOG)
        self._tasks: set[asyncio.Task[None]] = set()
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
        policy = request.policy
        self._observer.semantic(policy.feature, policy.semantic.value, finding.reason)
        return finding

    def add(self, question: Question) -> None:
        """Makes a question findable, at once or once the embedder is there."""
        if question.vector is None:
            self._backlog.append(question)
            return
        self._index.add(question)
        self._vocabulary(question.partition).add(question.text)

    def forget(self, key: bytes) -> None:
        """Makes a question unfindable: its answer is gone, or never came."""
        self._index.remove(key)

    def start(self, stored: AsyncIterator[Sequence[Question]]) -> None:
        """Begins, in the background, to take over the stored questions and to embed those without a vector."""
        if self._embedder is not None:
            self.in_background(self._load(stored, self._embedder))

    def in_background(self, work: Coroutine[object, object, None]) -> None:
        """Runs work that no request waits for; it ends with the tier."""
        task = asyncio.create_task(work, name="semantic")  # noqa: TID251 - the tier owns its tasks
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Ends what runs in the background, and the embedder."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._embedder is not None:
            await self._embedder.close()

    async def _find(self, request: Request) -> Finding:
        ask = request.ask
        if self._embedder is None or not self.applies(request):
            return Finding((), "semantic-off", None)
        if ask.text is None or ask.partition is None or ask.exact_key is None:
            return Finding((), ask.unmatched or ask.unshared, None)
        if ask.turns > 1 and refers_back(ask.text):
            return Finding((), "refers-back", None)
        key = ask.exact_key
        question = Question(key, ask.partition, ask.text, self._embedder.engine, None, None, answer=key)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                embedding = await self._embedder.embed(ask.text)
                neighbours = await self._index.search(ask.partition, embedding.vector, _CANDIDATES)
        except EmbedderUnavailable as unavailable:
            return Finding(
                (), unavailable.reason, None if unavailable.reason == "text-too-long" else question
            )
        except TimeoutError:
            return Finding((), "embedder-slow", question)
        return self._judge(
            request, neighbours, replace(question, vector=embedding.vector, tokens=embedding.tokens)
        )

    def _judge(self, request: Request, neighbours: Sequence[Neighbour], question: Question) -> Finding:
        matches = []
        reason = "no-neighbour"
        vocabulary = self._vocabulary(question.partition)
        for neighbour in neighbours:
            if neighbour.key == question.key:
                continue
            if neighbour.similarity < request.policy.similarity_floor:
                reason = "below-floor" if reason == "no-neighbour" else reason
                break
            candidate = Candidate(neighbour.text, neighbour.similarity)
            verdict = self._verifier.verify(question.text, candidate, None, vocabulary)
            if verdict.accepted:
                matches.append(Match(neighbour.key, verdict.confidence))
            elif reason == "no-neighbour":
                reason = verdict.reason
        matches.sort(key=lambda match: -match.confidence)
        return Finding(tuple(matches), "match" if matches else reason, question)

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
            self.add(replace(question, vector=embedding.vector, tokens=embedding.tokens))

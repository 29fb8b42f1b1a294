"""The right to erasure: an owner's data leaves every part of a running gateway, and then every file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from askonce.matching.verifier import forget_texts

if TYPE_CHECKING:
    from collections.abc import Collection

    from askonce.gateway import Gateway
    from askonce.model import Owner, Request
    from askonce.wiring.adapters import Adapters
    from askonce.wiring.jobs import Jobs
    from askonce.wiring.semantics import Semantics

__all__ = ["Erasing", "Erasure"]


class Erasure(NamedTuple):
    """What was erased, or would be.

    Attributes:
        answers: Stored answers.
        links: Paraphrases that lead to answers.
        questions: Texts that answers and links are found by.
        jobs: Jobs of the batch lane.
        top_questions: Rows of the ledger's questions.
        flights: Calls under way, of which nothing will be kept.
        files: Files that were deleted: those that were moved aside earlier as corrupt.
    """

    answers: int
    links: int
    questions: int
    jobs: int
    top_questions: int
    flights: int = 0
    files: tuple[str, ...] = ()


class Erasing:
    """Erases, one owner after another.

    What is under way and what waits goes first, so that nothing of it comes back: then what the memory has, then the
    tables, then the bytes that the tables leave in the files.
    """

    def __init__(self, gateway: Gateway, adapters: Adapters, semantics: Semantics, jobs: Jobs) -> None:
        self._gateway = gateway
        self._adapters = adapters
        self._semantics = semantics
        self._jobs = jobs
        self._turn = asyncio.Lock()

    async def look(self, owner: Owner) -> Erasure:
        """What there is of an owner's. Raises Refusal, OSError."""
        kept = await self._adapters.store.owned(owner)
        return Erasure(
            answers=kept.entries,
            links=kept.links,
            questions=kept.questions,
            jobs=await self._jobs.store.owned(owner),
            top_questions=await self._adapters.ledger.questions_of(owner, kept.keys),
        )

    async def erase(self, owner: Owner) -> Erasure:
        """Erases an owner's data; where it fails in the middle, it can be repeated. Raises Refusal, OSError."""
        async with self._turn:
            flights = self._stop(owner)
            jobs = await self._jobs.store.erase(owner)
            # The books go by the keys that the store knows: as long as it does, a failure can be repeated.
            known = await self._adapters.store.owned(owner)
            questions = await self._adapters.ledger.erase(owner, known.keys)
            kept = await self._adapters.store.erase(owner)
            # What was looked up in the shadow of its answer may have come to be judged meanwhile.
            self._semantics.auditor.erase(owner)
            # What is under way can be found by its meaning, though it is stored nowhere.
            await self._unlearn({*kept.keys, *(request.ask.exact_key or b"" for request in flights)})
            files = [*await self._adapters.store.scrub(), *await self._adapters.ledger.scrub()]
            return Erasure(
                kept.entries, kept.links, kept.questions, jobs, questions, len(flights), tuple(files)
            )

    def _stop(self, owner: Owner) -> list[Request]:
        """Nothing that is under way is kept any more, and nothing that is remembered of requests; returns the former."""
        self._adapters.observer.erase(owner)
        flights = self._gateway.flights.erase(owner)
        self._gateway.forget_understood()
        self._semantics.auditor.erase(owner)
        self._jobs.results.erase(owner)
        self._adapters.live.erase(owner)
        self._adapters.recent.erase(owner)
        if self._adapters.embedder is not None:
            self._adapters.embedder.forget()
        forget_texts()
        return flights

    async def _unlearn(self, keys: Collection[bytes]) -> None:
        semantics = self._semantics
        await semantics.tier.erase(keys)
        semantics.links.erase(keys)
        semantics.records.erase(keys)
        self._adapters.live.forget(keys)

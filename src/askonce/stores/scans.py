"""Whole parts of the file's tables, in batches: behind what waits to be committed, and never in a request's way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from askonce.model import Audit, Link, Question
    from askonce.ports import Clock
    from askonce.stores.pending import Pending
    from askonce.stores.reader import Reader
    from askonce.stores.writer import Writer

__all__ = ["Scans"]

_QUESTIONS_AT_ONCE: Final = 500
_AUDITS_AT_ONCE: Final = 2_000


class Scans:
    """Reads tables to their end; where the disk fails, they end there."""

    def __init__(self, writer: Writer, reader: Reader, pending: Pending, clock: Clock) -> None:
        self._writer = writer
        self._reader = reader
        self._pending = pending
        self._clock = clock

    async def questions(self) -> AsyncIterator[Sequence[Question]]:
        """All live questions, in the order of their commits."""
        await self._writer.flush()
        after = 0
        while self._writer.readable:
            after, batch = await self._reader.questions(after, _QUESTIONS_AT_ONCE, self._clock.now())
            if batch:
                yield batch
            if not after:
                return

    async def audits(self, feature: str | None) -> AsyncIterator[Sequence[Audit]]:
        """A feature's audits (None: those of all), newest last, and then those that the disk doesn't take."""
        await self._writer.flush()
        after = 0
        while self._writer.readable:
            after, batch = await self._reader.audits(feature, after, _AUDITS_AT_ONCE)
            if batch:
                yield batch
            if not after:
                break
        waiting = self._pending.audits(feature)
        if waiting:
            yield waiting

    async def links_to(self, target: bytes) -> list[Link]:
        """The links that lead to an entry, some of them expired perhaps."""
        await self._writer.flush()
        return await self._reader.links_to(target) if self._writer.readable else []

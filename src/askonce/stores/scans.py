"""Whole parts of the file's tables, in batches: behind what waits to be committed, and never in a request's way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from askonce.model import Audit, Link, Question
    from askonce.ports import Clock, Kept, Listed, Selection
    from askonce.stores.memory import MemoryStore
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

    async def select(self, selection: Selection, memory: MemoryStore) -> AsyncIterator[Sequence[Listed]]:
        """What a selection means: in memory, then what waits for the disk, then on disk. Raises OSError."""
        await self._writer.flush()
        seen: set[bytes] = set()
        async for batch in memory.select(selection):
            seen.update(one.key for one in batch)
            yield batch
        waiting = [one for one in self._pending.listed() if selection.admits(one) and one.key not in seen]
        seen.update(one.key for one in waiting)
        yield waiting
        if not self._writer.readable:
            raise OSError("the store's file can't be read now")
        async for batch in self._reader.select(selection):
            yield [one for one in batch if one.key not in seen and self._pending.find(one.key) is None]

    async def contents(self, keys: Collection[bytes], memory: MemoryStore) -> list[Kept]:
        """Entries, whole: from the disk, or else from memory. Raises OSError."""
        await self._writer.flush()
        found = await self._reader.contents(keys)
        missing = set(keys) - {one.entry.key for one in found}
        return found + (await memory.contents(missing) if missing else [])

    async def link_keys(self, targets: Collection[bytes]) -> list[bytes]:
        """The keys of all links on disk that lead to any of the targets; none where it can't be read."""
        await self._writer.flush()
        return await self._reader.link_keys(targets) if self._writer.readable else []

    async def links_to(self, target: bytes) -> list[Link]:
        """The links that lead to an entry, some of them expired perhaps."""
        await self._writer.flush()
        return await self._reader.links_to(target) if self._writer.readable else []

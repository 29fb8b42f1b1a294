"""Answers in this process's memory, bounded in bytes."""

from __future__ import annotations

import secrets
from collections import deque
from heapq import heapify, heappop, heappush
from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from askonce.model import Stored
from askonce.ports import StoreHealth
from askonce.stores import audits, memory_rows
from askonce.stores.memory_rows import Row
from askonce.stores.worth import entry_bytes, expected_saving, link_bytes, rebased

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Sequence

    from askonce.model import Audit, Entry, Link, Owner, Question
    from askonce.ports import Clock, Erased, Kept, Listed, Selection

__all__ = ["MemoryStore"]

_STALE_ROWS: Final = 1_000
_LINK_SAVING_NANOUSD: Final = 100_000
"""What a link's hit is taken to save where its target isn't in memory: an answer of fifty assumed tokens."""


class MemoryStore:
    """The `Store` without a disk; also the memory tier of `SqliteStore`.

    Over the budget it forgets by GreedyDual-Size-Frequency (L. Cherkasova, "Improving WWW Proxies Performance
    with Greedy-Dual-Size-Frequency Caching Policy", HP Labs HPL-98-69R1, 1998): each row has the priority

        priority = L + frequency * saving / size

    with the nano-dollars that a hit saves (estimated from tokens or size where the price isn't known) and the
    row's bytes in memory; the row of lowest priority goes, and L becomes that priority, so what was popular
    long ago ages. A new row worth less than everything kept may be the first to go. The heap holds one item a
    row; a hit raises the row's own priority only, and eviction puts a popped row that has risen since back.

    A link is followed one step; it is alive as long as its entry is. It doesn't go with its entry: asking the
    entry's question anew revives it. Questions aren't kept: nothing in memory outlives a restart.

    Audits and named values aren't counted: they are bounded by their number.

    Expired rows are dropped when they are met, by a look-up or by eviction. An entry from the future (the
    clock was set back) gets its TTL from now on, never more.

    Attributes:
        max_entry_bytes: Entries that take more (as counted by `worth.entry_bytes`) are not kept.
    """

    def __init__(
        self, clock: Clock, memory_bytes: int = 256 * 2**20, max_entry_bytes: int = 4 * 2**20
    ) -> None:
        self.max_entry_bytes = max_entry_bytes
        self._clock = clock
        self._memory_bytes = memory_bytes
        self._rows: dict[bytes, Row] = {}
        self._tagged: dict[str, set[bytes]] = {}
        self._heap: list[tuple[float, int, Row]] = []
        self._order = count()
        self._floor = 0.0
        self._size_bytes = 0
        self._evictions = 0
        self._secret = secrets.token_bytes(32)
        self._audits: dict[str, deque[tuple[int, Audit]]] = {}
        self._kept: dict[str, bytes] = {}

    async def start(self) -> None:
        """Nothing to open."""

    def peek(self, key: bytes) -> Stored | None:
        """What is alive under `key`. A hit counts towards what is kept."""
        row = self._rows.get(key)
        if row is None:
            return None
        link = row.link
        if link is not None:
            return self._follow(row, link)
        stored = row.stored
        if stored is None:
            return None
        now = self._clock.now()
        entry = stored.entry
        if now >= entry.expires_at:
            self._drop(row)
            return None
        if now < entry.created_at:
            row.stored = stored = Stored(rebased(entry, now))
        row.frequency += 1
        row.priority = self._floor + row.frequency * row.worth
        return stored

    def linked(self, key: bytes) -> Link | None:
        """The unexpired link under `key`, whether or not its entry is known here."""
        row = self._rows.get(key)
        if row is None or row.link is None:
            return None
        if self._clock.now() >= row.link.expires_at:
            self._drop(row)
            return None
        return row.link

    async def links_to(self, target: bytes) -> list[Link]:
        """The links that lead to an entry, some of them expired perhaps."""
        return [row.link for row in self._rows.values() if row.link is not None and row.link.target == target]

    async def get(self, key: bytes) -> Stored | None:
        """The same as `peek`."""
        return self.peek(key)

    def accepts(self, entry: Entry) -> bool:
        """Whether an entry is small enough to be kept."""
        return entry_bytes(entry) <= self.max_entry_bytes

    def put(self, entry: Entry, question: Question | None) -> None:  # noqa: ARG002 - the port's shape
        """Keeps an entry in place of whatever was under its key; one that is too large only removes that."""
        self.remove(entry.key)
        size_bytes = entry_bytes(entry)
        if size_bytes > self.max_entry_bytes:
            return
        self._keep(Row(entry.key, Stored(entry), None, size_bytes, expected_saving(entry.answer)))
        for tag in entry.tags:
            self._tagged.setdefault(tag, set()).add(entry.key)
        self._shrink()

    def link(self, link: Link, question: Question | None) -> None:  # noqa: ARG002 - the port's shape
        """Keeps a link in place of whatever was under its key; one that points to itself is ignored."""
        if link.key == link.target:
            return
        self.remove(link.key)
        target = self._rows.get(link.target)
        saving = _LINK_SAVING_NANOUSD
        if target is not None and target.stored is not None:
            saving = expected_saving(target.stored.entry.answer)
        self._keep(Row(link.key, None, link, link_bytes(link), saving))
        self._shrink()

    def remove(self, key: bytes) -> None:
        """Forgets the entry or link under `key`."""
        row = self._rows.get(key)
        if row is not None:
            self._drop(row)

    def reclass(self, key: bytes, answer: bytes) -> None:
        """Nothing: no questions are kept."""

    async def invalidate(self, tags: Sequence[str]) -> list[bytes]:
        """Forgets every entry that carries any of the tags; returns the keys forgotten."""
        return self.forget(tags)

    def forget(self, tags: Iterable[str]) -> list[bytes]:
        """`invalidate`, at once."""
        keys = {key for tag in tags for key in self._tagged.get(tag, ())}
        for key in keys:
            self.remove(key)
        return list(keys)

    async def owned(self, owner: Owner) -> Erased:
        """What there is of an owner's, and the links that lead to it."""
        return await memory_rows.owned(self._rows, owner)

    async def erase(self, owner: Owner) -> Erased:
        """Forgets all that is an owner's; of its audits only the verdicts stay."""
        erased = await self.owned(owner)
        for key in erased.keys:
            self.remove(key)
        for kept in self._audits.values():
            anonymous = [(at, audits.anonymised(one, owner, erased.keys)) for at, one in kept]
            kept.clear()
            kept.extend(anonymous)
        return erased

    async def scrub(self) -> list[str]:
        """Nothing is on a disk."""
        return []

    def select(self, selection: Selection) -> AsyncIterator[Sequence[Listed]]:
        """The entries that a selection means, in batches, some of them expired perhaps."""
        return memory_rows.select(self._rows, selection)

    async def contents(self, keys: Collection[bytes]) -> list[Kept]:
        """The entries of those keys that are known, whole but for their questions, which aren't kept."""
        return await memory_rows.contents(self._rows, keys)

    async def discard(self, keys: Collection[bytes]) -> list[bytes]:
        """Forgets entries and every link that leads to them; returns all keys forgotten."""
        unwanted = await memory_rows.keys_with_links(self._rows, keys)
        for key in unwanted:
            self.remove(key)
        return list(unwanted)

    async def questions(self) -> AsyncIterator[Sequence[Question]]:
        """Nothing: memory is empty at start."""
        return
        yield ()

    def audited(self, audit: Audit) -> None:
        """Keeps an audit among its feature's newest."""
        of_feature = self._audits.get(audit.feature)
        if of_feature is None:
            of_feature = self._audits[audit.feature] = deque(maxlen=audits.KEPT_PER_FEATURE)
        of_feature.append((next(self._order), audit))

    async def audits(self, feature: str | None) -> AsyncIterator[Sequence[Audit]]:
        """What is kept of a feature's audits (None: of all), newest last."""
        features = self._audits if feature is None else (feature,)
        numbered = [one for name in features for one in self._audits.get(name, ())]
        if numbered:
            yield [audit for _, audit in sorted(numbered, key=itemgetter(0))]

    def keep(self, name: str, value: bytes) -> None:
        """Keeps a small value in place of the one of that name."""
        self._kept[name] = value

    def kept(self, name: str) -> bytes | None:
        """The value of that name."""
        return self._kept.get(name)

    async def flush(self) -> None:
        """Nothing to wait for."""

    async def secret(self) -> bytes:
        """32 random bytes, others after every restart."""
        return self._secret

    def health(self) -> StoreHealth:
        """Never durable, by choice."""
        return StoreHealth(
            durable=False,
            detail="answers are kept in memory alone",
            entries=len(self._rows),
            memory_bytes=self._size_bytes,
            disk_bytes=0,
            pending_writes=0,
            evictions=self._evictions,
            lost_writes=0,
        )

    async def close(self) -> None:
        """Forgets everything."""
        self._rows.clear()
        self._tagged.clear()
        self._heap.clear()
        self._audits.clear()
        self._kept.clear()
        self._size_bytes = 0

    def _follow(self, row: Row, link: Link) -> Stored | None:
        if self._clock.now() >= link.expires_at:
            self._drop(row)
            return None
        target = self._rows.get(link.target)
        if target is None or target.link is not None:
            return None
        found = self.peek(link.target)
        if found is None:
            return None
        row.frequency += 1
        row.priority = self._floor + row.frequency * row.worth
        return Stored(found.entry, link)

    def _keep(self, row: Row) -> None:
        row.frequency = 1
        row.priority = self._floor + row.worth
        self._rows[row.key] = row
        self._size_bytes += row.size_bytes
        heappush(self._heap, (row.priority, next(self._order), row))

    def _drop(self, row: Row) -> None:
        del self._rows[row.key]
        self._size_bytes -= row.size_bytes
        for tag in row.stored.entry.tags if row.stored is not None else ():
            keys = self._tagged.get(tag)
            if keys is not None:
                keys.discard(row.key)
                if not keys:
                    del self._tagged[tag]
        # The heap's item stays until it is met: empty the row, and clean up before such items add up.
        row.stored = row.link = None
        if len(self._heap) > 2 * len(self._rows) + _STALE_ROWS:
            self._heap = [(one.priority, next(self._order), one) for one in self._rows.values()]
            heapify(self._heap)

    def _shrink(self) -> None:
        while self._size_bytes > self._memory_bytes:
            priority, _, row = heappop(self._heap)
            if self._rows.get(row.key) is not row:
                continue
            if row.priority > priority:
                heappush(self._heap, (row.priority, next(self._order), row))
                continue
            self._floor = priority
            self._evictions += 1
            self._drop(row)

"""Answers in memory and in a SQLite file."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from askonce.model import Link
from askonce.ports import StoreHealth
from askonce.stores.cleaner import Cleaner
from askonce.stores.pending import Pending
from askonce.stores.reader import Reader
from askonce.stores.scans import Scans
from askonce.stores.sealing import Seals
from askonce.stores.sieve import Sieve
from askonce.stores.tiers import Tiers
from askonce.stores.uses import Uses
from askonce.stores.writer import Writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable, Collection, Sequence
    from pathlib import Path

    from askonce.model import Audit, Entry, Owner, Question, Stored
    from askonce.ports import Clock, Erased, Kept, Listed, Selection
    from askonce.stores.memory import MemoryStore

__all__ = ["SqliteStore"]

_T = TypeVar("_T")
_PENDING_BYTES: Final = 64 * 2**20


class SqliteStore:
    """The `Store` that survives restarts: a memory tier in front of a file.

    What is put is visible at once and on disk with the next group commit; a killed process loses at most the
    last `commit_interval_s` and never the file. Hits are counted on disk a second later, off the reading path.

    While the disk is full, locked, read-only, corrupt or gone, answers live in memory alone: `health` says so,
    one error is logged, and the disk is tried again in the background (see `writer.Writer`). Writes wait for it
    up to 64 MiB or a quarter of the disk's budget; those beyond count as lost. Removals always wait, so nothing
    forgotten comes back. A corrupt file is moved aside to `<name>.corrupt-<Unix time>` and a new one begun.

    Where the clock was set back, memory holds an entry to its TTL exactly, the file within a minute (it notices
    with the next commit, or the next look-up that it answers).

    A file belongs to one process, which locks `<name>.lock` beside it; another degrades to memory until the
    first one ends.

    Args:
        path: The file; its directory must exist.
        memory: The memory tier; its limit on entries holds for the disk too.
        clock: Wall-clock time.
        disk_bytes: Budget of the file.
        commit_interval_s: How long a put waits for others to share its commit.
        read_wait_s: How long `get` waits for the disk before that counts as a miss.
        seals: What the file's values are sealed with; rows that aren't yet are sealed in the background.
    """

    def __init__(
        self,
        path: Path,
        memory: MemoryStore,
        clock: Clock,
        *,
        disk_bytes: int = 4 * 2**30,
        commit_interval_s: float = 0.05,
        read_wait_s: float = 0.25,
        seals: Seals | None = None,
    ) -> None:
        seals = seals or Seals()
        self._memory = memory
        self._pending = Pending(min(_PENDING_BYTES, disk_bytes // 4))
        self._reader = Reader(path, seals, read_wait_s, self._read_failed)
        self._writer = Writer(
            path,
            seals,
            disk_bytes,
            self._pending,
            clock,
            secret=secrets.token_bytes(32),
            commit_interval_s=commit_interval_s,
            reopened=self._reader.reopen,
        )
        self._tiers = Tiers(memory, self._pending, clock, self._writer.tidy)
        self._scans = Scans(self._writer, self._reader, self._pending, clock)
        self._cleaner = Cleaner(path, self._writer, seals)
        self._uses = Uses(self._count)
        self._sieve = Sieve()
        self._sieve_task: asyncio.Task[None] | None = None
        self._removals = 0

    async def start(self) -> None:
        """Opens the file; degrades to memory where that can't be done."""
        await self._writer.start()
        self._cleaner.start()
        if self._writer.applied is not None:
            # Nobody else writes to the file from now on; one that can't be opened at the start is always asked.
            filling = self._sieve.fill(self._reader.keys)
            self._sieve_task = asyncio.create_task(filling, name="sieve")  # noqa: TID251 - ends with us

    def peek(self, key: bytes) -> Stored | None:
        """What memory knows under `key`, uncommitted writes included."""
        stored = self._tiers.peek(key)
        if stored is not None:
            self._uses.count(stored.entry.key)
        return stored

    async def get(self, key: bytes) -> Stored | None:
        """What memory or disk knows under `key`; a find on disk moves into memory."""
        stored = self.peek(key)
        if stored is not None or not self._writer.readable or self._sieve.rules_out(key):
            return stored
        known = self._tiers.record(key)
        change = self._pending.find(key)
        if change is not None and not isinstance(known, Link):
            return None
        removals = self._removals
        found = await self._reader.find(known.target if isinstance(known, Link) else key)
        # A write during the read is newer than what was read; a removal may concern it, so it counts as a miss.
        stored = self.peek(key)
        if stored is not None or found is None or removals != self._removals:
            return stored
        stored = self._tiers.admit(found, known if isinstance(known, Link) else None)
        if stored is not None:
            self._uses.count(stored.entry.key)
        return stored

    def put(self, entry: Entry, question: Question | None) -> None:
        """Keeps an entry: at once in memory, on disk with the next group commit."""
        self._memory.put(entry, question)
        if self._memory.accepts(entry):
            self._write(entry, question)
        else:
            self.remove(entry.key)

    def link(self, link: Link, question: Question | None) -> None:
        """Keeps an approved paraphrase of an entry; one that points to itself is ignored."""
        if link.key != link.target:
            self._memory.link(link, question)
            self._write(link, question)

    async def links_to(self, target: bytes) -> list[Link]:
        """The links that lead to an entry, in memory and on disk, some of them expired perhaps."""
        on_disk, in_memory = await self._scans.links_to(target), await self._memory.links_to(target)
        return list({link.key: link for link in (*on_disk, *in_memory)}.values())

    def remove(self, key: bytes) -> None:
        """Forgets the entry or link under `key` and its question; a link's target stays."""
        self._removals += 1
        self._memory.remove(key)
        self._pending.forget(key)
        self._writer.changed()

    def reclass(self, key: bytes, answer: bytes) -> None:
        """Gives the question kept under `key`, if there is one, another answer's class."""
        if not self._pending.reclass(key, answer):
            self._writer.lose()
        self._writer.changed()

    async def invalidate(self, tags: Sequence[str]) -> list[bytes]:
        """Forgets every entry that carries any of the tags, on disk too; returns the keys forgotten.

        While the disk is away, those that only it knows are forgotten once it is back, and not returned.
        """
        if not tags:
            return []
        self._removals += 1
        forgotten = {*self._memory.forget(tags), *self._pending.invalidate(tags)}
        self._writer.changed()
        applied = await self._writer.flush()
        self._removals += 1
        forgotten.update(applied.forgotten if applied is not None else ())
        # Keys that were put again while the disk worked are alive: whoever called keeps them.
        return [key for key in forgotten if self._tiers.record(key) is None]

    async def owned(self, owner: Owner) -> Erased:
        """What there is of an owner's, on disk. Raises OSError."""
        await self._writer.flush()
        return await self._cleaner.find(owner)

    async def erase(self, owner: Owner) -> Erased:
        """Forgets all that is an owner's, in memory and on disk; of its audits only the verdicts stay. Raises OSError."""
        self._removals += 1
        await self._writer.flush()  # what is on the disk is found there, with all that belongs to it
        in_memory = await self._memory.erase(owner)
        await self._withdraw(owner)
        erased = await self._cleaner.erase(owner)
        for key in erased.keys:
            self._memory.remove(key)
        self._removals += 1
        await self._withdraw(owner)  # what was read, and put again, while the disk was at it
        return replace(erased, keys=tuple({*erased.keys, *in_memory.keys}))

    async def scrub(self) -> list[str]:
        """Leaves nothing in the files of what was forgotten; those that were moved aside are deleted. Raises OSError."""
        return await self._cleaner.scrub()

    def select(self, selection: Selection) -> AsyncIterator[Sequence[Listed]]:
        """The entries that a selection means, in memory and on disk. Raises OSError at its end."""
        return self._scans.select(selection, self._memory)

    async def contents(self, keys: Collection[bytes]) -> list[Kept]:
        """The entries of those keys that are known, whole. Raises OSError."""
        return await self._scans.contents(keys, self._memory)

    async def discard(self, keys: Collection[bytes]) -> list[bytes]:
        """Forgets entries and every link that leads to them; returns all keys forgotten, once that is durable.

        While the disk is away, links that only it knows stay: they lead nowhere.
        """
        links = (
            await self._scans.link_keys(keys) if self._writer.durable else await self._memory.discard(keys)
        )
        forgotten = [*{*keys, *links}]
        for key in forgotten:
            self.remove(key)
        await self._writer.flush()
        return forgotten

    def questions(self) -> AsyncIterator[Sequence[Question]]:
        """All live questions on disk, in the order of their commits, in batches; ends early if the disk fails."""
        return self._scans.questions()

    def audited(self, audit: Audit) -> None:
        """Keeps an audit: with the next group commit, and the newest of each feature."""
        if not self._pending.audit(audit):
            self._writer.lose()
        self._writer.changed()

    def audits(self, feature: str | None) -> AsyncIterator[Sequence[Audit]]:
        """What is kept of a feature's audits (None: of all), newest last: those on disk, then what waits for it."""
        return self._scans.audits(feature)

    def keep(self, name: str, value: bytes) -> None:
        """Keeps a small value in place of the one of that name: seen at once, on disk with the next commit."""
        self._pending.name(name, value)
        self._writer.changed()

    def kept(self, name: str) -> bytes | None:
        """The value of that name, if one is known: what the file has isn't until it could be opened."""
        value, applied = self._pending.named(name), self._writer.applied
        return applied.kept.get(name) if value is None and applied is not None else value

    def transact(self, work: Callable[[sqlite3.Connection], _T]) -> asyncio.Future[_T]:
        """Does blocking work on the file's connection, in the writing thread; see `Writer.transact`."""
        return self._writer.transact(work)

    async def flush(self) -> None:
        """Waits until everything put so far is durable (or the store has degraded)."""
        self._uses.end()
        await self._writer.flush()

    async def secret(self) -> bytes:
        """32 random bytes, the same after every restart; others for this run where the file can't be read at the start."""
        return self._writer.secret

    def health(self) -> StoreHealth:
        """How both tiers stand; `entries` and `evictions` are those of the disk while it can be read."""
        memory, writer = self._memory.health(), self._writer
        applied = writer.applied if writer.readable else None
        detail = writer.detail
        if writer.durable and self._reader.trouble:
            detail = f"{detail}; {self._reader.trouble}"
        return StoreHealth(
            durable=writer.durable,
            detail=detail,
            entries=memory.entries if applied is None else applied.entries,
            memory_bytes=memory.memory_bytes,
            disk_bytes=0 if applied is None else applied.disk_bytes,
            pending_writes=len(self._pending),
            evictions=memory.evictions if applied is None else writer.evictions,
            lost_writes=writer.lost_writes,
            unreadable=self._reader.unreadable + self._cleaner.walk.unreadable,
            rows_to_seal=self._cleaner.rows_left,
        )

    async def close(self) -> None:
        """Commits what is pending and closes the file."""
        self._uses.end()
        if self._sieve_task is not None:
            self._sieve_task.cancel()
        await self._cleaner.close()
        await self._reader.close()
        await self._writer.close()

    async def _withdraw(self, owner: Owner) -> None:
        """Nothing that waits for the disk is an owner's."""
        self._pending.erase(owner)
        self._writer.changed()
        await self._writer.flush()

    def _read_failed(self, error: sqlite3.Error) -> None:
        self._writer.failed(error)

    def _write(self, record: Entry | Link, question: Question | None) -> None:
        self._sieve.add(record.key)
        if not self._pending.keep(record, question):
            self._writer.lose()
        self._writer.changed()

    def _count(self, used: dict[bytes, int]) -> None:
        self._pending.use(used)
        self._writer.changed()

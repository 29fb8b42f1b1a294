"""Memory and what waits for the disk, looked at as one: what the disk has is older than either."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.model import Entry, Link, Stored
from askonce.stores.worth import rebased

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.ports import Clock
    from askonce.stores.memory import MemoryStore
    from askonce.stores.pending import Pending
    from askonce.stores.reader import Found

__all__ = ["Tiers"]


class Tiers:
    """What is known under a key without asking the disk, and what of the disk's is let in.

    Args:
        memory: What is at hand.
        pending: What the disk doesn't know yet.
        clock: Wall-clock time.
        set_back: Told where the clock was set back: an entry is from the future.
    """

    def __init__(
        self, memory: MemoryStore, pending: Pending, clock: Clock, set_back: Callable[[], None]
    ) -> None:
        self._memory = memory
        self._pending = pending
        self._clock = clock
        self._set_back = set_back

    def peek(self, key: bytes) -> Stored | None:
        """What is alive under a key."""
        stored = self._memory.peek(key)
        return stored if stored is not None or not len(self._pending) else self._resolve(key)

    def record(self, key: bytes) -> Entry | Link | None:
        """What memory or an uncommitted write has under `key`, expired or not; links aren't followed."""
        change = self._pending.find(key)
        return self._memory.linked(key) if change is None else change.record

    def admit(self, found: Found, known: Link | None) -> Stored | None:
        """Moves what was read into memory, where it is alive; `known` is the link that led there, if memory had one."""
        if found.link is not None and known is not None:
            return None  # a link to a link: only one step is followed
        if self._pending.forgets(found.entry) or self._pending.find(found.entry.key) is not None:
            return None
        stored = self._alive(found.entry, found.link or known)
        if stored is None:
            return None
        self._memory.put(stored.entry, None)
        if found.link is not None:
            self._memory.link(found.link, None)
        return stored

    def _resolve(self, key: bytes) -> Stored | None:
        """Where one side of a link, or the entry, is no longer in memory but isn't committed yet."""
        record = self.record(key)
        if isinstance(record, Entry):
            return self._alive(record, None)
        if record is None:
            return None
        stored = self._memory.peek(record.target)
        target = stored.entry if stored is not None and stored.link is None else self.record(record.target)
        return self._alive(target, record) if isinstance(target, Entry) else None

    def _alive(self, entry: Entry, link: Link | None) -> Stored | None:
        now = self._clock.now()
        if now < entry.created_at:
            entry = rebased(entry, now)
            self._set_back()
        if now >= entry.expires_at or (link is not None and now >= link.expires_at):
            return None
        return Stored(entry, link)

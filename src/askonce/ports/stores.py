"""What is asked of whatever keeps answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from askonce.model import Audit, Entry, Link, Owner, Question, Stored
    from askonce.ports.selection import Kept, Listed, Selection

__all__ = ["Erased", "Store", "StoreHealth"]


@dataclass(frozen=True, slots=True)
class Erased:
    """What was an owner's: its keys, and how many entries, links and questions these were."""

    keys: tuple[bytes, ...]
    entries: int
    links: int
    questions: int


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """What a store says of itself: `durable` is False once it has degraded to memory alone.

    `unreadable` counts the rows that no encryption key opens, `rows_to_seal` those that may still be in clear or under an
    earlier key; None where nothing is encrypted.
    """

    durable: bool
    detail: str
    entries: int
    memory_bytes: int
    disk_bytes: int
    pending_writes: int
    evictions: int
    lost_writes: int
    unreadable: int = 0
    rows_to_seal: int | None = None


class Store(Protocol):
    """Answers by exact key, with links, tags and expiry; audits; and small values by name.

    Never raises into the way: a failing disk costs durability, not requests.
    """

    async def start(self) -> None:
        """Opens what is durable; degrades to memory where that can't be done."""
        ...

    def peek(self, key: bytes) -> Stored | None:
        """What memory alone knows under `key`: no wait, expired entries are never returned."""
        ...

    async def get(self, key: bytes) -> Stored | None:
        """What memory or disk knows under `key`; a find on disk moves into memory."""
        ...

    def put(self, entry: Entry, question: Question | None) -> None:
        """Keeps an entry: at once in memory, on disk with the next group commit."""
        ...

    def link(self, link: Link, question: Question | None) -> None:
        """Keeps an approved paraphrase of an entry."""
        ...

    async def links_to(self, target: bytes) -> list[Link]:
        """The links that lead to an entry, in memory and on disk. Looks at everything: for rare occasions."""
        ...

    def remove(self, key: bytes) -> None:
        """Forgets the entry or link under `key` (and its question); a link's target stays."""
        ...

    def reclass(self, key: bytes, answer: bytes) -> None:
        """Gives the question kept under `key`, if there is one, another answer's class."""
        ...

    async def invalidate(self, tags: Sequence[str]) -> list[bytes]:
        """Forgets every entry that carries any of the tags; returns the keys forgotten."""
        ...

    def select(self, selection: Selection) -> AsyncIterator[Sequence[Listed]]:
        """The entries that a selection means, in memory and on disk, in batches; some of them expired perhaps.

        Raises OSError at its end where the disk can't be read: then only memory was looked through.
        """
        ...

    async def contents(self, keys: Collection[bytes]) -> list[Kept]:
        """The entries of those keys that are known, whole. Raises OSError where the disk can't be read."""
        ...

    async def discard(self, keys: Collection[bytes]) -> list[bytes]:
        """Forgets entries and every link that leads to them; returns all keys forgotten, once that is durable."""
        ...

    async def owned(self, owner: Owner) -> Erased:
        """What there is of an owner's. Raises OSError where the disk can't be read."""
        ...

    async def erase(self, owner: Owner) -> Erased:
        """Forgets all that is an owner's; of its audits only the verdicts stay. Raises OSError where the disk is away."""
        ...

    async def scrub(self) -> list[str]:
        """Leaves nothing on the disk of what was forgotten; takes a while. Returns the files that it deleted.

        Raises OSError where that can't be done now.
        """
        ...

    def questions(self) -> AsyncIterator[Sequence[Question]]:
        """All live questions, in batches, newest last: what the vector index is rebuilt from at start."""
        ...

    def audited(self, audit: Audit) -> None:
        """Keeps an audit: with the next group commit, and the newest 20,000 of each feature."""
        ...

    def audits(self, feature: str | None) -> AsyncIterator[Sequence[Audit]]:
        """What is kept of a feature's audits (None: of all), in batches, newest last.

        Those that come while it is read may be left out.
        """
        ...

    def keep(self, name: str, value: bytes) -> None:
        """Keeps a small value in place of the one of that name: seen at once, and after a restart."""
        ...

    def kept(self, name: str) -> bytes | None:
        """The value of that name, if one is known; until a durable store has been opened, there is none."""
        ...

    async def flush(self) -> None:
        """Waits until everything put so far is durable (or the store has degraded)."""
        ...

    async def secret(self) -> bytes:
        """32 random bytes, the same after every restart of a durable store: keys tenants' hashes."""
        ...

    def health(self) -> StoreHealth:
        """What `/healthz` and the metrics say."""
        ...

    async def close(self) -> None:
        """Commits what is pending and closes."""
        ...

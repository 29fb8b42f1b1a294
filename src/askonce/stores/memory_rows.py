"""What `MemoryStore` keeps under each key, and walks over all of it that never hold others up for long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from askonce.ports import Erased, Kept
from askonce.stores.selection import listed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from askonce.model import Link, Owner, Stored
    from askonce.ports import Listed, Selection

__all__ = ["Row", "contents", "keys_with_links", "owned", "select"]

_AT_ONCE: Final = 5_000
"""Rows looked at between two looks at what else there is to do."""


class Row:
    """What is kept under one key: an entry (`stored`) or a link, with its place in the order of eviction."""

    __slots__ = ("frequency", "key", "link", "priority", "size_bytes", "stored", "worth")

    def __init__(
        self, key: bytes, stored: Stored | None, link: Link | None, size_bytes: int, saving: int
    ) -> None:
        self.key = key
        self.stored = stored
        self.link = link
        self.size_bytes = size_bytes
        self.worth = saving / size_bytes
        self.frequency = 0
        self.priority = 0.0


async def owned(rows: Mapping[bytes, Row], owner: Owner) -> Erased:
    """What there is of an owner's, and the links that lead to it."""
    entries, links = set[bytes](), set[bytes]()
    async for batch in _walk(rows):
        for row in batch:
            stored, link = row.stored, row.link
            if stored is not None and owner.owns(stored.entry.tenant, stored.entry.users):
                entries.add(row.key)
            elif link is not None and owner.owns(link.tenant, link.users):
                links.add(row.key)
    keys = {*links, *await keys_with_links(rows, entries)}
    return Erased(tuple(keys), len(entries), len(keys) - len(entries), 0)


async def keys_with_links(rows: Mapping[bytes, Row], entries: Collection[bytes]) -> set[bytes]:
    """The keys of entries, and those of all links that lead to them."""
    keys = set(entries)
    async for batch in _walk(rows):
        keys.update(row.key for row in batch if row.link is not None and row.link.target in entries)
    return keys


async def select(rows: Mapping[bytes, Row], selection: Selection) -> AsyncIterator[Sequence[Listed]]:
    """The entries that a selection means, in batches, some of them expired perhaps."""
    async for batch in _walk(rows):
        found = [listed(row.stored.entry) for row in batch if row.stored is not None]
        yield [one for one in found if selection.admits(one)]


async def contents(rows: Mapping[bytes, Row], keys: Collection[bytes]) -> list[Kept]:
    """The entries of those keys that are known, whole but for their questions, which aren't kept."""
    links: dict[bytes, list[tuple[Link, None]]] = {key: [] for key in keys}
    async for batch in _walk(rows):
        for row in batch:
            if row.link is not None and row.link.target in links:
                links[row.link.target].append((row.link, None))
    found = [rows.get(key) for key in keys]
    entries = [row.stored.entry for row in found if row is not None and row.stored is not None]
    return [Kept(entry, None, tuple(links[entry.key])) for entry in entries]


async def _walk(rows: Mapping[bytes, Row]) -> AsyncIterator[list[Row]]:
    """All rows of now, some at a time; those dropped meanwhile are empty."""
    everything = list(rows.values())
    for start in range(0, len(everything), _AT_ONCE):
        yield everything[start : start + _AT_ONCE]
        await asyncio.sleep(0)

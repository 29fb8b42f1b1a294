"""Entries carried from one gateway to another, or to a later day: a stream out, and a stream in, neither ever whole in memory.

An entry's key is made of who may share it and what was asked: an import changes neither. It is of use where requests
come to the same keys, and never shown to anybody else.
"""

from __future__ import annotations

import asyncio
import hmac
import zlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from askonce.administration.lines import FORMAT, VERSION, end_line, entry_line, kept_from
from askonce.administration.stream import GZIP
from askonce.errors import Refusal
from askonce.pipeline.fingerprint import FORMAT as KEY_FORMAT
from askonce.stores.worth import entry_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from askonce.gateway import Gateway
    from askonce.model import Entry, Json, Link, Question
    from askonce.pipeline.threads import Threads
    from askonce.ports import Kept, Listed, Selection

__all__ = ["Import", "export"]

_AT_ONCE: Final = 1_000
_BYTES_AT_ONCE: Final = 8 * 2**20
_KEPT_AT_ONCE: Final = 20
"""Entries taken between two looks at what else there is to do."""
_TOLD: Final = 20
_MOST_BACKLOG: Final = 9_000
"""Questions that may wait for their vector: what the semantic tier remembers of them is bounded."""


async def export(
    gateway: Gateway, selection: Selection, threads: Threads, *, compressed: bool
) -> AsyncIterator[bytes]:
    """The live entries that a selection means, as lines. A stream without its last line is incomplete.

    Raises OSError where the disk can't be read any more.
    """
    store, now, count = gateway.parts.store, gateway.parts.clock.now(), 0
    pack = zlib.compressobj(wbits=GZIP) if compressed else None

    def packed(pieces: Sequence[bytes]) -> bytes:
        whole = b"".join(pieces)
        return whole if pack is None else pack.compress(whole)

    yield packed([await _header(gateway)])
    async for batch in store.select(selection):
        for keys in _portions([one for one in batch if one.expires_at > now]):
            kept = await store.contents(keys)
            count += len(kept)
            yield await threads.run(lambda some: packed([entry_line(one) for one in some]), kept)
    yield packed([end_line(count)])
    if pack is not None:
        yield pack.flush()


def _portions(listed: Sequence[Listed]) -> Iterator[list[bytes]]:
    """Keys of entries that are small enough together to be read at once."""
    keys: list[bytes] = []
    size_bytes = 0
    for one in listed:
        if keys and (len(keys) >= _AT_ONCE or size_bytes + one.size_bytes > _BYTES_AT_ONCE):
            yield keys
            keys, size_bytes = [], 0
        keys.append(one.key)
        size_bytes += one.size_bytes
    if keys:
        yield keys


async def _header(gateway: Gateway) -> bytes:
    header = {
        "format": FORMAT,
        "version": VERSION,
        "keys": KEY_FORMAT,
        "secret": await _secret_mark(gateway),
        "exported_at": gateway.parts.clock.now(),
    }
    return orjson.dumps(header, option=orjson.OPT_APPEND_NEWLINE)


async def _secret_mark(gateway: Gateway) -> str:
    """Tells stores' secrets apart without telling them."""
    return hmac.digest(await gateway.parts.store.secret(), b"export", "sha256").hex()[:16]


@dataclass(slots=True)
class Import:
    """Takes entries in, and counts what becomes of them.

    Attributes:
        gateway: Where they go.
        threads: Where lines are read.
        max_entry_bytes: The largest entry that is kept.
        dry_run: Whether nothing is kept.
        entries: Entries taken.
        links: Links taken.
        unindexed: Questions taken whose vector has to wait for the next restart.
        skipped: Entries that weren't taken, by reason: `expired`, `newer-known`, `too-large`.
        bad: Lines that are no entries.
        problems: The first of them: number and what is wrong.
        complete: Whether the stream's last line came, nothing after it, and the numbers agree.
        same_secret: Whether the export comes from a store with the same secret; None before the header.
    """

    gateway: Gateway
    threads: Threads
    max_entry_bytes: int
    dry_run: bool = False
    entries: int = 0
    links: int = 0
    unindexed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    bad: int = 0
    problems: list[tuple[int, str]] = field(default_factory=list)
    complete: bool = False
    same_secret: bool | None = None

    async def take(self, lines: Sequence[tuple[int, Any]]) -> None:
        """Some lines, in their order. Raises Refusal where the first one isn't an export's."""
        if lines and self.same_secret is None:
            await self._begin(lines[0][1])
            lines = lines[1:]
        semantic = self.gateway.parts.semantic
        found = await self.threads.run(_read_all, lines, semantic.engine, semantic.dimensions)
        for place, (number, read) in enumerate(found):
            if place % _KEPT_AT_ONCE == 0:
                await asyncio.sleep(0)
            self.complete = False
            if isinstance(read, ValueError):
                self.bad += 1
                if len(self.problems) < _TOLD:
                    self.problems.append((number, str(read)))
            elif isinstance(read, dict):
                said = read["end"].get("entries") if isinstance(read["end"], dict) else None
                self.complete = said == self.entries + sum(self.skipped.values()) + self.bad
            else:
                await self._keep(read)
        if not self.dry_run:
            await self.gateway.parts.store.flush()

    async def _begin(self, header: Any) -> None:
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise Refusal(
                400, "not_an_export", "The first line must be that of an export of GET /admin/cache/export."
            )
        if header.get("version") != VERSION or header.get("keys") != KEY_FORMAT:
            sentence = (
                f"This export has version {VERSION!r} or keys {KEY_FORMAT!r} in another form: export it anew."
            )
            raise Refusal(422, "other_version", sentence)
        self.same_secret = header.get("secret") == await _secret_mark(self.gateway)

    async def _keep(self, kept: Kept) -> None:
        parts, now = self.gateway.parts, self.gateway.parts.clock.now()
        entry = self._timely(kept.entry, now)
        if entry.expires_at <= now:
            self.skipped["expired"] += 1
            return
        known = await parts.store.get(entry.key)
        if known is not None and known.link is None and known.entry.created_at >= entry.created_at:
            self.skipped["newer-known"] += 1
            return
        if entry_bytes(entry) > self.max_entry_bytes:
            self.skipped["too-large"] += 1
            return
        self.entries += 1
        if not self.dry_run:
            parts.store.put(entry, kept.question)
            self._index(kept.question)
        for link, question in kept.links:
            await self._keep_link(replace(link, expires_at=min(link.expires_at, entry.expires_at)), question)

    async def _keep_link(self, link: Link, question: Question | None) -> None:
        """A paraphrase's way to an entry; what is known under its key already stays."""
        store = self.gateway.parts.store
        if await store.get(link.key) is not None:
            return
        self.links += 1
        if not self.dry_run:
            store.link(link, question)
            self._index(question)

    def _timely(self, entry: Entry, now: float) -> Entry:
        """The entry, made now at the latest, and kept no longer than this gateway keeps answers of its feature from now on."""
        policies = self.gateway.parts.policies
        policy = policies.named(entry.feature) or policies.named("default")
        longest = now + policy.ttl_s if policy is not None else entry.expires_at
        return replace(
            entry, created_at=min(entry.created_at, now), expires_at=min(entry.expires_at, longest)
        )

    def _index(self, question: Question | None) -> None:
        if question is None:
            return
        semantic = self.gateway.parts.semantic
        if question.vector is None and semantic.backlog >= _MOST_BACKLOG:
            self.unindexed += 1
        elif semantic.engine:
            semantic.add(question)


def _read_all(
    lines: Sequence[tuple[int, Any]], engine: str, dimensions: int
) -> list[tuple[int, Kept | Json | ValueError]]:
    """Entries from parsed lines; the last line comes back as it is."""
    return [(number, _read(line, engine, dimensions)) for number, line in lines]


def _read(line: Any, engine: str, dimensions: int) -> Kept | Json | ValueError:
    if isinstance(line, ValueError):
        return line
    if "end" in line:
        return {"end": line["end"]}
    try:
        return kept_from(line, engine, dimensions)
    except ValueError as problem:
        return problem

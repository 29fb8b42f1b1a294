"""Look-ups on disk: one thread, all reads that wait at once, never a long wait."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from askonce.stores import audits, rows, selection
from askonce.stores.sealing import Unreadable
from askonce.stores.troubles import reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from askonce.model import Audit, Entry, Link, Question
    from askonce.ports import Kept, Listed, Selection
    from askonce.stores.sealing import Seals

__all__ = ["Found", "Reader"]

_BUSY_TIMEOUT_S: Final = 0.1
_Found = TypeVar("_Found")
_END: Final[list[Listed]] = []
"""What follows the last batch."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the file has under a key, expired or not: an entry, and the link that leads there."""

    entry: Entry
    link: Link | None


class _Lookup:
    """The reading connection: plain blocking functions for one thread; opens itself."""

    def __init__(self, path: Path, seals: Seals) -> None:
        self._path = path
        self._seals = seals
        self.unreadable = 0
        self._connection: sqlite3.Connection | None = None

    def find(self, keys: Sequence[bytes]) -> list[Found | None]:
        """What is under each key. Raises sqlite3.Error."""
        connection = self._open()
        return [self._read(lambda key=key: _find(connection, key, self._seals)) for key in keys]  # type: ignore[misc]

    def questions(self, after: int, count: int, now: float) -> tuple[int, list[Question]]:
        """The live ones among the next `count` questions, and where to go on (0 at the end)."""
        named = {"after": after, "count": count, "now": now}
        found = self._open().execute(rows.QUESTIONS, named).fetchall()
        alive = (row[1:-1] for row in found if row[-1])
        questions = (
            self._read(lambda row=row: rows.question_from(row, self._seals))  # type: ignore[misc]
            for row in alive
        )
        return (found[-1][0] if found else 0), [one for one in questions if one is not None]

    def audits(self, feature: str | None, after: int, count: int) -> tuple[int, list[Audit]]:
        """The next `count` audits of a feature, or of all, and where to go on (0 at the end)."""
        return audits.find(self._open(), feature, after, count)

    def keys(self, after: bytes, count: int) -> list[bytes]:
        """The next `count` keys, in their own order."""
        return [key for (key,) in self._open().execute(rows.KEYS, {"after": after, "count": count})]

    def links_to(self, target: bytes) -> list[Link]:
        """The links that lead to an entry."""
        return [rows.link_from(row) for row in self._open().execute(rows.LINKS_TO, (target,))]

    def walk(self, wanted: Selection) -> Iterator[list[Listed]]:
        """What a selection means, step by step."""
        return selection.walk(self._open, wanted, self._seals)

    def contents(self, keys: Collection[bytes]) -> list[Kept]:
        """The entries of those keys, whole."""
        connection = self._open()
        found = [self._read(lambda key=key: selection.content(connection, key, self._seals)) for key in keys]  # type: ignore[misc]
        return [one for one in found if one is not None]

    def link_keys(self, targets: Collection[bytes]) -> list[bytes]:
        """The keys of all links that lead to any of the targets."""
        return selection.link_keys(self._open(), targets)

    def _read(self, read: Callable[[], _Found | None]) -> _Found | None:
        """What is read; a row that no key opens isn't there."""
        try:
            return read()
        except Unreadable:
            self.unreadable += 1
            return None

    def close(self) -> None:
        """Closes the connection; the next call opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            # `mode=rw` makes no new file where the store's own was moved away.
            address = f"{self._path.absolute().as_uri()}?mode=rw"
            self._connection = sqlite3.connect(
                address, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, uri=True
            )
            self._connection.execute("PRAGMA query_only = 1")
        return self._connection


class Reader:
    """Answers look-ups from the file, those that wait together in one trip to its thread.

    A look-up that takes longer than `wait_s` is a miss, and so is every further one until the disk has
    answered: a disk that hangs is waited for once, not once a request.

    Args:
        path: The file.
        seals: What its values are sealed with.
        wait_s: Longest wait for a look-up.
        failed: Told of each error of the database.

    Attributes:
        trouble: What is wrong with look-ups; "" where nothing is.
    """

    def __init__(
        self, path: Path, seals: Seals, wait_s: float, failed: Callable[[sqlite3.Error], None]
    ) -> None:
        self._lookup = _Lookup(path, seals)
        self._wait_s = wait_s
        self._failed = failed
        self._thread = ThreadPoolExecutor(1, "askonce-store-reader")
        self._waiting: list[tuple[bytes, asyncio.Future[Found | None]]] = []
        self._busy = False
        self._log = structlog.get_logger(__name__)
        self.trouble = ""
        self._stalled = False
        self._closed = False

    @property
    def unreadable(self) -> int:
        """Rows met so far that no key opens."""
        return self._lookup.unreadable

    async def find(self, key: bytes) -> Found | None:
        """What the file has under `key`; None also where it fails or takes too long."""
        if self._stalled or self._closed:
            return None
        found: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, found))
        if not self._busy:
            self._send()
        try:
            async with asyncio.timeout(self._wait_s):
                return await found
        except TimeoutError:
            self._stalled = True
            self._note("look-ups on disk take too long, only memory is searched")
            return None

    async def questions(self, after: int, count: int, now: float) -> tuple[int, list[Question]]:
        """The live ones among the next `count` questions, and where to go on (0 at the end or on failure)."""
        return await self._scan(partial(self._lookup.questions, after, count, now)) or (0, [])

    async def audits(self, feature: str | None, after: int, count: int) -> tuple[int, list[Audit]]:
        """The next `count` audits, and where to go on (0 at the end or on failure)."""
        return await self._scan(partial(self._lookup.audits, feature, after, count)) or (0, [])

    async def keys(self, after: bytes, count: int) -> list[bytes] | None:
        """The next `count` keys of entries and links; empty at the end, None on failure."""
        return await self._scan(partial(self._lookup.keys, after, count))

    async def links_to(self, target: bytes) -> list[Link]:
        """The links that lead to an entry; none on failure."""
        return await self._scan(partial(self._lookup.links_to, target)) or []

    async def select(self, wanted: Selection) -> AsyncIterator[list[Listed]]:
        """What a selection means, in batches. Raises OSError where the file can't be read."""
        steps = self._lookup.walk(wanted)
        while (batch := _read(await self._scan(lambda: next(steps, _END)))) is not _END:
            yield batch

    async def contents(self, keys: Collection[bytes]) -> list[Kept]:
        """The entries of those keys, whole. Raises OSError where the file can't be read."""
        return _read(await self._scan(partial(self._lookup.contents, keys)))

    async def link_keys(self, targets: Collection[bytes]) -> list[bytes]:
        """The keys of all links that lead to any of the targets. Raises OSError where the file can't be read."""
        return _read(await self._scan(partial(self._lookup.link_keys, targets)))

    async def reopen(self) -> None:
        """Closes the connection; the next look-up opens the file as it is then."""
        if not self._closed:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._lookup.close)

    async def close(self) -> None:
        """Closes the connection and ends the thread; a disk that hangs is not waited for."""
        self._closed = True
        closed = asyncio.get_running_loop().run_in_executor(self._thread, self._lookup.close)
        await asyncio.wait({closed}, timeout=self._wait_s)
        self._thread.shutdown(wait=False)

    async def _scan(self, look: Callable[[], _Found]) -> _Found | None:
        """A part of a table; None on failure."""
        if self._closed:
            return None
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, look)
        except Exception as error:  # noqa: BLE001 - whatever a damaged row raises, the table ends there
            self._fail(error)
            return None

    def _fail(self, error: BaseException) -> None:
        self._note(f"look-ups on disk fail ({reason(error)})")
        if isinstance(error, sqlite3.Error):
            self._failed(error)

    def _note(self, trouble: str) -> None:
        if not self.trouble:
            self._log.warning("store_reads_fail", reason=trouble)
        self.trouble = trouble

    def _send(self) -> None:
        batch = [(key, found) for key, found in self._waiting if not found.done()]
        self._waiting = []
        if not batch:
            return
        self._busy = True
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._thread, self._lookup.find, [key for key, _ in batch])
        running.add_done_callback(lambda done: self._deliver(done, [found for _, found in batch]))

    def _deliver(
        self, done: asyncio.Future[list[Found | None]], waiting: Sequence[asyncio.Future[Found | None]]
    ) -> None:
        self._busy = self._stalled = False
        answers: Sequence[Found | None] = [None] * len(waiting)
        if not done.cancelled():
            error = done.exception()
            if error is None:
                answers, self.trouble = done.result(), ""
            else:
                self._fail(error)
        for found, answer in zip(waiting, answers, strict=True):
            if not found.done():
                found.set_result(answer)
        self._send()


def _read(found: _Found | None) -> _Found:
    """What was found. Raises OSError where nothing could be read."""
    if found is None:
        raise OSError("the store's file can't be read now")
    return found


def _find(connection: sqlite3.Connection, key: bytes, seals: Seals) -> Found | None:
    row = connection.execute(rows.FIND_ENTRY, (key,)).fetchone()
    if row is not None:
        return Found(rows.entry_from(row, seals), None)
    row = connection.execute(rows.FIND_LINKED, (key,)).fetchone()
    return None if row is None else Found(rows.entry_from(row, seals), rows.link_from(row))

"""The group commit: what waits goes to disk together, and a disk that fails is tried again in the background."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from askonce.stores.database import Database
from askonce.stores.troubles import primary_code, reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from askonce.model import Owner
    from askonce.ports import Clock, Erased
    from askonce.stores.database import Applied
    from askonce.stores.pending import Pending
    from askonce.stores.sealing import Seals

__all__ = ["Writer"]

_T = TypeVar("_T")
_TIDY_INTERVAL_S: Final = 60.0
_GROUP_BYTES: Final = 4 * 2**20
"""A group this large is committed before its interval is over."""
_SLOW_COMMIT_S: Final = 5.0
_FIRST_RETRY_S: Final = 0.5
_LAST_RETRY_S: Final = 60.0
_CLOSE_S: Final = 10.0
_REASONS: Final = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_BUSY: "it is locked by another process",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check the path and its permissions",
    sqlite3.SQLITE_CORRUPT: "it is corrupt; it will be moved aside and a new one begun",
    sqlite3.SQLITE_NOTADB: "it is not a database; it will be moved aside and a new one begun",
    sqlite3.SQLITE_IOERR: "the disk reports an input/output error",
}


class Writer:
    """Commits `pending` to the database from a thread of its own, every `commit_interval_s` while there is any.

    After a failure the store isn't durable: what is pending stays so (within its bound) and is tried again
    after half a second, then twice as long each time up to a minute; the first success heals it.

    Args:
        path: The file.
        seals: What its values are sealed with.
        disk_bytes: Budget of the file.
        pending: What there is to commit.
        clock: Wall-clock time, for expiry.
        commit_interval_s: How long the first of a group waits for others.
        secret: The store's secret where the file has none yet.
        reopened: Awaited after the file was closed on a failure, before it may be opened anew.
    """

    def __init__(
        self,
        path: Path,
        seals: Seals,
        disk_bytes: int,
        pending: Pending,
        clock: Clock,
        *,
        commit_interval_s: float,
        secret: bytes,
        reopened: Callable[[], Awaitable[None]],
    ) -> None:
        self.applied: Applied | None = None
        self.detail = "the store has not been started"
        self.durable = False
        self.lost_writes = 0
        self.evictions = 0
        self._path = path
        self._database = Database(path, seals, disk_bytes, secret)
        self._pending = pending
        self._clock = clock
        self._commit_interval_s = commit_interval_s
        self._reopened = reopened
        self._thread = ThreadPoolExecutor(1, "askonce-store-writer")
        self._log = structlog.get_logger(__name__)
        self._work, self._urgent, self._closing = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._waiting: list[asyncio.Future[Applied | None]] = []
        self._retry_s = _FIRST_RETRY_S
        self._tidy_at_s = 0.0
        self._committed_at = 0.0
        self._distrusted = False
        self._task: asyncio.Task[None] | None = None

    @property
    def secret(self) -> bytes:
        """The store's secret: settled once it has been started."""
        return self._database.secret

    @property
    def readable(self) -> bool:
        """Whether the file is open: a full or locked disk can still be read."""
        return self._database.is_open

    async def start(self) -> None:
        """Opens the file, or degrades; begins to commit."""
        self.durable = True
        await self._commit()
        # The one task that owns the writing side, ended by `close`.
        self._task = asyncio.create_task(self._run(), name="askonce-store-writer")  # noqa: TID251

    def changed(self) -> None:
        """There is something to commit."""
        self._work.set()
        if self._pending.size_bytes > _GROUP_BYTES:
            self._urgent.set()

    def tidy(self) -> None:
        """The clock was set back: entries from the future are pulled into the present with the next commit."""
        self._tidy_at_s = 0.0
        self._work.set()

    def lose(self) -> None:
        """A write lives in memory alone."""
        self.lost_writes += 1

    def failed(self, error: sqlite3.Error) -> None:
        """The reading side met an error: a corrupt file is begun anew, anything else is the reader's matter."""
        if primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) and not self._distrusted:
            self._distrusted = True
            self._degrade(error)
            self._work.set()

    def transact(self, work: Callable[[sqlite3.Connection], _T]) -> asyncio.Future[_T]:
        """Does blocking work on the writing connection, between two groups; it commits by itself.

        Fails with sqlite3.Error or OSError; a file that is found broken is opened anew, or begun anew, by the next group.
        """
        return self._run_next(lambda: self._database.transact(work, self._clock.now()))

    def erase(self, owner: Owner) -> asyncio.Future[Erased]:
        """Forgets all that is an owner's, between two groups. Fails as `transact` does."""
        return self._run_next(lambda: self._database.erase(owner, self._clock.now()))

    def _run_next(self, work: Callable[[], _T]) -> asyncio.Future[_T]:
        running = asyncio.get_running_loop().run_in_executor(self._thread, work)
        running.add_done_callback(lambda _: self._work.set() if not self._database.is_open else None)
        return running

    async def flush(self) -> Applied | None:
        """Commits what is pending now; None where the store is degraded, or degrades over it."""
        if not self.durable or self._task is None:
            return None
        if self._pending.idle:
            return self.applied
        waiting: asyncio.Future[Applied | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._urgent.set()
        self._work.set()
        return await waiting

    async def close(self) -> None:
        """Commits what is pending, waiting at most some seconds for the disk, and closes the file."""
        for event in (self._closing, self._urgent, self._work):
            event.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_CLOSE_S)
            self._task.cancel()
        if len(self._pending):
            self.lost_writes += len(self._pending)
            self._log.error(
                "store_closed_with_unwritten_answers", path=str(self._path), lost=len(self._pending)
            )
        closed = asyncio.get_running_loop().run_in_executor(self._thread, self._database.close)
        await asyncio.wait({closed}, timeout=_CLOSE_S)
        self._thread.shutdown(wait=False)
        self.durable = False
        self.detail = "the store is closed"

    async def _run(self) -> None:
        while True:
            if self.durable:
                await _within(self._work, _TIDY_INTERVAL_S)
                await _within(self._urgent, self._commit_interval_s)
            else:
                await _within(self._closing, self._retry_s)
                self._retry_s = min(2 * self._retry_s, _LAST_RETRY_S)
            closing = self._closing.is_set()
            kept = await self._commit()
            if closing and (self._pending.idle or not self.durable or not kept):
                return
            if not kept:
                await _within(self._closing, self._retry_s)

    async def _commit(self) -> bool:
        """One group: the calls that wait for it learn how it ended, or that it takes too long.

        False where the group was dropped: a mistake of ours, which the next group could repeat at once.
        """
        loop = asyncio.get_running_loop()
        if self._distrusted:
            await loop.run_in_executor(self._thread, self._database.distrust)
            await self._reopened()
            self._distrusted = False
        if not self._closing.is_set():
            self._work.clear()
            self._urgent.clear()
        waiting, self._waiting = self._waiting, []
        batch, now = self._pending.take(), self._clock.now()
        tidy = loop.time() >= self._tidy_at_s or now < self._committed_at
        running = loop.run_in_executor(self._thread, lambda: self._database.commit(batch, now, tidy=tidy))
        applied = None
        try:
            if not (await asyncio.wait({running}, timeout=_SLOW_COMMIT_S))[0]:
                self._degrade(TimeoutError(f"a commit takes longer than {_SLOW_COMMIT_S:.0f} s"))
                _tell(waiting, None)
            applied = await running
        except (sqlite3.Error, OSError) as error:
            self._pending.undo()
            self._degrade(error)
            if not self._database.is_open:
                await self._reopened()
        except Exception as error:  # noqa: BLE001 - a mistake of ours costs one group, not all to come
            self.lost_writes += self._pending.drop()
            # Neither the message nor the traceback: they could quote what was asked.
            self._log.error("store_dropped_a_group", path=str(self._path), error=type(error).__name__)
            return False
        else:
            self._pending.done()
            self._committed_at = now
            self._tidy_at_s = loop.time() + _TIDY_INTERVAL_S if tidy else self._tidy_at_s
            self._heal(applied)
        finally:
            _tell(waiting, applied)
        return True

    def _degrade(self, error: Exception) -> None:
        what = _REASONS.get(primary_code(error)) or reason(error)
        self.detail = f"{self._path}: {what}; answers are kept in memory alone, trying again"
        if self.durable:
            self.durable = False
            self._log.error("store_degraded", path=str(self._path), reason=what, error=reason(error))
            waiting, self._waiting = self._waiting, []
            _tell(waiting, None)

    def _heal(self, applied: Applied) -> None:
        if applied.set_aside is not None:
            self._log.error(
                "store_was_corrupt", path=str(self._path), moved_to=str(applied.set_aside), began="a new file"
            )
        if not self.durable:
            self._log.warning("store_recovered", path=str(self._path), lost_writes=self.lost_writes)
        self.applied = applied
        self.evictions += applied.evicted
        self.lost_writes += applied.refused
        self.durable = not self._distrusted
        self._retry_s = _FIRST_RETRY_S
        if self.durable:
            self.detail = (
                f"{self._path}: every answer is on disk within {self._commit_interval_s * 1_000:.0f} ms"
            )


async def _within(event: asyncio.Event, timeout_s: float) -> None:
    """Waits for the event, at most `timeout_s`."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return


def _tell(waiting: list[asyncio.Future[Applied | None]], applied: Applied | None) -> None:
    for one in waiting:
        if not one.done():
            one.set_result(applied)

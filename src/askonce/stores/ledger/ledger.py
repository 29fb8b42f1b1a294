"""The ledger: told on the way of what happened, written a little later, read at any time."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from askonce.stores.ledger.file import LedgerFile
from askonce.stores.ledger.page import Page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from askonce.ports import Act, Books, Charge, Clock, Record, UpstreamCall

__all__ = ["SqliteLedger"]

_T = TypeVar("_T")
_COMMIT_INTERVAL_S: Final = 1.0
_log = structlog.get_logger("askonce.ledger")


class SqliteLedger:
    """The `Ledger` in a SQLite file, or in memory where there is no path; an `Observer` too."""

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._file = LedgerFile(path)
        self._clock = clock
        self._page = Page()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to write, once a second."""
        self._task = asyncio.create_task(self._run(), name="ledger")  # noqa: TID251 - ended by `close`

    def request(self, record: Record) -> None:
        """A request has ended."""
        self._page.request(record, self._clock.now())

    def begun(self, charge: Charge) -> None:
        """An upstream call is about to go out: what it counts as should nothing more be heard of it."""

    def charged(self, charge: Charge) -> None:
        """An upstream call is paid for."""
        self._page.charged(charge)

    def acted(self, act: Act) -> None:
        """An administrator has done something."""
        self._page.acts.append(act)

    def semantic(self, feature: str, mode: str, reason: str) -> None:
        """The semantic tier has decided."""
        self._page.decided(feature, mode, reason, self._clock.now())

    def upstream_call(self, call: UpstreamCall) -> None:
        """An upstream call has ended: what it cost is told apart."""

    def waited(self, upstream: str, lane: str, reason: str, wait_s: float) -> None:
        """A request has waited: no matter of money."""

    def batch(self, upstream: str, size: int) -> None:
        """An upstream call is shared: each request's part is charged apart."""

    def retry(self, upstream: str, cause: str) -> None:
        """A call is sent again: each try is charged apart."""

    def fallback(self, upstream: str, stand_in: str, cause: str) -> None:
        """Another upstream is asked: it is charged apart."""

    def audit(self, feature: str, source: str, verdict: str, judge: str) -> None:
        """An audit has ended: its verdict is the store's."""

    def audit_dropped(self, reason: str) -> None:
        """An audit has ended: no matter of money."""

    async def read(self, work: Callable[[Books], _T]) -> _T:
        """Reads the books as of now. Raises OSError where they can't be read."""
        await self.commit()
        try:
            return await self._file.read(work)
        except sqlite3.Error as error:
            raise OSError(f"the books can't be read: {error}") from error

    async def commit(self) -> None:
        """Writes what isn't written yet; what can't be written now stays for the next time."""
        async with self._writing:
            page, self._page = self._page, Page()
            await self._file.write(page)

    async def close(self) -> None:
        """Writes the rest and closes the file."""
        if self._task is not None:
            self._task.cancel()
        await self.commit()
        await self._file.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_COMMIT_INTERVAL_S)
            try:
                await self.commit()
            except (sqlite3.Error, OSError) as error:
                _log.error("ledger not written", error=str(error))

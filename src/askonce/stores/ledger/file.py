"""The books' file and its journal: opened, written page by page, read, and mended; all in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from askonce.stores.files import acquire, make_private, move_aside
from askonce.stores.ledger.page import Page
from askonce.stores.ledger.reading import SqliteBooks
from askonce.stores.ledger.schema import SCHEMA
from askonce.stores.ledger.writing import prune, write
from askonce.stores.scrubbing import empty_log
from askonce.stores.troubles import primary_code, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from askonce.ports import Clock
    from askonce.stores.ledger.journal import Journal, Segment
    from askonce.stores.ledger.kinds import Kinds
    from askonce.stores.ledger.writing import Keep

__all__ = ["LedgerFile", "ledger_path", "open_books"]

_T = TypeVar("_T")
_BUSY_TIMEOUT_S: Final = 2.0
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_log = structlog.get_logger("askonce.ledger")


def ledger_path(store: Path) -> Path:
    """Where the books of a store's file are."""
    return store.with_name(f"{store.stem}.ledger{store.suffix}")


@contextmanager
def open_books(path: Path) -> Iterator[SqliteBooks]:
    """The books of a file, read while a gateway may write them.

    Raises OSError for a file that isn't there or has no books of this version; sqlite3.Error where it can't be read.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there are no books at {path}")
    # Where no gateway runs there is no log beside the file, and whoever may only read could make none.
    running = path.with_name(f"{path.name}-wal").exists()
    address = f"{path.absolute().as_uri()}?mode=ro{'' if running else '&immutable=1'}"
    connection = sqlite3.connect(address, uri=True, timeout=_BUSY_TIMEOUT_S)
    try:
        version = SCHEMA.version_of(connection)
        if version != SCHEMA.version:
            raise OSError(
                f"it has schema {version}, not {SCHEMA.version}: a gateway of this version brings it up to date"
            )
        yield SqliteBooks(connection)
    finally:
        connection.close()


class LedgerFile:
    """One connection in one thread; None for a path keeps the books in memory.

    Attributes:
        detail: What is wrong with the file; "" while it is written.
        recovered: Calls of former processes whose end nobody knows, found when the file was opened.
    """

    def __init__(
        self, path: Path | None, journal: Journal | None, kinds: Kinds, clock: Clock, keep: Keep
    ) -> None:
        self.detail = "" if path is None else "not opened yet"
        self.recovered = 0
        self._path = path
        self._journal = journal
        self._kinds = kinds
        self._clock = clock
        self._keep = keep
        self._secret = b""
        self._untidy = ""
        self._thread = ThreadPoolExecutor(1, "askonce-ledger")
        self._connection: sqlite3.Connection | None = None
        self._lock: int | None = None

    async def open(self, secret: bytes) -> None:
        """Opens it and takes up what a killed process left; `secret` hides questions' keys. Raises sqlite3.Error, OSError."""
        self._secret = secret
        await self._do(lambda _: None)

    async def write(self, page: Page, retired: Sequence[Segment], *, pruning: bool) -> None:
        """Adds a page, whole or not at all; then the journal's segments that are told of in it aren't needed any more.

        Raises sqlite3.Error, OSError: nothing was written.
        """
        await self._do(lambda connection: self._write(connection, page, retired, pruning=pruning))

    async def read(self, work: Callable[[SqliteBooks], _T]) -> _T:
        """Reads. Raises sqlite3.Error, OSError."""
        return await self._do(lambda connection: work(SqliteBooks(connection)))

    async def transact(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Does something else in the file, which begins and ends its own transaction. Raises sqlite3.Error, OSError."""
        return await self._do(work)

    async def close(self, *, written: bool) -> None:
        """Closes the file; the journal stays for the next process unless everything is `written`."""
        await asyncio.get_running_loop().run_in_executor(self._thread, lambda: self._close(written=written))
        self._thread.shutdown(wait=False)

    def _do(self, work: Callable[[sqlite3.Connection], _T]) -> asyncio.Future[_T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, work)

    def _guarded(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Does work on the open file, and notes what is wrong with it."""
        try:
            result = work(self._open())
        except (sqlite3.Error, OSError) as error:
            self.detail = reason(error)
            if isinstance(error, sqlite3.Error) and primary_code(error) in _CORRUPT:
                self._set_aside(error)
            raise
        self.detail = ""
        return result

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                if self._lock is None:
                    self._lock = acquire(self._path)
            self._connection = self._connect()
            with suppress(OSError):  # told of by the journal itself: `ready`
                self._prepare()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        if self._path is not None:
            make_private(self._path)
        connection = sqlite3.connect(
            ":memory:" if self._path is None else self._path,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            # The journal's segments are deleted once a page is in the file: that has to be on the disk then.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            SCHEMA.bring_up_to_date(connection)
            self._recover(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _recover(self, connection: sqlite3.Connection) -> None:
        """Takes up what the journals of former processes say. Raises sqlite3.Error, OSError."""
        if self._journal is None:
            return
        found = self._journal.find()
        page = Page(self._kinds)
        for charge in (*found.charged, *found.begun):
            page.charged(charge)
        if page.charges:
            write(connection, page, self._kinds, self._secret)
            self.recovered += len(found.begun)
            _log.warning(
                "ledger recovered", calls_settled=len(found.charged), calls_unsettled=len(found.begun)
            )
        self._journal.forget_found()

    def _write(
        self, connection: sqlite3.Connection, page: Page, retired: Sequence[Segment], *, pruning: bool
    ) -> None:
        write(connection, page, self._kinds, self._secret)
        # From here on the page is in the file: nothing below may make it be written again.
        try:
            for segment in retired:
                segment.delete()
            self._prepare()
            if pruning:
                prune(connection, self._keep, self._clock.now())
                # Its log has what was deleted: SQLite would write over that some time, nobody knows when.
                empty_log(connection)
        except (sqlite3.Error, OSError) as error:
            if self._untidy != reason(error):
                self._untidy = reason(error)
                _log.warning("ledger not tidied; tried again every second", error=self._untidy)
        else:
            self._untidy = ""

    def _prepare(self) -> None:
        if self._journal is not None:
            self._journal.prepare()

    def _set_aside(self, error: sqlite3.Error) -> None:
        """A file that is no database any more: kept under another name, and a new one is begun."""
        self._close_connection()
        if self._path is not None:
            with suppress(OSError):
                aside = move_aside(self._path, self._clock.now())
                _log.error(
                    "ledger corrupt: moved aside, a new one is begun",
                    moved_to=str(aside),
                    error=reason(error),
                )

    def _close_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _close(self, *, written: bool) -> None:
        self._close_connection()
        if self._journal is not None and written:
            self._journal.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

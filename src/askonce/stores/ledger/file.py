"""The books' file: opened, written page by page, read; all in a thread of its own."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import orjson

from askonce.ports import Sums
from askonce.stores.ledger import schema
from askonce.stores.ledger.reading import SqliteBooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from askonce.stores.ledger.page import Page

__all__ = ["LedgerFile", "ledger_path", "open_books"]

_T = TypeVar("_T")
_BUSY_TIMEOUT_S: Final = 2.0
_ADD: Final = ", ".join(f"{name} = {name} + excluded.{name}" for name in Sums._fields)
_INSERT_SUMS: Final = (
    f"INSERT INTO hours VALUES ({', '.join('?' * (5 + len(Sums._fields)))}) "  # noqa: S608 - constants
    f"ON CONFLICT DO UPDATE SET {_ADD}"
)
_INSERT_QUESTION: Final = (
    "INSERT INTO questions VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET "
    "text = coalesce(excluded.text, text), requests = requests + excluded.requests, "
    "saved_nanousd = saved_nanousd + excluded.saved_nanousd, last_at = max(last_at, excluded.last_at)"
)


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
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT_S)
    try:
        version = schema.version_of(connection)
        if version != schema.VERSION:
            raise OSError(
                f"it has schema {version}, not {schema.VERSION}: a gateway of this version brings it up to date"
            )
        yield SqliteBooks(connection)
    finally:
        connection.close()


class LedgerFile:
    """One connection in one thread; None for a path keeps the books in memory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "askonce-ledger")
        self._connection: sqlite3.Connection | None = None

    async def write(self, page: Page) -> None:
        """Adds a page to the books, whole or not at all. Raises sqlite3.Error, OSError."""
        await self._do(lambda connection: _write(connection, page))

    async def read(self, work: Callable[[SqliteBooks], _T]) -> _T:
        """Reads. Raises sqlite3.Error, OSError."""
        return await self._do(lambda connection: work(SqliteBooks(connection)))

    async def close(self) -> None:
        """Closes the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _do(self, work: Callable[[sqlite3.Connection], _T]) -> asyncio.Future[_T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._open()))

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(
                ":memory:" if self._path is None else self._path,
                timeout=_BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            schema.bring_up_to_date(connection)
            self._connection = connection
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _write(connection: sqlite3.Connection, page: Page) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany(_INSERT_SUMS, [(*whose, *line.sums()) for whose, line in page.lines.items()])
        for key, histogram in page.histograms.items():
            _add_histogram(connection, key, histogram.counts, histogram.total_s)
        connection.executemany(
            "INSERT INTO decisions VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
            [(*key, count) for key, count in page.decisions.items()],
        )
        connection.executemany(
            "INSERT INTO reasons VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
            [(*key, count) for key, count in page.reasons.items()],
        )
        connection.executemany(
            _INSERT_QUESTION,
            [
                (*key, one.model, one.text, one.requests, one.saved_nanousd, one.last_at)
                for key, one in page.questions.items()
            ],
        )
        connection.executemany(
            "INSERT OR IGNORE INTO unsettled VALUES (?,?,?,?,?,?,?,?)",
            [
                (
                    one.call,
                    one.at,
                    one.shares[0].tenant,
                    one.shares[0].feature,
                    one.upstream,
                    one.model,
                    one.estimate.prompt_tokens + one.estimate.completion_tokens,
                    one.cost_nanousd,
                )
                for one in page.unsettled
            ],
        )
        connection.executemany(
            "INSERT INTO acts (at, actor, action, detail) VALUES (?,?,?,?)",
            [(act.at, act.actor, act.action, orjson.dumps(act.detail).decode()) for act in page.acts],
        )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _add_histogram(
    connection: sqlite3.Connection, key: tuple[int, str, str, str], counts: list[int], total_s: float
) -> None:
    row = connection.execute(
        "SELECT total_s, counts FROM latencies WHERE hour = ? AND feature = ? AND outcome = ? AND measure = ?",
        key,
    ).fetchone()
    known = np.array(counts, np.int64)
    if row is not None:
        total_s += row[0]
        known += np.frombuffer(row[1], "<u4")
    blob = np.minimum(known, np.iinfo(np.uint32).max).astype("<u4").tobytes()
    connection.execute("INSERT OR REPLACE INTO latencies VALUES (?,?,?,?,?,?)", (*key, total_s, blob))

"""The file of answers: plain blocking functions, called by the store's two disk threads.

The disk has the same order of eviction as memory (`memory.MemoryStore`): priority = L + frequency * worth, with
frequency = hits + 1, L kept in `meta`. Over the budget the entries of lowest priority go, a batch at a time,
inside the transaction that needs their room, so their pages are used again at once. Pages that it still takes
beyond the budget (`max_bytes`), or that a lowered budget leaves over, are given back by incremental vacuum at its
end. The write-ahead log beside the file takes up to one group commit more, and is cut back to 16 MiB.

Commits are `synchronous=NORMAL` in WAL mode: a killed process loses nothing committed, a power cut may lose the
last commits, neither corrupts the file.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from askonce.model import Entry
from askonce.stores import audits, rows, schema
from askonce.stores.files import acquire, log_bytes, move_aside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from askonce.model import Audit
    from askonce.stores.pending import Batch, Change

__all__ = ["Applied", "Database", "primary_code"]

_BUSY_TIMEOUT_S: Final = 1.0
_WAL_BYTES: Final = 16 * 2**20
_EVICTED_AT_ONCE: Final = 64
_PURGED_AT_ONCE: Final = 2_000
_KEPT_OPEN: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL}
"""Failures of the moment, not of the connection."""
_CORRUPT: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNSTORABLE: Final = (ValueError, TypeError, OverflowError, sqlite3.DataError)
"""Values that SQLite can't express: lone surrogates, integers beyond 64 bits, texts beyond its limits."""
_TABLES: Final = ("entries", "links", "questions", "tags")
_RECLASS: Final = "UPDATE questions SET answer = nullif(?, key) WHERE key = ?"
_KEPT: Final = "kept:"
_KEEP: Final = f"INSERT OR REPLACE INTO meta VALUES ('{_KEPT}' || ?, ?)"  # noqa: S608 - a constant


def primary_code(error: BaseException) -> int:
    """SQLite's primary result code of an error; 0 where it has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


@dataclass(frozen=True, slots=True)
class Applied:
    """What a commit tells: keys forgotten by tags, and how the file stands.

    Attributes:
        forgotten: Keys of the entries on disk that the batch's tags forgot, without those that it changed.
        entries: Entries and links on disk.
        disk_bytes: Bytes of the file and its write-ahead log.
        evicted: Entries evicted by this commit.
        refused: Changes of this batch that SQLite can't express; the file knows nothing under their keys.
        set_aside: Where a corrupt file was moved, if that happened.
        secret: The store's secret.
        kept: All values by name.
    """

    forgotten: list[bytes]
    entries: int
    disk_bytes: int
    evicted: int
    refused: int
    set_aside: Path | None
    secret: bytes
    kept: Mapping[str, bytes]


class Database:
    """The one writer of a file, on one thread. It opens itself with the first commit.

    Args:
        path: The file; its directory must exist. A lock file beside it keeps a second process out.
        max_bytes: Budget of the file.
        secret: What the store's secret becomes where the file has none yet.
    """

    def __init__(self, path: Path, max_bytes: int, secret: bytes) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._secret = secret
        self._kept: Mapping[str, bytes] = {}
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._corrupt = False
        self._set_aside: Path | None = None
        self._floor = 0.0
        self._entries = 0
        self._evicted = 0
        self._refused = 0

    @property
    def is_open(self) -> bool:
        """Whether the file can be read."""
        return self._connection is not None

    def commit(self, batch: Batch, now: float, *, tidy: bool) -> Applied:
        """Applies a batch, whole or not at all; `tidy` also drops what has expired.

        Raises sqlite3.Error or OSError; all but a full or locked disk also closes the file, and the next
        commit opens it anew. A file found corrupt is then moved aside and a new one begun.
        """
        try:
            if self._connection is not None and not self._path.exists():
                raise FileNotFoundError("the file was deleted while it was in use")
            connection = self._connection or self._open(now)
            self._evicted = self._refused = 0
            forgotten = self._apply(connection, batch, now)
            if tidy:
                self._tidy(connection, now)
            disk_bytes = self._measure(connection)
        except (sqlite3.Error, OSError) as error:
            if primary_code(error) not in _KEPT_OPEN:
                self._corrupt = self._corrupt or primary_code(error) in _CORRUPT
                self._disconnect()
            raise
        set_aside, self._set_aside = self._set_aside, None
        return Applied(
            forgotten,
            self._entries,
            disk_bytes,
            self._evicted,
            self._refused,
            set_aside,
            self._secret,
            self._kept,
        )

    def distrust(self) -> None:
        """The file was found corrupt by its reader: the next commit moves it aside."""
        self._corrupt = True
        self._disconnect()

    def close(self) -> None:
        """Closes the file, its log folded in, and unlocks it."""
        self._disconnect()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _open(self, now: float) -> sqlite3.Connection:
        if not self._path.parent.is_dir():
            raise FileNotFoundError(f"its directory {self._path.parent} does not exist")
        if self._lock is None:
            self._lock = acquire(self._path)
        if self._corrupt:
            self._begin_anew(now)
        try:
            connection = self._connect()
        except sqlite3.DatabaseError as error:
            if primary_code(error) not in _CORRUPT:
                raise
            self._begin_anew(now)
            connection = self._connect()
        self._connection = connection
        return connection

    def _begin_anew(self, now: float) -> None:
        self._set_aside = move_aside(self._path, now)
        self._corrupt = False

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            version = schema.version_of(connection)
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
            schema.bring_up_to_date(connection, version)
            self._recall(connection)
            counted = connection.execute(
                "SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM links)"
            )
            self._entries = sum(counted.fetchone())
        except BaseException:
            connection.close()
            raise
        return connection

    def _recall(self, connection: sqlite3.Connection) -> None:
        """Takes over what the file knows by name; a file begun anew learns what this process still knows."""
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('secret', ?)", (self._secret,))
        connection.executemany(_KEEP, self._kept.items())
        meta = dict(connection.execute("SELECT name, value FROM meta"))
        self._secret = bytes(meta.pop("secret"))
        self._floor = float(meta.pop("floor", 0.0))
        self._kept = {name.removeprefix(_KEPT): bytes(value) for name, value in meta.items()}

    @contextmanager
    def _transaction(self, connection: sqlite3.Connection) -> Iterator[None]:
        entries, floor = self._entries, self._floor
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            self._entries, self._floor = entries, floor
            # Some failures have rolled back by themselves.
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _apply(self, connection: sqlite3.Connection, batch: Batch, now: float) -> list[bytes]:
        with self._transaction(connection):
            # What the batch itself replaces or removes isn't forgotten by its tags.
            forgotten = [
                key for key in self._forget_tagged(connection, batch.tags) if key not in batch.changes
            ]
            self._forget(connection, batch.changes)
            self._make_room(connection, batch.size_bytes)
            self._insert(connection, batch.changes.values())
            connection.executemany(_RECLASS, ((answer, key) for key, answer in batch.classes.items()))
            self._append(connection, batch.audits)
            kept = self._keep(connection, batch.kept)
            self._make_room(connection, 0)
            connection.executemany(
                "UPDATE entries SET hits = hits + :times, last_used = :now, "
                "priority = :floor + (hits + 1 + :times) * worth WHERE key = :key",
                (
                    {"times": times, "now": now, "floor": self._floor, "key": key}
                    for key, times in batch.used.items()
                ),
            )
            _vacuum(connection, self._max_bytes)
        self._kept = kept
        return forgotten

    def _forget_tagged(self, connection: sqlite3.Connection, tags: Iterable[str]) -> set[bytes]:
        found: set[bytes] = set()
        for tag in tags:
            # A tag that SQLite can't express is carried by nothing in the file.
            with suppress(*_UNSTORABLE):
                found.update(
                    key for (key,) in connection.execute("SELECT key FROM tags WHERE tag = ?", (tag,))
                )
        self._forget(connection, found)
        return found

    def _forget(self, connection: sqlite3.Connection, keys: Iterable[bytes]) -> None:
        parameters = [(key,) for key in keys]
        if not parameters:
            return
        for table in _TABLES:
            cursor = connection.executemany(f"DELETE FROM {table} WHERE key = ?", parameters)  # noqa: S608 - constants
            if table in ("entries", "links"):
                self._entries -= cursor.rowcount

    def _insert(self, connection: sqlite3.Connection, changes: Iterable[Change]) -> None:
        for change in changes:
            try:
                self._insert_one(connection, change)
            except _UNSTORABLE:
                self._forget(connection, [change.key])
                self._refused += 1

    def _insert_one(self, connection: sqlite3.Connection, change: Change) -> None:
        record = change.record
        if record is None:
            return
        if isinstance(record, Entry):
            connection.execute(rows.INSERT_ENTRY, rows.entry_row(record, self._floor))
            self._entries += 1
            for tag in set(record.tags):
                connection.execute("INSERT INTO tags (tag, key) VALUES (?,?)", (tag, record.key))
        else:
            connection.execute(rows.INSERT_LINK, rows.link_row(record))
            self._entries += 1
        if change.question is not None:
            connection.execute(rows.INSERT_QUESTION, rows.question_row(change.question))

    def _append(self, connection: sqlite3.Connection, batch: Iterable[Audit]) -> None:
        features = set()
        for audit in batch:
            try:
                audits.append(connection, audit)
                features.add(audit.feature)
            except _UNSTORABLE:
                self._refused += 1
        audits.trim(connection, features)

    def _keep(self, connection: sqlite3.Connection, values: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """All named values once these are kept too."""
        kept = dict(self._kept)
        for name, value in values.items():
            try:
                connection.execute(_KEEP, (name, value))
                kept[name] = value
            except _UNSTORABLE:
                self._refused += 1
        return kept

    def _make_room(self, connection: sqlite3.Connection, incoming_bytes: int) -> None:
        page_bytes = _pragma(connection, "page_size")
        while True:
            pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
            if pages * page_bytes + incoming_bytes <= self._max_bytes:
                return
            lowest = connection.execute(
                "SELECT key, priority FROM entries ORDER BY priority LIMIT ?", (_EVICTED_AT_ONCE,)
            ).fetchall()
            if not lowest and not self._evict_links(connection):
                return
            if lowest:
                self._floor = lowest[-1][1]
                self._forget_with_links(connection, [key for key, _ in lowest])
                self._evicted += len(lowest)
                connection.execute("INSERT OR REPLACE INTO meta VALUES ('floor', ?)", (self._floor,))

    def _evict_links(self, connection: sqlite3.Connection) -> bool:
        """Links that have outlived every entry; False where there are none."""
        found = connection.execute("SELECT key FROM links ORDER BY expires_at LIMIT ?", (_EVICTED_AT_ONCE,))
        links = [key for (key,) in found]
        self._forget(connection, links)
        self._evicted += len(links)
        return bool(links)

    def _forget_with_links(self, connection: sqlite3.Connection, keys: list[bytes]) -> None:
        links = "SELECT key FROM links WHERE target = ?"
        self._forget(connection, [link for key in keys for (link,) in connection.execute(links, (key,))])
        self._forget(connection, keys)

    def _tidy(self, connection: sqlite3.Connection, now: float) -> None:
        """Drops expired rows, pulls entries from the future into the present."""
        with self._transaction(connection):
            connection.execute(
                "UPDATE entries SET created_at = :now, expires_at = :now + (expires_at - created_at) "
                "WHERE created_at > :now",
                {"now": now},
            )
            for table, forget in (("entries", self._forget_with_links), ("links", self._forget)):
                expired = connection.execute(
                    f"SELECT key FROM {table} WHERE expires_at <= ? LIMIT ?",  # noqa: S608 - constants
                    (now, _PURGED_AT_ONCE),
                )
                forget(connection, [key for (key,) in expired])
            audits.trim_all(connection, self._max_bytes)

    def _measure(self, connection: sqlite3.Connection) -> int:
        file_bytes = _pragma(connection, "page_count") * _pragma(connection, "page_size")
        return file_bytes + log_bytes(self._path)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _vacuum(connection: sqlite3.Connection, max_bytes: int) -> None:
    """Gives back free pages beyond the budget."""
    over = _pragma(connection, "page_count") - max_bytes // _pragma(connection, "page_size")
    for _ in range(over):
        # Python's `execute` takes one step of it, which is one page; `executescript` would end the transaction.
        connection.execute("PRAGMA incremental_vacuum(1)")

"""What is in the file: a batch applied to its tables, eviction, tidying. See `database` for the rules.

Plain blocking functions, for the one thread that writes.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from askonce.model import Entry
from askonce.stores import audits, erasing, meta, rows
from askonce.stores.resealing import check_keys
from askonce.stores.scrubbing import empty_log
from askonce.stores.sealing import place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from askonce.model import Audit, Owner
    from askonce.ports import Erased
    from askonce.stores.pending import Batch, Change
    from askonce.stores.sealing import Seals

__all__ = ["Contents"]

_EVICTED_AT_ONCE: Final = 64
_PURGED_AT_ONCE: Final = 2_000
_UNSTORABLE: Final = (ValueError, TypeError, OverflowError, sqlite3.DataError)
"""Values that SQLite can't express: lone surrogates, integers beyond 64 bits, texts beyond its limits."""
_TABLES: Final = ("entries", "links", "questions", "tags", "owners")
_RECLASS: Final = "UPDATE questions SET answer = nullif(?, key) WHERE key = ?"
_KEEP: Final = f"INSERT OR REPLACE INTO meta VALUES ('{meta.KEPT}' || ?, ?)"  # noqa: S608 - a constant


class Contents:
    """The tables of one open file.

    Args:
        connection: To a file of the present schema.
        seals: What its values are sealed with.
        max_bytes: Budget of the file.
        secret: What the store's secret becomes where the file has none yet.

    Attributes:
        secret: The store's secret.
        kept: All values by name; replaced, never changed.
        entries: Entries and links.
        evicted: Entries and links that the last batch evicted.
        refused: The last batch's changes, audits and values that SQLite can't express.

    Raises:
        sqlite3.Error: So does every method.
        Unreadable: None of the keys opens it.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        seals: Seals,
        max_bytes: int,
        secret: bytes,
    ) -> None:
        self._connection = connection
        self._seals = seals
        self._max_bytes = max_bytes
        with self._together():
            self.secret = self._own_secret(secret)
        values = dict(connection.execute("SELECT name, value FROM meta"))
        self._floor = float(values.get("floor", 0.0))
        self.kept: Mapping[str, bytes] = {
            name.removeprefix(meta.KEPT): bytes(value)
            for name, value in values.items()
            if name.startswith(meta.KEPT)
        }
        self.entries = self._count("entries") + self._count("links")
        self._audits = self._count("audits")
        self.evicted = 0
        self.refused = 0

    def learn(self, kept: Mapping[str, bytes]) -> None:
        """Values by name that this process knows: a file begun anew has none."""
        with self._together():
            self._connection.executemany(_KEEP, kept.items())
        self.kept = {**self.kept, **kept}

    def apply(self, batch: Batch, now: float, *, tidy: bool) -> list[bytes]:
        """Applies a batch, whole or not at all; `tidy` also drops what has expired.

        Returns the keys that the batch's tags forgot and that it doesn't change.
        """
        self.evicted = self.refused = 0
        with self._transaction():
            # What the batch itself replaces or removes isn't forgotten by its tags.
            forgotten = [key for key in self._forget_tagged(batch.tags) if key not in batch.changes]
            self._forget(batch.changes)
            self._make_room(batch.size_bytes)
            self._insert(batch.changes.values())
            self._connection.executemany(_RECLASS, ((answer, key) for key, answer in batch.classes.items()))
            self._append(batch.audits)
            self._keep(batch.kept)
            self._make_room(0)
            self._connection.executemany(
                "UPDATE entries SET hits = hits + :times, last_used = :now, "
                "priority = :floor + (hits + 1 + :times) * worth WHERE key = :key",
                (
                    {"times": times, "now": now, "floor": self._floor, "key": key}
                    for key, times in batch.used.items()
                ),
            )
            if tidy:
                self._tidy(now)
            self._vacuum()
        return forgotten

    def erase(self, owner: Owner) -> Erased:
        """Forgets all that is an owner's, whole or not at all; its text is still in free pages until `scrub`."""
        with self._transaction():
            erased = erasing.find(self._connection, owner)
            self._forget(erased.keys)
            erasing.rename_classes(self._connection, set(erased.keys))
            audits.anonymise(self._connection, owner, set(erased.keys))
        return erased

    def fold_log(self) -> None:
        """Empties the write-ahead log, unless somebody reads it just now: it has what was deleted meanwhile."""
        empty_log(self._connection)

    def pragma(self, name: str) -> int:
        """A number that SQLite knows of the file."""
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def _count(self, table: str) -> int:
        return int(self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - constants

    def _own_secret(self, new: bytes) -> bytes:
        """The store's secret, sealed with the first key from now on; it tells whether the keys are the right ones."""
        check_keys(self._connection, self._seals)
        secret = meta.stored_secret(self._connection, self._seals) or new
        value = meta.value(self._connection, "secret")
        if value is None or not self._seals.current(value):
            sealed = self._seals.seal(secret, place("meta", "secret"))
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('secret', ?)", (sealed,))
        return secret

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        before = self.entries, self._floor, self._audits, self.kept
        try:
            with self._together():
                yield
        except BaseException:
            self.entries, self._floor, self._audits, self.kept = before
            raise

    @contextmanager
    def _together(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # Some failures have rolled back by themselves.
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def _tidy(self, now: float) -> None:
        """Drops expired rows, pulls entries from the future into the present."""
        self._connection.execute(
            "UPDATE entries SET created_at = :now, expires_at = :now + (expires_at - created_at) "
            "WHERE created_at > :now",
            {"now": now},
        )
        for table, forget in (("entries", self._forget_with_links), ("links", self._forget)):
            expired = self._connection.execute(
                f"SELECT key FROM {table} WHERE expires_at <= ? LIMIT ?",  # noqa: S608 - constants
                (now, _PURGED_AT_ONCE),
            )
            forget([key for (key,) in expired])

    def _forget_tagged(self, tags: Iterable[str]) -> set[bytes]:
        found: set[bytes] = set()
        for tag in tags:
            # A tag that SQLite can't express is carried by nothing in the file.
            with suppress(*_UNSTORABLE):
                for form in self._seals.tag_forms(tag):
                    carriers = self._connection.execute("SELECT key FROM tags WHERE tag = ?", (form,))
                    found.update(key for (key,) in carriers)
        self._forget(found)
        return found

    def _forget(self, keys: Iterable[bytes]) -> None:
        parameters = [(key,) for key in keys]
        if not parameters:
            return
        for table in _TABLES:
            cursor = self._connection.executemany(f"DELETE FROM {table} WHERE key = ?", parameters)  # noqa: S608 - constants
            if table in ("entries", "links"):
                self.entries -= cursor.rowcount

    def _insert(self, changes: Iterable[Change]) -> None:
        for change in changes:
            try:
                self._insert_one(change)
            except _UNSTORABLE:
                self._forget([change.key])
                self.refused += 1

    def _insert_one(self, change: Change) -> None:
        record = change.record
        if record is None:
            return
        if isinstance(record, Entry):
            self._connection.execute(rows.INSERT_ENTRY, rows.entry_row(record, self._floor, self._seals))
            self.entries += 1
            for tag in set(record.tags):
                named = (self._seals.tag(tag), record.key)
                self._connection.execute("INSERT INTO tags (tag, key) VALUES (?,?)", named)
        else:
            self._connection.execute(rows.INSERT_LINK, rows.link_row(record))
            self.entries += 1
        for user in record.users:
            self._connection.execute(rows.INSERT_OWNER, (record.key, user))
        if change.question is not None:
            asked = rows.question_row(change.question, self._seals)
            self._connection.execute(rows.INSERT_QUESTION, asked)

    def _append(self, batch: Iterable[Audit]) -> None:
        features = set()
        for audit in batch:
            try:
                audits.append(self._connection, audit)
                features.add(audit.feature)
                self._audits += 1
            except _UNSTORABLE:
                self.refused += 1
        self._audits -= audits.trim(self._connection, features)
        self._audits -= audits.trim_all(self._connection, self._audits, self._max_bytes)

    def _keep(self, values: Mapping[str, bytes]) -> None:
        for name, value in values.items():
            try:
                self._connection.execute(_KEEP, (name, value))
                self.kept = {**self.kept, name: value}
            except _UNSTORABLE:
                self.refused += 1

    def _make_room(self, incoming_bytes: int) -> None:
        page_bytes = self.pragma("page_size")
        while True:
            pages = self.pragma("page_count") - self.pragma("freelist_count")
            if pages * page_bytes + incoming_bytes <= self._max_bytes:
                return
            lowest = self._connection.execute(
                "SELECT key, priority FROM entries ORDER BY priority LIMIT ?", (_EVICTED_AT_ONCE,)
            ).fetchall()
            if not lowest and not self._evict_links():
                return
            if lowest:
                self._floor = lowest[-1][1]
                self._forget_with_links([key for key, _ in lowest])
                self.evicted += len(lowest)
                self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('floor', ?)", (self._floor,))

    def _evict_links(self) -> bool:
        """Links that have outlived every entry; False where there are none."""
        found = self._connection.execute(
            "SELECT key FROM links ORDER BY expires_at LIMIT ?", (_EVICTED_AT_ONCE,)
        )
        links = [key for (key,) in found]
        self._forget(links)
        self.evicted += len(links)
        return bool(links)

    def _forget_with_links(self, keys: list[bytes]) -> None:
        links = "SELECT key FROM links WHERE target = ?"
        self._forget([link for key in keys for (link,) in self._connection.execute(links, (key,))])
        self._forget(keys)

    def _vacuum(self) -> None:
        """Gives back free pages beyond the budget."""
        over = self.pragma("page_count") - self._max_bytes // self.pragma("page_size")
        for _ in range(min(over, self.pragma("freelist_count"))):
            # Python's `execute` takes one step of it, which is one page; `executescript` would end the transaction.
            self._connection.execute("PRAGMA incremental_vacuum(1)")

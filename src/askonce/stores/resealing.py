"""Encryption turned on, or its key renewed, over a file that has rows already: they are sealed anew, step by step.

Plain blocking functions, for the thread that writes. The file notes under `seals` in its `meta` which keys its values may
be sealed with, and under `sealed` the key of the last walk after which the file was written anew: until then clear copies
may be left in its free pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from askonce.stores import meta
from askonce.stores.sealing import Unreadable, place

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from askonce.stores.sealing import Seals

__all__ = ["TABLES", "Walk", "check_keys", "note_end", "rows_left", "step"]

_KEY_BYTES: Final = 4
_ROWS_AT_ONCE: Final = 200
_BYTES_AT_ONCE: Final = 4 * 2**20


class _Sealed(NamedTuple):
    """A table, what names its rows, and its sealed columns."""

    table: str
    name: str
    columns: tuple[str, ...]


TABLES: Final = (
    _Sealed("entries", "key", ("usage_json", "tags", "fields")),
    _Sealed("questions", "key", ("text", "vector", "tokens")),
    _Sealed("lines", "number", ("context", "body", "answer")),
    _Sealed("jobs", "number", ("error",)),
    _Sealed("deliveries", "job", ("url",)),
)


@dataclass(frozen=True, slots=True)
class Walk:
    """How far a walk has come: the table, its last row, rows looked at, rows sealed, rows that nothing opens."""

    table: int = 0
    after: int = 0
    seen: int = 0
    sealed: int = 0
    unreadable: int = 0

    @property
    def ended(self) -> bool:
        """Whether there is nothing left."""
        return self.table >= len(TABLES)


def check_keys(connection: sqlite3.Connection, seals: Seals) -> None:
    """Notes that the first key is used from now on. Raises Unreadable where another is in use that isn't there."""
    used = meta.value(connection, "seals") or b""
    ids = {used[start : start + _KEY_BYTES] for start in range(0, len(used), _KEY_BYTES)}
    if ids - seals.ids:
        raise Unreadable(
            "it is encrypted with a key that cache_encryption_key doesn't have; give the key back, or begin a new file"
            if seals.on
            else "it is encrypted, and cache_encryption_key isn't set; set it, or begin a new file"
        )
    if seals.on and seals.first not in ids:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('seals', ?)", (used + seals.first,))


def rows_left(connection: sqlite3.Connection, seals: Seals) -> int | None:
    """Rows that a walk has to look at; None where nothing is left to do with this key."""
    if meta.value(connection, "sealed") == seals.first:
        return None
    return sum(
        int(connection.execute(f"SELECT count(*) FROM {one.table}").fetchone()[0])  # noqa: S608 - constants
        for one in TABLES
    )


def note_end(connection: sqlite3.Connection, seals: Seals) -> None:
    """All rows are sealed with the first key, and the file was written anew since. Raises sqlite3.Error."""
    connection.execute(
        "INSERT OR REPLACE INTO meta VALUES ('seals', :key), ('sealed', :key)", {"key": seals.first}
    )


def step(connection: sqlite3.Connection, seals: Seals, walk: Walk) -> Walk:
    """Seals what isn't sealed with the first key among the next rows; begins and commits by itself.

    Raises sqlite3.Error.
    """
    one = TABLES[walk.table]
    connection.execute("BEGIN IMMEDIATE")
    try:
        after, seen, stale = _stale(connection, one, seals, walk.after)
        lost = 0
        for row in stale:
            try:
                _seal(connection, one, seals, row)
            except Unreadable:
                lost += 1
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    sealed, unreadable = walk.sealed + len(stale) - lost, walk.unreadable + lost
    return Walk(walk.table + (not seen), after if seen else 0, walk.seen + seen, sealed, unreadable)


def _stale(
    connection: sqlite3.Connection, one: _Sealed, seals: Seals, after: int
) -> tuple[int, int, list[tuple[object, ...]]]:
    """The last of the next rows, how many they are, and those that aren't sealed with the first key."""
    seen, size_bytes = 0, 0
    stale: list[tuple[object, ...]] = []
    for row in connection.execute(
        f"SELECT rowid, {one.name}, {', '.join(one.columns)} FROM {one.table} "  # noqa: S608 - constants
        "WHERE rowid > ? ORDER BY rowid LIMIT ?",
        (after, _ROWS_AT_ONCE),
    ):
        seen, after = seen + 1, row[0]
        if not all(_nothing(value) or seals.current(value) for value in row[2:]):
            stale.append(row)
            size_bytes += sum(len(value) for value in row[2:] if value is not None)
        if size_bytes > _BYTES_AT_ONCE:
            break
    return after, seen, stale


def _seal(connection: sqlite3.Connection, one: _Sealed, seals: Seals, row: tuple[object, ...]) -> None:
    """One row, sealed with the first key. Raises Unreadable."""
    rowid, name, *values = row
    sealed: list[Any] = []
    for column, value in zip(one.columns, values, strict=True):
        at = place(f"{one.table}.{column}", name)  # type: ignore[arg-type]
        if _nothing(value):
            sealed.append(value)
            continue
        plain = value.encode() if isinstance(value, str) else seals.unseal(value, at)  # type: ignore[arg-type]
        sealed.append(seals.seal(plain, at))
        if column == "tags":
            _rename_tags(connection, seals, name, orjson.loads(plain))
    assigned = ", ".join(f"{column} = ?" for column in one.columns)
    connection.execute(f"UPDATE {one.table} SET {assigned} WHERE rowid = ?", (*sealed, rowid))  # noqa: S608 - constants


def _nothing(value: object) -> bool:
    """Whether there is nothing to seal."""
    return value is None or value == b""


def _rename_tags(connection: sqlite3.Connection, seals: Seals, key: object, tags: Iterable[str]) -> None:
    connection.execute("DELETE FROM tags WHERE key = ?", (key,))
    connection.executemany("INSERT INTO tags VALUES (?,?)", [(seals.tag(tag), key) for tag in set(tags)])

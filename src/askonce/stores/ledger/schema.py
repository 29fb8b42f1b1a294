"""The tables of the books."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.ports import Sums

if TYPE_CHECKING:
    import sqlite3

__all__ = ["APPLICATION_ID", "VERSION", "bring_up_to_date", "version_of"]

APPLICATION_ID: Final = 0x61736B32
"""`ask2` in the file's header."""

_SUMS: Final = ", ".join(f"{name} INTEGER NOT NULL DEFAULT 0" for name in Sums._fields)
_STEPS: Final = (
    f"""
CREATE TABLE hours (
    hour INTEGER NOT NULL, tenant TEXT NOT NULL, feature TEXT NOT NULL, model TEXT NOT NULL, outcome TEXT NOT NULL,
    {_SUMS}, PRIMARY KEY (hour, tenant, feature, model, outcome)) WITHOUT ROWID;
CREATE TABLE latencies (
    hour INTEGER NOT NULL, feature TEXT NOT NULL, outcome TEXT NOT NULL, measure TEXT NOT NULL,
    total_s REAL NOT NULL, counts BLOB NOT NULL, PRIMARY KEY (hour, feature, outcome, measure)) WITHOUT ROWID;
CREATE TABLE decisions (
    hour INTEGER NOT NULL, feature TEXT NOT NULL, mode TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (hour, feature, mode, reason)) WITHOUT ROWID;
CREATE TABLE questions (
    day INTEGER NOT NULL, tenant TEXT NOT NULL, feature TEXT NOT NULL, key BLOB NOT NULL, model TEXT NOT NULL,
    text TEXT, requests INTEGER NOT NULL, saved_nanousd INTEGER NOT NULL, last_at REAL NOT NULL,
    PRIMARY KEY (day, tenant, feature, key)) WITHOUT ROWID;
CREATE TABLE unsettled (
    call TEXT PRIMARY KEY, at REAL NOT NULL, tenant TEXT NOT NULL, feature TEXT NOT NULL, upstream TEXT NOT NULL,
    model TEXT NOT NULL, tokens INTEGER NOT NULL, nanousd INTEGER) WITHOUT ROWID;
CREATE TABLE acts (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE keys (
    digest BLOB PRIMARY KEY, tenant TEXT NOT NULL, created_at REAL NOT NULL, revoked_at REAL, note TEXT NOT NULL
    ) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
""",
    """
CREATE TABLE reasons (
    hour INTEGER NOT NULL, feature TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (hour, feature, outcome, reason)) WITHOUT ROWID;
""",
    """
DROP TABLE unsettled;
CREATE TABLE calls (
    call TEXT NOT NULL, part INTEGER NOT NULL, at REAL NOT NULL, tenant TEXT NOT NULL, feature TEXT NOT NULL,
    upstream TEXT NOT NULL, model TEXT NOT NULL, outcome TEXT NOT NULL, input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, nanousd INTEGER, settled INTEGER NOT NULL,
    PRIMARY KEY (call, part)) WITHOUT ROWID;
CREATE INDEX calls_at ON calls (settled, at);
""",
    "ALTER TABLE questions ADD COLUMN fresh INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE keys ADD COLUMN ended INTEGER NOT NULL DEFAULT 0",
)
"""What makes version 1 of an empty file, version 2 of version 1, and so on.

`hours` has what `ports.Sums` lists. A latency's `counts` are little-endian uint32 by bucket (`ports.ledger.BOUNDS_S`).
"""

VERSION: Final = len(_STEPS)


def version_of(connection: sqlite3.Connection) -> int:
    """The schema's version, 0 in a new file.

    Raises OSError for another program's file and for one that a later version of askonce wrote, left untouched.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
        if not 1 <= version <= VERSION:
            raise OSError(f"it has schema {version}, this version of askonce knows those up to {VERSION}")
        return int(version)
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise OSError("it is another program's SQLite file")
    return 0


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Takes a file to the present schema, whole or not at all. Raises sqlite3.Error, OSError."""
    version = version_of(connection)
    if version == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    for step in _STEPS[version:]:
        for statement in step.split(";"):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")

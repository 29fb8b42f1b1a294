"""The file's schema: made in a new file, and brought up to date in an older one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

__all__ = ["APPLICATION_ID", "VERSION", "bring_up_to_date", "version_of"]

APPLICATION_ID: Final = 0x61736B31
"""`ask1` in the file's header: what tells an answer store from any other SQLite file."""

_STEPS: Final = (
    """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (
    key BLOB PRIMARY KEY, created_at REAL NOT NULL, expires_at REAL NOT NULL, last_used REAL NOT NULL,
    hits INTEGER NOT NULL, cost_nanousd INTEGER, size_bytes INTEGER NOT NULL,
    worth REAL NOT NULL, priority REAL NOT NULL,
    tenant TEXT NOT NULL, feature TEXT NOT NULL, model TEXT NOT NULL, tags TEXT NOT NULL,
    answer_model TEXT NOT NULL, id_prefix TEXT NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,
    usage_json BLOB NOT NULL, fields BLOB NOT NULL);
CREATE INDEX entries_created_at ON entries (created_at);
CREATE INDEX entries_expires_at ON entries (expires_at);
CREATE INDEX entries_priority ON entries (priority);
CREATE TABLE links (
    key BLOB PRIMARY KEY, target BLOB NOT NULL, confidence REAL NOT NULL, expires_at REAL NOT NULL);
CREATE INDEX links_target ON links (target);
CREATE INDEX links_expires_at ON links (expires_at);
CREATE TABLE questions (
    key BLOB PRIMARY KEY, partition BLOB NOT NULL, text TEXT NOT NULL, engine TEXT NOT NULL, vector BLOB);
CREATE TABLE tags (
    tag TEXT NOT NULL, key BLOB NOT NULL, PRIMARY KEY (tag, key)) WITHOUT ROWID;
CREATE INDEX tags_key ON tags (key);
""",
    """
ALTER TABLE questions ADD COLUMN tokens BLOB;
ALTER TABLE questions ADD COLUMN answer BLOB;
CREATE TABLE audits (
    id INTEGER PRIMARY KEY, feature TEXT NOT NULL, at REAL, question BLOB NOT NULL, answer BLOB NOT NULL,
    request_id TEXT NOT NULL, source TEXT NOT NULL, judge TEXT NOT NULL, correct INTEGER NOT NULL,
    propensity REAL, probability REAL, threshold REAL, reason TEXT NOT NULL, evidence BLOB, engine TEXT NOT NULL);
CREATE INDEX audits_feature ON audits (feature);
""",
)
"""What makes version 1 of an empty file, version 2 of version 1, and so on.

Times are Unix seconds; vectors and evidence are little-endian float16; `worth` is nano-dollars saved by a hit per byte,
`priority` the place in the order of eviction (see `database`). The large columns come last, so that what only
looks at the others reads no overflow page. A question's `answer` is NULL where it is its own key."""

VERSION: Final = len(_STEPS)
"""`PRAGMA user_version` of an up-to-date file."""


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


def bring_up_to_date(connection: sqlite3.Connection, version: int) -> None:
    """Takes a file from `version` to the present schema, whole or not at all. Raises sqlite3.Error."""
    if version == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    for step in _STEPS[version:]:
        for statement in step.split(";"):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")

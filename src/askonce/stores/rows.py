"""The file's schema, and how values become its rows and come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import orjson

from askonce.model import Answer, Entry, Link, Question, Usage
from askonce.stores.worth import entry_bytes, expected_saving

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

__all__ = [
    "APPLICATION_ID",
    "FIND_ENTRY",
    "FIND_LINKED",
    "INSERT_ENTRY",
    "INSERT_LINK",
    "INSERT_QUESTION",
    "QUESTIONS",
    "SCHEMA",
    "VERSION",
    "Row",
    "entry_from",
    "entry_row",
    "knows_schema",
    "link_from",
    "link_row",
    "make_schema",
    "question_from",
    "question_row",
]

Row: TypeAlias = tuple[Any, ...]

APPLICATION_ID: Final = 0x61736B31
"""`ask1` in the file's header: what tells an answer store from any other SQLite file."""
VERSION: Final = 1
"""`PRAGMA user_version` of the schema below."""

SCHEMA: Final = """
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
"""
"""Times are Unix seconds; a vector is little-endian float16; `worth` is nano-dollars saved by a hit per byte,
`priority` the place in the order of eviction (see `database`). The large columns come last, so that what only
looks at the others reads no overflow page."""

_ANSWER: Final = (
    "e.key, e.fields, e.usage_json, e.answer_model, e.id_prefix, e.prompt_tokens, e.completion_tokens, "
    "e.cached_tokens, e.cost_nanousd, e.created_at, e.expires_at, e.tenant, e.feature, e.model, e.tags"
)
FIND_ENTRY: Final = f"SELECT {_ANSWER} FROM entries e WHERE e.key = ?"  # noqa: S608 - constants alone
FIND_LINKED: Final = (
    f"SELECT {_ANSWER}, l.key, l.target, l.confidence, l.expires_at "  # noqa: S608 - constants alone
    "FROM links l JOIN entries e ON e.key = l.target WHERE l.key = ?"
)
INSERT_ENTRY: Final = (
    "INSERT INTO entries (key, fields, usage_json, answer_model, id_prefix, prompt_tokens, completion_tokens, "
    "cached_tokens, cost_nanousd, created_at, expires_at, tenant, feature, model, tags, "
    "last_used, hits, size_bytes, worth, priority) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0,?,?,?)"
)
INSERT_LINK: Final = "INSERT INTO links (key, target, confidence, expires_at) VALUES (?,?,?,?)"
INSERT_QUESTION: Final = "INSERT INTO questions (key, partition, text, engine, vector) VALUES (?,?,?,?,?)"
QUESTIONS: Final = """
SELECT q.rowid, q.key, q.partition, q.text, q.engine, q.vector,
    e.expires_at > :now OR (l.expires_at > :now AND t.expires_at > :now)
FROM questions q LEFT JOIN entries e ON e.key = q.key
    LEFT JOIN links l ON l.key = q.key LEFT JOIN entries t ON t.key = l.target
WHERE q.rowid > :after ORDER BY q.rowid LIMIT :count
"""
"""The next questions in the order of their commits, each with whether it is alive."""

KEYS: Final = """
SELECT key FROM (SELECT key FROM entries UNION ALL SELECT key FROM links) WHERE key > :after ORDER BY key LIMIT :count
"""
"""The next keys of entries and links."""


def entry_row(entry: Entry, floor: float) -> Row:
    """Parameters of `INSERT_ENTRY`; `floor` is the L of the order of eviction."""
    answer, usage = entry.answer, entry.answer.usage
    size_bytes = entry_bytes(entry)
    worth = expected_saving(answer) / size_bytes
    return (
        entry.key,
        answer.fields,
        answer.usage_json,
        answer.model,
        answer.id_prefix,
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.cached_tokens,
        answer.cost_nanousd,
        entry.created_at,
        entry.expires_at,
        entry.tenant,
        entry.feature,
        entry.model,
        orjson.dumps(entry.tags).decode(),
        entry.created_at,
        size_bytes,
        worth,
        floor + worth,
    )


def entry_from(row: Row) -> Entry:
    """An entry from the leading columns of `FIND_ENTRY` or `FIND_LINKED`."""
    usage = Usage(row[5], row[6], row[7])
    answer = Answer(row[1], row[2], row[3], row[4], usage, row[8])
    return Entry(row[0], answer, row[9], row[10], row[11], row[12], row[13], tuple(orjson.loads(row[14])))


def link_row(link: Link) -> Row:
    """Parameters of `INSERT_LINK`."""
    return (link.key, link.target, link.confidence, link.expires_at)


def link_from(row: Row) -> Link:
    """A link from the trailing columns of `FIND_LINKED`."""
    return Link(*row[15:19])


def question_row(question: Question) -> Row:
    """Parameters of `INSERT_QUESTION`."""
    vector = None if question.vector is None else question.vector.astype("<f2").tobytes()
    return (question.key, question.partition, question.text, question.engine, vector)


def question_from(row: Iterable[Any]) -> Question:
    """A question from `QUESTIONS` without its first and last column; its vector is made a unit vector again."""
    key, partition, text, engine, blob = row
    vector = None
    if blob is not None:
        vector = np.frombuffer(blob, dtype="<f2").astype(np.float32)
        vector /= np.sqrt(np.dot(vector, vector)) or 1.0
    return Question(key, partition, text, engine, vector)


def knows_schema(connection: sqlite3.Connection) -> bool:
    """False for a new file. Raises OSError for one of another program or another version, left untouched."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
        if version != VERSION:
            raise OSError(f"it has schema {version}, this version of askonce knows {VERSION} alone")
        return True
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise OSError("it is another program's SQLite file")
    return False


def make_schema(connection: sqlite3.Connection) -> None:
    """Makes the tables of a new file, whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in SCHEMA.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")

"""A file as the first version of the gateway wrote it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from stores.samples import key, question, unit

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_first_schema"]

_SCHEMA: Final = """
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
PRAGMA application_id = 0x61736B31;
PRAGMA user_version = 1;
INSERT INTO meta VALUES ('secret', zeroblob(32)), ('floor', 0.25);
"""
_TIMES: Final = (1_000_000.0, 1_000_100.0, 1_000_000.0)
_ANSWER: Final = ("gpt", "chatcmpl-", 1, 2, 0, b'{"total_tokens":3}', b'"text":"old"')


def write_first_schema(path: Path) -> None:
    """An entry `a` with the tag `x`, a link `b` to it, and the question of each with its vector."""
    vector = unit(1).astype("<f2").tobytes()
    with closing(sqlite3.connect(path)) as old:
        old.executescript(_SCHEMA)
        old.execute(
            "INSERT INTO entries VALUES (?,?,?,?,0,5,900,1,1,'acme','support','model','[\"x\"]',?,?,?,?,?,?,?)",
            (key("a"), *_TIMES, *_ANSWER),
        )
        old.execute("INSERT INTO tags VALUES ('x', ?)", (key("a"),))
        old.execute("INSERT INTO links VALUES (?,?,0.9,1000100.0)", (key("b"), key("a")))
        for name in "ab":
            asked = question(name)
            old.execute(
                "INSERT INTO questions VALUES (?,?,?,?,?)",
                (asked.key, asked.partition, asked.text, asked.engine, vector),
            )
        old.commit()

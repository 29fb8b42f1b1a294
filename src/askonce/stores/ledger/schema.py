"""The tables of the books."""

from __future__ import annotations

from typing import Final

from askonce.ports import Sums
from askonce.stores.migration import Schema

__all__ = ["SCHEMA"]

_SUMS: Final = ", ".join(f"{name} INTEGER NOT NULL DEFAULT 0" for name in Sums._fields)
SCHEMA: Final = Schema(
    0x61736B32,
    (
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
CREATE TABLE reasons (
    hour INTEGER NOT NULL, feature TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (hour, feature, outcome, reason)) WITHOUT ROWID;
CREATE TABLE questions (
    day INTEGER NOT NULL, tenant TEXT NOT NULL, feature TEXT NOT NULL, key BLOB NOT NULL, model TEXT NOT NULL,
    text TEXT, requests INTEGER NOT NULL, saved_nanousd INTEGER NOT NULL, last_at REAL NOT NULL,
    fresh INTEGER NOT NULL, PRIMARY KEY (day, tenant, feature, key)) WITHOUT ROWID;
CREATE TABLE calls (
    call TEXT NOT NULL, part INTEGER NOT NULL, at REAL NOT NULL, tenant TEXT NOT NULL, feature TEXT NOT NULL,
    upstream TEXT NOT NULL, model TEXT NOT NULL, outcome TEXT NOT NULL, input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, nanousd INTEGER, settled INTEGER NOT NULL,
    PRIMARY KEY (call, part)) WITHOUT ROWID;
CREATE INDEX calls_at ON calls (settled, at);
CREATE TABLE acts (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE keys (
    digest BLOB PRIMARY KEY, tenant TEXT NOT NULL, created_at REAL NOT NULL, revoked_at REAL, note TEXT NOT NULL,
    ended INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
""",
    ),
)
"""`ask2` in the header.

`hours` has what `ports.Sums` lists. A latency's `counts` are little-endian uint32 by bucket (`ports.ledger.BOUNDS_S`).
"""

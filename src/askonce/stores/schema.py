"""The file's schema: made in a new file, and brought up to date in an older one."""

from __future__ import annotations

from typing import Final

from askonce.stores.migration import Schema

__all__ = ["SCHEMA"]

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
    """
CREATE TABLE lines (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB, state TEXT NOT NULL, tenant TEXT NOT NULL,
    upstream TEXT NOT NULL, endpoint TEXT NOT NULL, model TEXT NOT NULL, batch INTEGER, attempts INTEGER NOT NULL,
    due_at REAL NOT NULL, fallback_at REAL NOT NULL, answered_at REAL, size_bytes INTEGER NOT NULL,
    context BLOB NOT NULL, body BLOB NOT NULL, answer BLOB NOT NULL);
CREATE UNIQUE INDEX lines_key ON lines (key) WHERE key IS NOT NULL;
CREATE INDEX lines_state ON lines (state, tenant, due_at);
CREATE INDEX lines_group ON lines (upstream, endpoint, model, due_at, size_bytes, state) WHERE state = 'waiting';
CREATE INDEX lines_batch ON lines (batch, state) WHERE batch IS NOT NULL;
CREATE INDEX lines_size ON lines (size_bytes);
CREATE INDEX lines_fallback_at ON lines (fallback_at) WHERE state IN ('waiting', 'batched');
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, request_id TEXT NOT NULL,
    digest BLOB NOT NULL, state TEXT NOT NULL, line INTEGER NOT NULL, label TEXT NOT NULL, feature TEXT NOT NULL,
    model TEXT NOT NULL, native INTEGER NOT NULL, created_at REAL NOT NULL, deadline_at REAL NOT NULL,
    ended_at REAL, outcome TEXT NOT NULL, spent_nanousd INTEGER, saved_nanousd INTEGER, error BLOB NOT NULL);
CREATE UNIQUE INDEX jobs_request_id ON jobs (tenant, request_id);
CREATE INDEX jobs_line ON jobs (line);
CREATE INDEX jobs_tenant ON jobs (tenant, number);
CREATE INDEX jobs_state ON jobs (tenant, state, number);
CREATE INDEX jobs_open ON jobs (created_at) WHERE state = 'open';
CREATE INDEX jobs_deadline_at ON jobs (deadline_at) WHERE state = 'open';
CREATE INDEX jobs_ended_at ON jobs (ended_at) WHERE ended_at IS NOT NULL;
CREATE TABLE batches (
    number INTEGER PRIMARY KEY AUTOINCREMENT, intent TEXT NOT NULL, upstream TEXT NOT NULL, endpoint TEXT NOT NULL,
    model TEXT NOT NULL, state TEXT NOT NULL, remote_id TEXT NOT NULL, created_at REAL NOT NULL);
CREATE INDEX batches_state ON batches (state);
CREATE TABLE deliveries (
    job INTEGER PRIMARY KEY, tenant TEXT NOT NULL, url TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
    due_at REAL NOT NULL, detail TEXT NOT NULL);
CREATE INDEX deliveries_due_at ON deliveries (state, due_at);
CREATE INDEX deliveries_tenant ON deliveries (state, tenant, due_at);
""",
    """
CREATE TABLE owners (key BLOB NOT NULL, user BLOB NOT NULL, PRIMARY KEY (key, user)) WITHOUT ROWID;
CREATE INDEX owners_user ON owners (user);
ALTER TABLE links ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
ALTER TABLE audits ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
ALTER TABLE audits ADD COLUMN users BLOB NOT NULL DEFAULT x'';
ALTER TABLE jobs ADD COLUMN users BLOB NOT NULL DEFAULT x'';
""",
)
"""What makes version 1 of an empty file, version 2 of version 1, and so on.

Times are Unix seconds; vectors and evidence are little-endian float16; `worth` is nano-dollars saved by a hit per byte,
`priority` the place in the order of eviction (see `database`). The large columns come last, so that what only
looks at the others reads no overflow page. A question's `answer` is NULL where it is its own key.
`owners` has the users of entries and links (`model.Entry.users`); an audit's and a job's are in a row, one after another.
What `sealing` seals is a BLOB whatever its column's type.
The tables of jobs are explained in `job_tables` and `work_tables`."""

SCHEMA: Final = Schema(0x61736B31, _STEPS)
"""`ask1` in the header."""

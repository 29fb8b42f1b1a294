"""How values become rows of the file and come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import orjson

from askonce.model import Answer, Entry, Link, Question, Usage
from askonce.stores.tokens import packed, unpacked
from askonce.stores.worth import entry_bytes, expected_saving

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "FIND_ENTRY",
    "FIND_LINKED",
    "INSERT_ENTRY",
    "INSERT_LINK",
    "INSERT_QUESTION",
    "LINKS_TO",
    "QUESTIONS",
    "Row",
    "entry_from",
    "entry_row",
    "link_from",
    "link_row",
    "question_from",
    "question_row",
]

Row: TypeAlias = tuple[Any, ...]

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
INSERT_QUESTION: Final = (
    "INSERT INTO questions (key, partition, text, engine, vector, tokens, answer) VALUES (?,?,?,?,?,?,?)"
)
LINKS_TO: Final = "SELECT key, target, confidence, expires_at FROM links WHERE target = ?"
QUESTIONS: Final = """
SELECT q.rowid, q.key, q.partition, q.text, q.engine, q.vector, q.tokens, q.answer,
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
    tokens = None if question.tokens is None else packed(question.tokens)
    answer = None if question.answer == question.key else question.answer
    return (question.key, question.partition, question.text, question.engine, vector, tokens, answer)


def question_from(row: Iterable[Any]) -> Question:
    """A question from `QUESTIONS` without its first and last column; its vector is made a unit vector again."""
    key, partition, text, engine, numbers, states, answer = row
    vector = None
    if numbers is not None:
        vector = np.frombuffer(numbers, dtype="<f2").astype(np.float32)
        vector /= np.sqrt(np.dot(vector, vector)) or 1.0
    tokens = None if states is None else unpacked(states)
    return Question(key, partition, text, engine, vector, tokens, answer or key)

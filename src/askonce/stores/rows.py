"""How values become rows of the file and come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import orjson

from askonce.model import Answer, Entry, Link, Question, Usage
from askonce.stores.sealing import place
from askonce.stores.tokens import packed, unpacked
from askonce.stores.worth import entry_bytes, expected_saving

if TYPE_CHECKING:
    from collections.abc import Iterable

    from askonce.stores.sealing import Seals

__all__ = [
    "FIND_ENTRY",
    "FIND_LINKED",
    "INSERT_ENTRY",
    "INSERT_LINK",
    "INSERT_OWNER",
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
    "tags_from",
    "users_from",
]

Row: TypeAlias = tuple[Any, ...]

_USER_BYTES: Final = 16
_USERS: Final = "(SELECT group_concat(hex(user), '') FROM owners o WHERE o.key = {}.key)"

_ANSWER: Final = (
    "e.key, e.fields, e.usage_json, e.answer_model, e.id_prefix, e.prompt_tokens, e.completion_tokens, "
    "e.cached_tokens, e.cost_nanousd, e.created_at, e.expires_at, e.tenant, e.feature, e.model, e.tags, "
    + _USERS.format("e")
)
_LINK: Final = "l.key, l.target, l.confidence, l.expires_at, l.tenant, " + _USERS.format("l")
_LINK_PLACE: Final = 16
"""Where a link's columns begin in a row of `FIND_LINKED`."""
FIND_ENTRY: Final = f"SELECT {_ANSWER} FROM entries e WHERE e.key = ?"  # noqa: S608 - constants alone
FIND_LINKED: Final = (
    f"SELECT {_ANSWER}, {_LINK} "  # noqa: S608 - constants alone
    "FROM links l JOIN entries e ON e.key = l.target WHERE l.key = ?"
)
INSERT_ENTRY: Final = (
    "INSERT INTO entries (key, fields, usage_json, answer_model, id_prefix, prompt_tokens, completion_tokens, "
    "cached_tokens, cost_nanousd, created_at, expires_at, tenant, feature, model, tags, "
    "last_used, hits, size_bytes, worth, priority) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0,?,?,?)"
)
INSERT_LINK: Final = "INSERT INTO links (key, target, confidence, expires_at, tenant) VALUES (?,?,?,?,?)"
INSERT_OWNER: Final = "INSERT INTO owners (key, user) VALUES (?,?)"
INSERT_QUESTION: Final = (
    "INSERT INTO questions (key, partition, text, engine, vector, tokens, answer) VALUES (?,?,?,?,?,?,?)"
)
LINKS_TO: Final = f"SELECT {_LINK} FROM links l WHERE l.target = ?"  # noqa: S608 - constants alone
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


def entry_row(entry: Entry, floor: float, seals: Seals) -> Row:
    """Parameters of `INSERT_ENTRY`; `floor` is the L of the order of eviction."""
    key, answer, usage = entry.key, entry.answer, entry.answer.usage
    size_bytes = entry_bytes(entry)
    worth = expected_saving(answer) / size_bytes
    return (
        key,
        seals.seal(answer.fields, place("entries.fields", key)),
        seals.seal(answer.usage_json, place("entries.usage_json", key)),
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
        seals.seal_text(orjson.dumps(entry.tags).decode(), place("entries.tags", key)),
        entry.created_at,
        size_bytes,
        worth,
        floor + worth,
    )


def entry_from(row: Row, seals: Seals) -> Entry:
    """An entry from the leading columns of `FIND_ENTRY` or `FIND_LINKED`. Raises Unreadable."""
    key = row[0]
    fields = seals.unseal(row[1], place("entries.fields", key))
    usage_json = seals.unseal(row[2], place("entries.usage_json", key))
    answer = Answer(fields, usage_json, row[3], row[4], Usage(row[5], row[6], row[7]), row[8])
    tags, users = tags_from(row[14], key, seals), _users_of(row[15])
    return Entry(key, answer, row[9], row[10], row[11], row[12], row[13], tags, users)


def tags_from(value: str | bytes, key: bytes, seals: Seals) -> tuple[str, ...]:
    """The tags of the entry of that key. Raises Unreadable."""
    return tuple(orjson.loads(seals.unseal_text(value, place("entries.tags", key))))


def users_from(blob: bytes) -> tuple[bytes, ...]:
    """Users that were written one after another."""
    return tuple(blob[start : start + _USER_BYTES] for start in range(0, len(blob), _USER_BYTES))


def link_row(link: Link) -> Row:
    """Parameters of `INSERT_LINK`."""
    return (link.key, link.target, link.confidence, link.expires_at, link.tenant)


def link_from(row: Row) -> Link:
    """A link from a row of `LINKS_TO`, or from the trailing columns of `FIND_LINKED`."""
    key, target, confidence, expires_at, tenant, users = row[_LINK_PLACE:] or row
    return Link(key, target, confidence, expires_at, tenant, _users_of(users))


def question_row(question: Question, seals: Seals) -> Row:
    """Parameters of `INSERT_QUESTION`."""
    key, vector, tokens = question.key, question.vector, question.tokens
    numbers = None
    if vector is not None:
        numbers = seals.seal(vector.astype("<f2").tobytes(), place("questions.vector", key))
    states = None if tokens is None else seals.seal(packed(tokens), place("questions.tokens", key))
    text = seals.seal_text(question.text, place("questions.text", key))
    answer = None if question.answer == key else question.answer
    return (key, question.partition, text, question.engine, numbers, states, answer)


def question_from(row: Iterable[Any], seals: Seals) -> Question:
    """A question from `QUESTIONS` without its first and last column; its vector is made a unit vector again.

    Raises Unreadable.
    """
    key, partition, text, engine, numbers, states, answer = row
    vector = tokens = None
    if numbers is not None:
        numbers = seals.unseal(numbers, place("questions.vector", key))
        vector = np.frombuffer(numbers, dtype="<f2").astype(np.float32)
        vector /= np.sqrt(np.dot(vector, vector)) or 1.0
    if states is not None:
        tokens = unpacked(seals.unseal(states, place("questions.tokens", key)))
    text = seals.unseal_text(text, place("questions.text", key))
    return Question(key, partition, text, engine, vector, tokens, answer or key)


def _users_of(listed: str | None) -> tuple[bytes, ...]:
    return users_from(bytes.fromhex(listed)) if listed else ()

"""Which questions are asked again and again: what may be kept of them, and how.

What is kept follows the policy's `retain_text`: with `none` nothing is, neither here nor in memory; with `hashed` a
question's exact key through a keyed hash whose key is the store's secret, so that nobody who has the ledger's file alone
can tell whether some question was asked; with `full` its text too.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from askonce.model import Exact, Fresh, RetainText, Semantic

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from askonce.model import Request
    from askonce.ports import Record

__all__ = ["Asked", "asked_of", "kept_key", "prune_questions", "write_questions"]

_NOTHING: Final = RetainText.NONE
_STORED: Final = (Exact, Semantic)
"""Outcomes that name the entry that answered. Looked up once: every hit comes by here."""
_MOST_CHARACTERS: Final = 500
_WANTED_FRESH: Final = frozenset({"no-cache", "hit-for-miss"})
"""Reasons for which no stored answer would have been served."""
_MOST_A_DAY: Final = 2_000
_INSERT: Final = (
    "INSERT INTO questions VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET "
    "text = coalesce(text, excluded.text), requests = requests + excluded.requests, "
    "saved_nanousd = saved_nanousd + excluded.saved_nanousd, last_at = max(last_at, excluded.last_at), fresh = fresh + excluded.fresh"
)
_PRUNE: Final = """
DELETE FROM questions WHERE (day, tenant, feature, key) IN (
    SELECT day, tenant, feature, key FROM (
        SELECT day, tenant, feature, key, row_number() OVER (
            PARTITION BY day, feature ORDER BY saved_nanousd DESC, requests DESC, last_at DESC) AS place
        FROM questions WHERE day >= ?) WHERE place > ?)
"""


class Asked:
    """How often a question was asked in a day; `fresh` counts the times that a stored answer might have spared a call."""

    __slots__ = ("fresh", "last_at", "model", "requests", "saved_nanousd", "text")

    def __init__(self, model: str, text: str | None) -> None:
        self.model = model
        self.text = text
        self.requests = self.saved_nanousd = self.fresh = 0
        self.last_at = 0.0

    @classmethod
    def of(cls, request: Request) -> Asked:
        """A question not asked yet: with its text where the policy keeps it."""
        text = request.ask.text if request.policy.retain_text is RetainText.FULL else None
        return cls(request.ask.route.model, None if text is None else text[:_MOST_CHARACTERS])

    def add(self, other: Asked) -> None:
        """Adds what another page counted."""
        self.requests += other.requests
        self.saved_nanousd += other.saved_nanousd
        self.last_at = max(self.last_at, other.last_at)
        self.fresh += other.fresh

    def ask(self, record: Record, now: float) -> None:
        """It was asked once more."""
        self.requests += 1
        self.saved_nanousd += record.saved_nanousd or 0
        self.last_at = now
        self.fresh += isinstance(record.outcome, Fresh) and record.outcome.reason not in _WANTED_FRESH


def asked_of(record: Record) -> bytes | None:
    """The exact key of what was asked, or of the entry that answered it; None where nothing of it may be kept."""
    request, outcome = record.request, record.outcome
    if request is None or request.policy.retain_text is _NOTHING:
        return None
    return outcome.entry if isinstance(outcome, _STORED) else request.ask.exact_key


def kept_key(secret: bytes, key: bytes) -> bytes:
    """The name under which a question is kept, 16 bytes: the same key gives the same name, and no name its key."""
    return hmac.digest(secret, key, "sha256")[:16]


def write_questions(
    connection: sqlite3.Connection, questions: Mapping[tuple[int, str, str, bytes], Asked], secret: bytes
) -> None:
    """Adds a page's questions. Raises sqlite3.Error."""
    connection.executemany(
        _INSERT,
        [
            (day, tenant, feature, kept_key(secret, key), one.model, one.text, one.requests, one.saved_nanousd, one.last_at, one.fresh)
            for (day, tenant, feature, key), one in questions.items()
        ],
    )  # fmt: skip


def prune_questions(connection: sqlite3.Connection, since_day: int) -> None:
    """Keeps the questions of each day and feature that saved most, and then those asked most. Raises sqlite3.Error."""
    connection.execute(_PRUNE, (since_day, _MOST_A_DAY))

"""Books in memory, made of sums that a test says."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from askonce.ports import Sums
from askonce.stores.ledger.reading import SqliteBooks
from askonce.stores.ledger.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping

Whose = tuple[int, str, str, str, str]
"""Hour, tenant, feature, model, outcome."""


def books_of(
    hours: Mapping[Whose, Sums],
    *,
    decisions: Mapping[tuple[int, str, str, str], int] | None = None,
    reasons: Mapping[tuple[int, str, str, str], int] | None = None,
    fresh: Mapping[tuple[int, str, str, bytes], int] | None = None,
) -> SqliteBooks:
    """Books with these rows and no others; `fresh` answers to questions by day, tenant, feature and key."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    SCHEMA.bring_up_to_date(connection)
    places = ", ".join("?" * (5 + len(Sums._fields)))
    connection.executemany(
        f"INSERT INTO hours VALUES ({places})",  # noqa: S608 - placeholders
        [(*key, *sums) for key, sums in hours.items()],
    )
    connection.executemany(
        "INSERT INTO decisions VALUES (?,?,?,?,?)",
        [(*key, count) for key, count in (decisions or {}).items()],
    )
    connection.executemany(
        "INSERT INTO reasons VALUES (?,?,?,?,?)", [(*key, count) for key, count in (reasons or {}).items()]
    )
    connection.executemany(
        "INSERT INTO questions VALUES (?,?,?,?,'m',NULL,1,0,0.0,?)",
        [(*key, count) for key, count in (fresh or {}).items()],
    )
    return SqliteBooks(connection)

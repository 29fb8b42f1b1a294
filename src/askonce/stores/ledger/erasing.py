"""The right to erasure in the books: sums stay, questions go.

A question's row counts what all who asked it have saved, under the name of the first. So of one user's, the rows go whose
answers were the user's; and since a row's text may be anybody's, the tenant's rows lose theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.stores.ledger.questions import kept_key

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from askonce.model import Owner

__all__ = ["count_questions", "erase_questions"]


def count_questions(
    connection: sqlite3.Connection, owner: Owner, keys: Iterable[bytes], secret: bytes
) -> int:
    """How many rows `erase_questions` would delete. Raises sqlite3.Error."""
    if owner.user is None:
        query, values = "SELECT count(*) FROM questions WHERE tenant = ?", _tenants(connection, owner)
        return sum(connection.execute(query, value).fetchone()[0] for value in values)
    query, names = "SELECT count(*) FROM questions WHERE key = ?", [kept_key(secret, key) for key in keys]
    return sum(connection.execute(query, (name,)).fetchone()[0] for name in names)


def erase_questions(
    connection: sqlite3.Connection, owner: Owner, keys: Iterable[bytes], secret: bytes
) -> int:
    """Forgets an owner's questions; returns how many rows. Raises sqlite3.Error."""
    mine = _tenants(connection, owner)
    connection.execute("BEGIN IMMEDIATE")
    try:
        if owner.user is None:
            erased = connection.executemany("DELETE FROM questions WHERE tenant = ?", mine).rowcount
        else:
            names = [(kept_key(secret, key),) for key in keys]
            erased = connection.executemany("DELETE FROM questions WHERE key = ?", names).rowcount
            connection.executemany("UPDATE questions SET text = NULL WHERE tenant = ?", mine)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return max(erased, 0)


def _tenants(connection: sqlite3.Connection, owner: Owner) -> list[tuple[str]]:
    tenants = connection.execute("SELECT DISTINCT tenant FROM questions").fetchall()
    return [(tenant,) for (tenant,) in tenants if owner.pays(tenant)]

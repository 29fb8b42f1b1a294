"""The right to erasure in the file: whose rows there are.

Plain blocking functions, for the thread that writes. Rows of earlier versions know their tenant, but not their users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.ports import Erased

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator

    from askonce.model import Owner

__all__ = ["find", "rename_classes"]

_ROWS_AT_ONCE: Final = 5_000
_OWNED: Final = "SELECT tenant FROM {} WHERE key = ?"
_NEXT: Final = "SELECT rowid, key, tenant FROM {} WHERE rowid > ? ORDER BY rowid LIMIT ?"


def find(connection: sqlite3.Connection, owner: Owner) -> Erased:
    """What there is of an owner's: entries, links (also others' that lead to its entries), questions."""
    entries = list(_keys(connection, "entries", owner))
    links = set(_keys(connection, "links", owner))
    for key in entries:
        links.update(link for (link,) in connection.execute("SELECT key FROM links WHERE target = ?", (key,)))
    keys = [*entries, *links]
    asked = "SELECT count(*) FROM questions WHERE key = ?"
    questions = sum(connection.execute(asked, (key,)).fetchone()[0] for key in keys)
    return Erased(tuple(keys), len(entries), len(links), questions)


def rename_classes(connection: sqlite3.Connection, keys: Collection[bytes]) -> None:
    """Questions of others whose answer's class is named by one of the keys are in a class of their own from now on."""
    named = connection.execute("SELECT rowid, answer FROM questions WHERE answer IS NOT NULL").fetchall()
    members = [(rowid,) for rowid, answer in named if answer in keys]
    connection.executemany("UPDATE questions SET answer = NULL WHERE rowid = ?", members)


def _keys(connection: sqlite3.Connection, table: str, owner: Owner) -> Iterator[bytes]:
    """The keys of an owner's rows in `entries` or `links`."""
    if owner.user is not None:
        for (key,) in connection.execute("SELECT key FROM owners WHERE user = ?", (owner.user,)).fetchall():
            row = connection.execute(_OWNED.format(table), (key,)).fetchone()
            if row is not None and owner.owns(row[0], (owner.user,)):
                yield key
        return
    after = 0
    while batch := connection.execute(_NEXT.format(table), (after, _ROWS_AT_ONCE)).fetchall():
        after = batch[-1][0]
        yield from (key for _, key, tenant in batch if owner.owns(tenant))

"""Single values of the answers' file, by name: plain blocking functions. Each raises sqlite3.Error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.stores.sealing import place

if TYPE_CHECKING:
    import sqlite3

    from askonce.stores.sealing import Seals

__all__ = ["KEPT", "kept_value", "stored_secret", "value"]

KEPT: Final = "kept:"
"""Begins the names of what the pipeline keeps."""


def value(connection: sqlite3.Connection, name: str) -> bytes | None:
    """The value of a name."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row[0])


def kept_value(connection: sqlite3.Connection, name: str) -> bytes | None:
    """The value that the pipeline keeps under a name."""
    return value(connection, KEPT + name)


def stored_secret(connection: sqlite3.Connection, seals: Seals) -> bytes | None:
    """The store's secret; None where the file has none yet. Raises Unreadable too."""
    secret = value(connection, "secret")
    return None if secret is None else seals.unseal(secret, place("meta", "secret"))

"""Issued keys in the ledger's file: few, and written through to the disk at once."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from askonce.ports.keys import IssuedKey
from askonce.stores.troubles import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from askonce.stores.ledger.file import LedgerFile

__all__ = ["SqliteKeys"]

_T = TypeVar("_T")
_ALL: Final = (
    "SELECT digest, tenant, created_at, revoked_at, note, ended FROM keys ORDER BY created_at, digest"
)
_ADD: Final = "INSERT INTO keys (digest, tenant, created_at, revoked_at, note, ended) VALUES (?,?,?,?,?,?)"
_END: Final = "UPDATE keys SET revoked_at = min(coalesce(revoked_at, :at), :at), ended = max(ended, :ended) WHERE digest = :digest"


class SqliteKeys:
    """The `KeyRing` in the ledger's file."""

    def __init__(self, file: LedgerFile, *, durable: bool) -> None:
        self._file = file
        self._durable = durable

    @property
    def durable(self) -> bool:
        """Whether keys outlive the process."""
        return self._durable

    async def all(self) -> list[IssuedKey]:
        """All keys, the oldest first. Raises OSError."""
        return await self._do(lambda connection: [_key(row) for row in connection.execute(_ALL)])

    async def add(self, key: IssuedKey, *, instead_of: bytes | None = None, until: float = 0.0) -> None:
        """Keeps a new key, and ends the one that it takes the place of. Raises OSError."""

        def work(connection: sqlite3.Connection) -> None:
            with _synced(connection):
                connection.execute(_ADD, key)
                if instead_of is not None:
                    connection.execute(
                        _END, {"at": until, "ended": until <= key.created_at, "digest": instead_of}
                    )

        await self._do(work)

    async def revoke(self, digest: bytes, at: float) -> None:
        """A key isn't valid from then on. Raises OSError."""

        def work(connection: sqlite3.Connection) -> None:
            with _synced(connection):
                connection.execute(_END, {"at": at, "ended": True, "digest": digest})

        await self._do(work)

    async def _do(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            return await self._file.transact(work)
        except sqlite3.Error as error:
            raise OSError(f"the ledger's file can't be used: {reason(error)}") from error


def _key(row: tuple[Any, ...]) -> IssuedKey:
    digest, tenant, created_at, revoked_at, note, ended = row
    return IssuedKey(digest, tenant, created_at, revoked_at, note, bool(ended))


@contextmanager
def _synced(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction. A power cut doesn't undo it, as the file is synced: a revoked key must not come back."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")

"""A file that keeps nothing of what was forgotten: written anew, and its log emptied."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable

__all__ = ["Transact", "empty_log", "rewrite", "scrub"]

_T = TypeVar("_T")
_TRIES: Final = 20
_TRY_S: Final = 0.25


class Transact(Protocol):
    """A file's own thread."""

    def __call__(self, work: Callable[[sqlite3.Connection], _T], /) -> Awaitable[_T]:
        """Does blocking work there. Raises OSError."""
        ...


async def scrub(transact: Transact) -> None:
    """Leaves nothing in a file and its log but what is in its tables. Raises OSError.

    `secure_delete` overwrites what is deleted, but not the copies that are left in a page when its rows move to another
    one. Only writing the whole file anew leaves none. The log can't be emptied while somebody reads it.
    """
    await transact(rewrite)
    for _ in range(_TRIES):
        if await transact(empty_log):
            return
        await asyncio.sleep(_TRY_S)
    raise OSError("its write-ahead log is being read all the time and can't be emptied")


def empty_log(connection: sqlite3.Connection) -> bool:
    """Empties the write-ahead log; False where somebody reads it just now. Raises sqlite3.Error."""
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def rewrite(connection: sqlite3.Connection) -> None:
    """Writes the file anew, with nothing in it but its tables. Raises sqlite3.Error."""
    connection.execute("VACUUM")

"""What must not stay in the files: an owner's data that is erased, text in free pages, rows that aren't sealed yet."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from askonce.stores import erasing, resealing
from askonce.stores.files import delete_aside
from askonce.stores.scrubbing import scrub
from askonce.stores.troubles import reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from askonce.model import Owner
    from askonce.ports import Erased
    from askonce.stores.sealing import Seals
    from askonce.stores.writer import Writer

__all__ = ["Cleaner"]

_T = TypeVar("_T")
_REST_S: Final = 0.01
_RETRY_S: Final = 5.0
_LAST_RETRY_S: Final = 600.0
_log = structlog.get_logger("askonce.store")


class Cleaner:
    """Cleans the file behind the requests, in the thread that writes.

    Attributes:
        walk: How far the sealing of rows has come that were there before the key.
        rows_left: Rows that may not be sealed yet, or with an earlier key (1 until they are counted, and until no clear
            copy is left in the file's free pages); None where nothing is encrypted.
    """

    def __init__(self, path: Path, writer: Writer, seals: Seals) -> None:
        self.walk = resealing.Walk()
        self.rows_left = 1 if seals.on else None
        self._path = path
        self._writer = writer
        self._seals = seals
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to seal what isn't, in the background."""
        if self._seals.on:
            self._task = asyncio.create_task(self._seal(), name="sealing")  # noqa: TID251 - ended by `close`

    async def close(self) -> None:
        """Stops where it stands: the next start goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def find(self, owner: Owner) -> Erased:
        """What there is of an owner's. Raises OSError."""
        return await _on_disk(self._writer.transact(lambda connection: erasing.find(connection, owner)))

    async def erase(self, owner: Owner) -> Erased:
        """Forgets what is an owner's on disk. Raises OSError."""
        return await _on_disk(self._writer.erase(owner))

    async def scrub(self) -> list[str]:
        """Leaves nothing in the files of what was forgotten; deletes those that were moved aside. Raises OSError."""
        await scrub(self._transact)
        return await asyncio.to_thread(delete_aside, self._path)

    def _transact(self, work: Callable[[sqlite3.Connection], _T]) -> Awaitable[_T]:
        return _on_disk(self._writer.transact(work))

    async def _seal(self) -> None:
        """Seals all rows once; a disk that is away is tried again."""
        said, pause_s = "", _RETRY_S
        while True:
            try:
                return await self._seal_all()
            except OSError as error:
                if str(error) != said:
                    said = str(error)
                    _log.warning("store_not_sealed_yet", path=str(self._path), reason=said)
                # Writing a file anew, only to find that there is no room for it, holds up all that is to be written.
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LAST_RETRY_S)

    async def _seal_all(self) -> None:
        seals = self._seals
        total = await self._transact(lambda connection: resealing.rows_left(connection, seals))
        if total is None:
            self.rows_left = 0
            return
        while not self.walk.ended:
            self.rows_left = max(1, total - self.walk.seen)
            walk = self.walk
            self.walk = await self._transact(
                lambda connection, walk=walk: resealing.step(connection, seals, walk)  # type: ignore[misc]
            )
            await asyncio.sleep(_REST_S)
        self.rows_left = max(1, self.walk.unreadable)
        await scrub(self._transact)
        await self._transact(lambda connection: resealing.note_end(connection, seals))
        self.rows_left = self.walk.unreadable
        _log.info(
            "store_sealed", path=str(self._path), rows=self.walk.sealed, unreadable=self.walk.unreadable
        )


async def _on_disk(work: Awaitable[_T]) -> _T:
    """What the file's thread does. Raises OSError where the disk is away."""
    try:
        return await work
    except sqlite3.Error as error:
        raise OSError(f"the store's file can't be cleaned now: {reason(error)}") from error

"""Cases that wait to be judged, bounded in number and in bytes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from askonce.model import Owner
    from askonce.pipeline.cases import Case

__all__ = ["WaitingCases"]

_MOST_HELD_BYTES: Final = 64 * 1024**2
"""Requests and answers that wait to be compared, or are being compared."""


class WaitingCases:
    """A queue of cases: at most `most` wait; half as many of those that are compared for nothing.

    There is much of the latter, and hits have few audits.

    Attributes:
        held_bytes: What those hold that wait, or are being judged.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._queue: asyncio.Queue[tuple[Case, int]] = asyncio.Queue(most)
        self.held_bytes = 0

    def __len__(self) -> int:
        """Cases that wait."""
        return self._queue.qsize()

    def put(self, case: Case) -> bool:
        """Takes a case, if there is room for it."""
        room = self._most if case.source == "hit" else max(1, self._most // 2)
        held_bytes = case.held_bytes
        if len(self) >= room or self.held_bytes + held_bytes > _MOST_HELD_BYTES:
            return False
        self.held_bytes += held_bytes
        self._queue.put_nowait((case, held_bytes))
        return True

    async def get(self) -> tuple[Case, int]:
        """The next case, and what it holds of the bytes until it is `done`."""
        return await self._queue.get()

    def done(self, held_bytes: int) -> None:
        """A case that was taken is over."""
        self.held_bytes -= held_bytes
        self._queue.task_done()

    async def join(self) -> None:
        """Waits until all are done."""
        await self._queue.join()

    def erase(self, owner: Owner) -> None:
        """Forgets the cases of an owner's that wait."""
        for _ in range(len(self)):
            case, held_bytes = self._queue.get_nowait()
            if not owner.asked(case.request):
                self._queue.put_nowait((case, held_bytes))
                held_bytes = 0
            self.done(held_bytes)

"""Hits on their way to the disk: counted in memory, handed over together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Uses"]

_INTERVAL_S: Final = 1.0


class Uses:
    """Hits by key, handed over a second after the first.

    Args:
        hand_over: Takes them.
    """

    def __init__(self, hand_over: Callable[[dict[bytes, int]], None]) -> None:
        self._hand_over = hand_over
        self._used: dict[bytes, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def count(self, key: bytes) -> None:
        """Counts a hit."""
        used = self._used
        used[key] = used.get(key, 0) + 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL_S, self.end)

    def end(self) -> None:
        """Hands over what was counted so far, if anything was."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            used, self._used = self._used, {}
            self._hand_over(used)

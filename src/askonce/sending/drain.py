"""How fast a queue drains: measured while there is one."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["Drain"]

_MEMORY_S: Final = 20.0
"""Seconds after which what was measured counts for a third (1/e): an old jam says nothing of the next one."""
_ENOUGH: Final = 2.0
"""Calls that make a measurement."""
_SERVICE_SHARE: Final = 0.1
"""How much the newest call's duration counts."""


class Drain:
    """Calls per second that leave the queue: exponentially forgetting, over the time in which something waited."""

    __slots__ = ("_at", "_busy", "_left", "_seconds", "_service_s")

    def __init__(self) -> None:
        self._left = 0.0
        self._seconds = 0.0
        self._service_s = 0.0
        self._at = 0.0
        self._busy = False

    def watch(self, now: float, *, busy: bool) -> None:
        """From now on something waits that could go as soon as there is room, or nothing does."""
        if busy is not self._busy:
            self._pass(now)
            self._busy = busy

    def left(self, now: float) -> None:
        """One has left the queue to be sent."""
        self._pass(now)
        self._left += 1

    def served(self, seconds: float) -> None:
        """A call has given its slot back after so many seconds."""
        self._service_s += _SERVICE_SHARE * (seconds - self._service_s) if self._service_s else seconds

    def rate(self, slots: int, now: float) -> float | None:
        """Calls per second; None where too little was seen.

        Until enough has left the queue, it is what that many slots can serve (Little's law).
        """
        self._pass(now)
        if self._left >= _ENOUGH and self._seconds > 0:
            return self._left / self._seconds
        return slots / self._service_s if self._service_s > 0 else None

    def _pass(self, now: float) -> None:
        elapsed = now - self._at
        if elapsed <= 0:
            return
        self._at = now
        kept = math.exp(-elapsed / _MEMORY_S)
        self._left *= kept
        self._seconds *= kept
        if self._busy:
            self._seconds += _MEMORY_S * (1 - kept)

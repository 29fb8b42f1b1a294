"""What was taken within the last minute."""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["SPAN_S", "Window"]

SPAN_S: Final = 60


class Window:
    """Sums of the last minute, kept by whole seconds, so that what is counted at once is never more than 61 numbers.

    What was taken counts for 60 s at least and 61 s at most: no 60 seconds, wherever they begin, see more than was
    allowed. Times are the event loop's: they never run backwards.
    """

    __slots__ = ("_seconds", "_used")

    def __init__(self) -> None:
        self._seconds: deque[list[int]] = deque()
        self._used = 0

    def used(self, now: float) -> int:
        """What counts now."""
        seconds = self._seconds
        while seconds and seconds[0][0] + 1 + SPAN_S <= now:
            self._used -= seconds.popleft()[1]
        return self._used

    def take(self, amount: int, now: float) -> int:
        """Counts an amount; returns the second that it counts in, to give it back."""
        self.used(now)
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1][1] += amount
        else:
            self._seconds.append([second, amount])
        self._used += amount
        return second

    def give_back(self, amount: int, second: int) -> None:
        """Takes an amount out of the second that it was counted in, if that still counts."""
        for entry in self._seconds:
            if entry[0] == second:
                entry[1] -= amount
                self._used -= amount
                return

    def wait_s(self, amount: int, limit: int, now: float) -> float:
        """Seconds until an amount fits below a limit, if nothing else is taken; at most until nothing counts."""
        excess = self.used(now) + amount - limit
        if excess <= 0:
            return 0.0
        for second, taken in self._seconds:
            excess -= taken
            if excess <= 0:
                return second + 1 + SPAN_S - now
        return self.empty_in_s(now)

    def empty_in_s(self, now: float) -> float:
        """Seconds until nothing counts, if nothing is taken."""
        return self._seconds[-1][0] + 1 + SPAN_S - now if self.used(now) else 0.0

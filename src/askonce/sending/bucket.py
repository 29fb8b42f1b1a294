"""A token bucket: so much at once, so much per second after that."""

from __future__ import annotations

from typing import Final

__all__ = ["Bucket", "per_minute"]

_ROUNDING: Final = 1e-6
"""Share of a bucket that arithmetic may be off by."""


class Bucket:
    """Holds up to `capacity`, and `rate` more flows in each second.

    In any T seconds at most `capacity + rate * T` is taken out, if each take waited as long as `wait_s` said and none is
    larger than `capacity`. A larger take waits for a full bucket and leaves a debt behind.
    """

    __slots__ = ("_at", "_level", "capacity", "rate")

    def __init__(self, rate: float, capacity: float) -> None:
        self.rate = rate
        self.capacity = capacity
        self._level = capacity
        self._at = float("-inf")

    def level(self, now: float) -> float:
        """What is in it; below zero while there is debt."""
        if now > self._at:
            self._level = min(self.capacity, self._level + (now - self._at) * self.rate)
            self._at = now
        return self._level

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be taken, if nothing else is taken meanwhile."""
        missing = min(amount, self.capacity) - self.level(now)
        return missing / self.rate if missing > _ROUNDING * self.capacity else 0.0

    def take(self, amount: float, now: float) -> None:
        """Takes out what `wait_s` has allowed, or corrects an earlier take; a negative amount is put back."""
        self._level = min(self.capacity, self.level(now) - amount)

    def change(self, rate: float, capacity: float, now: float) -> None:
        """From now on flows in at another rate."""
        self._level = min(capacity, self.level(now))
        self.rate = rate
        self.capacity = capacity


def per_minute(limit: float, burst_share: float, least_burst: float) -> Bucket:
    """A bucket out of which no more than `limit` can be taken in any minute, in whole numbers.

    Args:
        limit: Per minute.
        burst_share: The part of it that may go at once; the rest flows in evenly. A larger part makes less wait after
            a quiet time, and leaves less for the steady rate.
        least_burst: What may go at once in any case.
    """
    burst = min(limit, max(least_burst, limit * burst_share))
    return Bucket((limit - burst + 1) / 60, burst)

"""How many items go at a time, as the upstream bears it."""

from __future__ import annotations

from typing import Final

__all__ = ["BatchSize"]

_SLOW_MULTIPLE: Final = 2.0
"""A batch that takes no longer than this many times the quickest is not too large, whatever the target."""
_FORGOTTEN: Final = 1.02
"""By how much the quickest latency is raised with every batch, so that an upstream that became slow isn't blamed."""

_NEWS: Final = 0.2
"""The weight of the newest batch in the mean latency."""

_FULL_BATCHES: Final = 1_000
"""Batches as large as the upstream takes, after which one more item is tried."""


class BatchSize:
    """Additive increase, multiplicative decrease on a batch's latency, between one item and the most allowed.

    Starts at the most. A batch that takes longer than the target halves it, but only where smaller ones could be
    quicker: what takes an upstream long for one item isn't mended by sending them singly. The second failure in a row
    halves it too. Batches that were sent before the last cut say nothing. Full batches in time raise it by one item. A
    size that the upstream refused, but whose pieces it took, is tried again only after a thousand full batches.

    Attributes:
        latency_s: Seconds that batches take lately; 0 before the first.
    """

    def __init__(self, most: int, target_s: float) -> None:
        """`most` items, and the latency in seconds that a batch may have."""
        self._target_s = target_s
        self._most = most
        self._ceiling = most
        self._full = 0
        self._size = most
        self._cut_at = float("-inf")
        self._quickest_s = float("inf")
        self._failed = False
        self.latency_s = 0.0

    @property
    def items(self) -> int:
        """The most items of the next batch, at least 1."""
        return self._size

    def answered(self, items: int, sent_at: float, now: float) -> None:
        """A batch was answered."""
        self._failed = False
        latency_s = now - sent_at
        self._quickest_s = min(self._quickest_s * _FORGOTTEN, latency_s)
        self.latency_s += (latency_s - self.latency_s) * (_NEWS if self.latency_s else 1.0)
        if latency_s > max(self._target_s, _SLOW_MULTIPLE * self._quickest_s):
            self._cut(items, sent_at, now)
        elif items >= self._size:
            self._grow()

    def failed(self, items: int, sent_at: float, now: float) -> None:
        """A batch failed in the upstream. Once may be chance; again, the batch may have been too large."""
        if self._failed:
            self._cut(items, sent_at, now)
        self._failed = True

    def refused(self, items: int) -> None:
        """The upstream took none of so many items, and all of them in pieces."""
        self._full = 0
        self._ceiling = max(1, min(self._ceiling, items - 1))
        self._size = max(1, min(self._size, items // 2))

    def _grow(self) -> None:
        if self._size < self._ceiling:
            self._size += 1
        elif self._ceiling < self._most:
            self._full += 1
            if self._full >= _FULL_BATCHES:
                self._full = 0
                self._ceiling += 1

    def _cut(self, items: int, sent_at: float, now: float) -> None:
        if sent_at >= self._cut_at and items > 1:
            self._size = max(1, min(self._size, items) // 2)
            self._cut_at = now

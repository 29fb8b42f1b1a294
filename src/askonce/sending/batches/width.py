"""How many batches go side by side: more than one only where the upstream is as quick with several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["Departure", "Width"]

_SLOWED: Final = 1.35
"""A batch beside others that takes so many times what it would take alone is held up by them."""
_PLAINLY_SLOWED: Final = 1.8
_SAMPLES: Final = 3
"""Batches beside others that are looked at before anything less plain is concluded."""
_FIRST_TRIAL: Final = 16
_RARER: Final = 4
_RAREST: Final = 4_096
"""Batches between trials: rarer by a factor with each one that failed."""
_KEPT: Final = 0.95
"""What is left of an observation's weight after the next one."""


@dataclass(slots=True, eq=False)
class Departure:
    """A batch under way: others that were when it left, and whether it has been alone since."""

    beside: int
    alone: bool


class Width:
    """Batches of a group that may be under way at a time: one at first, and up to the most allowed.

    Batches that are under way alone show what a batch of n items takes: a·n + b. Where calls have to wait for one to come
    back, now and then one more is let go beside it. If that takes about as long as it would alone, the upstream works on
    several at once, and waiting would be for nothing: the width stays, and another trial follows. If it takes longer, the
    upstream worked on them in turn, and one larger batch would have been quicker: the width is reduced again, and the
    next trial comes later.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = 1
        self._under_way = 0
        self._lone: Departure | None = None
        self._fit = _Line()
        self._wanted = False
        self._since_change = 0
        self._trial_after = _FIRST_TRIAL
        self._slowdown = 0.0
        self._samples = 0

    @property
    def limit(self) -> int:
        """How many may be under way."""
        return self._limit

    def wanted(self) -> None:
        """Calls wait for a batch to come back."""
        self._wanted = True

    def sent(self) -> Departure:
        """A batch leaves."""
        departure = Departure(self._under_way, alone=not self._under_way)
        if self._lone is not None:
            self._lone.alone = False
        self._lone = departure if departure.alone else None
        self._under_way += 1
        return departure

    def returned(self, departure: Departure, items: int, latency_s: float | None) -> None:
        """It is back; `latency_s` is None where it wasn't answered."""
        self._under_way -= 1
        if self._lone is departure:
            self._lone = None
        if latency_s is None:
            return
        if departure.alone:
            self._fit.add(items, latency_s)
        elif departure.beside and (alone_s := self._fit.at(items)):
            self._samples += 1
            self._slowdown += (latency_s / alone_s - self._slowdown) / self._samples
            if self._samples >= _SAMPLES or self._slowdown > _PLAINLY_SLOWED:
                self._conclude()
        self._since_change += self._wanted
        self._wanted = False
        if self._since_change >= self._trial_after and self._limit < self._most:
            self._change(self._limit + 1)

    def _conclude(self) -> None:
        if self._slowdown > _SLOWED:
            self._trial_after = min(_RARER * self._trial_after, _RAREST)
            self._change(max(1, self._limit - 1))
        else:
            self._trial_after = _FIRST_TRIAL
            self._samples = 0

    def _change(self, limit: int) -> None:
        self._limit = limit
        self._since_change = self._samples = 0


class _Line:
    """A straight line through what was seen lately, by weighted least squares."""

    __slots__ = ("_weight", "_x", "_xx", "_xy", "_y")

    def __init__(self) -> None:
        self._weight = self._x = self._y = self._xx = self._xy = 0.0

    def add(self, x: float, y: float) -> None:
        self._weight = _KEPT * self._weight + 1
        self._x = _KEPT * self._x + x
        self._y = _KEPT * self._y + y
        self._xx = _KEPT * self._xx + x * x
        self._xy = _KEPT * self._xy + x * y

    def at(self, x: float) -> float:
        """The expected value, with a slope of at least 0; 0 where nothing was seen."""
        if not self._weight:
            return 0.0
        mean_x, mean_y = self._x / self._weight, self._y / self._weight
        variance = self._xx / self._weight - mean_x**2
        covariance = self._xy / self._weight - mean_x * mean_y
        slope = min(max(0.0, covariance / variance), mean_y / mean_x) if variance > 0 and mean_x > 0 else 0.0
        return mean_y + slope * (x - mean_x)

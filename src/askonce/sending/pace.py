"""The rate that an upstream bears, learned from its refusals alone."""

from __future__ import annotations

from typing import Final

from askonce.sending.bucket import Bucket

__all__ = ["Pace"]

_GENTLE_CUT: Final = 0.03
"""What is taken off a rate that went well for a while before it was refused: it was nearly right."""
_HARDEST_CUT: Final = 0.5
_FIRST_CUT: Final = 0.1
_FIRST_PLATEAU_S: Final = 2.0
"""The first rate is a guess from one second: it is left behind soon, whichever way it was wrong."""
_SLOWEST: Final = 1 / 600
_PLATEAU_S: Final = (8.0, 60.0)
_PLATEAU_CALLS: Final = 300
"""A refused rate is come back to after about this many calls, so that trying it costs less than one in a hundred."""
_PLATEAU_PAUSES: Final = 60
"""And after this many times the pause that the refusal cost."""
_LATE_S: Final = 0.01
"""What timers may be late by: calls that should have gone by then go at once."""


class Pace:
    """Spaces calls evenly at the learned rate; before the first refusal nothing is spaced.

    The first refusal sets the rate by the calls of the second before it. A refusal after a while of peace takes a little
    off, further ones soon after it take off twice as much each time. From there the rate returns along a cubic, as TCP
    CUBIC's window does (RFC 9438, section 4.2): quickly at first, flat around the rate that was refused, then faster and
    faster, so that a limit that was raised is found too. It grows only while calls wait for it.

    Evenly, because a burst in a window leaves less for the rest of it: spaced calls fit under fixed windows, sliding
    windows and token buckets alike.
    """

    __slots__ = (
        "_bucket",
        "_ceiling",
        "_counted",
        "_cut",
        "_cut_at",
        "_plateau_s",
        "_second",
        "_taken_at",
        "_use_s",
    )

    def __init__(self) -> None:
        self._bucket: Bucket | None = None
        self._ceiling = 0.0
        self._cut = _FIRST_CUT
        self._cut_at = float("-inf")
        self._plateau_s = _FIRST_PLATEAU_S
        self._use_s = 0.0
        self._taken_at = 0.0
        self._second = float("-inf")
        self._counted = (0, 0)

    @property
    def rate(self) -> float | None:
        """Calls per second; None where nothing was learned."""
        return self._bucket.rate if self._bucket is not None else None

    def wait_s(self, now: float) -> float:
        """Seconds until the next call may go."""
        return self._bucket.wait_s(1, now) if self._bucket is not None else 0.0

    def level(self, now: float) -> float:
        """The share of what may go at once that is left."""
        return self._bucket.level(now) / self._bucket.capacity if self._bucket is not None else 1.0

    def take(self, now: float) -> float:
        """A call goes. Returns the calls of the second before it."""
        current, last = self._counted
        elapsed = now - self._second
        if elapsed >= 1:
            last = current if elapsed < 2 else 0  # noqa: PLR2004 - the bin before this one, or one long gone
            current = 0
            self._second = now
            elapsed = 0.0
        recent = current + last * (1 - elapsed)
        self._counted = (current + 1, last)
        if self._bucket is not None:
            self._grow(self._bucket, now)
            self._bucket.take(1, now)
        return recent

    def give_back(self, now: float) -> None:
        """A call that was counted was never sent."""
        if self._bucket is not None:
            self._bucket.take(-1, now)

    def refused(self, recent: float, pause_s: float, now: float, *, steady: bool) -> None:
        """A call was refused, though others that were sent at this rate were not.

        Args:
            recent: Calls of the second before that call was sent.
            pause_s: Seconds for which nothing is sent now.
            now: Event-loop time.
            steady: Whether that second was one like any other, rather than one with a pause in it.
        """
        if self._bucket is None:
            self._ceiling, self._cut, self._plateau_s = max(recent, 1.0), _FIRST_CUT, _FIRST_PLATEAU_S
        else:
            peaceful = now - self._cut_at > self._plateau_s / 2
            rate = self._bucket.rate
            self._ceiling = max(min(rate, recent + 1) if steady else rate, _SLOWEST)
            self._cut = _GENTLE_CUT if peaceful else min(2 * self._cut, _HARDEST_CUT)
            shortest, longest = _PLATEAU_S
            wanted = max(_PLATEAU_CALLS / self._ceiling, _PLATEAU_PAUSES * pause_s)
            self._plateau_s = max(shortest, min(wanted, longest))
        self._cut_at = now
        self._use_s = 0.0
        rate = self._rate()
        if self._bucket is None:
            self._bucket = Bucket(rate, _capacity(rate))
            self._bucket.take(self._bucket.capacity, now)
        else:
            self._bucket.change(rate, _capacity(rate), now)

    def _grow(self, bucket: Bucket, now: float) -> None:
        elapsed = now - self._taken_at
        self._taken_at = now
        if bucket.level(now) < 1 + _LATE_S * bucket.rate / 2:
            self._use_s += min(elapsed, 2 / bucket.rate)
            rate = self._rate()
            bucket.change(rate, _capacity(rate), now)

    def _rate(self) -> float:
        distance = (self._use_s - self._plateau_s) / self._plateau_s
        return max(_SLOWEST, self._ceiling * (1 + self._cut * distance**3))


def _capacity(rate: float) -> float:
    return 1 + _LATE_S * rate

"""How many calls at a time: additive increase while all is well, multiplicative decrease on overload (AIMD)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from askonce.sending.limits import Limits

__all__ = ["ConcurrencyLimit"]

_OVERLOAD_CUT: Final = 0.7
_LATENCY_CUT: Final = 0.9
_FIRST: Final = 16
"""Calls at a time to begin with where a target is set: doubled each round until the target is missed."""
_ROUND: Final = (4, 64)
"""Answers that decide together: as many as the limit, within these bounds. One slow answer decides nothing."""


class ConcurrencyLimit:
    """The limit in force, between the declared bounds.

    It rises by one with each round of answers, if it was reached and at most half of them missed the target. It falls
    where most of a round missed the target, and at each sign of overload, but not by calls that were sent before it
    last fell: what they tell is known already. It falls from what was really in use, so that a limit far above the
    traffic comes down to it at once; but where no more was in use than is always allowed, the calls at a time are hardly
    to blame: then it falls from itself, and one bad answer on a quiet day doesn't leave the next burst to queue.
    """

    __slots__ = (
        "_cut_at", "_good", "_least", "_missed", "_most", "_probing", "_reached", "_settled_at", "_target_s", "_value",
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        self._target_s = limits.target_latency_s
        self._most = limits.max_concurrency
        self._least = min(limits.min_concurrency, limits.max_concurrency)
        begins_at = limits.max_concurrency if limits.target_latency_s is None else _FIRST
        self._value = float(max(self._least, min(begins_at, self._most)))
        self._probing = limits.target_latency_s is not None
        self._cut_at = float("-inf")
        self._settled_at = 0
        self._good = self._missed = 0
        self._reached = False

    @property
    def value(self) -> int:
        """Calls that may be under way at a time."""
        return int(self._value)

    def latency(self, seconds: float, sent_at: float, in_use: int, now: float) -> None:
        """A first byte (or an answer whose length doesn't matter) has come after so many seconds."""
        if self._target_s is not None and seconds > self._target_s:
            if sent_at >= self._cut_at:
                self._missed += 1
                self._decide(in_use, now)
        else:
            self.good(sent_at, in_use, now)

    def good(self, sent_at: float, in_use: int, now: float) -> None:
        """A call went well."""
        if sent_at < self._cut_at:
            return
        self._settled_at = max(self._settled_at, in_use)
        if self._value < self._most or self._missed:
            self._good += 1
            self._reached = self._reached or in_use >= int(self._value)
            self._decide(in_use, now)

    def overloaded(self, sent_at: float, in_use: int, now: float) -> None:
        """The upstream said, or showed, that it has too much to do."""
        if sent_at >= self._cut_at:
            self._cut(_OVERLOAD_CUT, in_use, now)

    def refused(self, sent_at: float, in_use: int, now: float) -> None:
        """The upstream answered 429 and gave no reason.

        More calls at a time than any that went well since the last time: that may be the reason. Otherwise it isn't.
        """
        if sent_at >= self._cut_at and in_use > max(self._settled_at, self._least):
            self._cut(_LATENCY_CUT, in_use, now)
            self._probing = True
        self._settled_at = 0

    def _decide(self, in_use: int, now: float) -> None:
        low, high = _ROUND
        if self._good + self._missed < min(high, max(low, self._value)):
            return
        if self._missed > self._good:
            self._cut(_LATENCY_CUT, in_use, now)
        elif self._reached:
            raised = self._value * 2 if self._probing else self._value + 1
            self._value = min(raised, float(self._most))
        self._good = self._missed = 0
        self._reached = False

    def _cut(self, factor: float, in_use: int, now: float) -> None:
        used = min(self._value, float(in_use)) if in_use > self._least else self._value
        self._value = max(float(self._least), used * factor)
        self._cut_at = now
        self._probing = False
        self._good = self._missed = 0
        self._reached = False

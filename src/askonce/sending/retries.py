"""When a failed call is sent again: after how long, and how many of them in all.

Each failure decides anew between another try, another upstream and telling the caller (`pipeline.journey`): here is
what all of an upstream's calls share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RetryBudget", "RetryRules", "full_jitter"]

_REFILL_S: Final = 60.0
"""Seconds in which the floor of an empty budget comes back without any traffic."""
_DOUBLINGS: Final = 30
"""More of them than that would only overflow."""


@dataclass(frozen=True, slots=True)
class RetryRules:
    """How often and after how long a failed call is sent again.

    Attributes:
        attempts: Further calls to one upstream for one request.
        base_s: The first pause is at most this long; each further one at most twice as long …
        cap_s: … and never longer than this.
        share: Retries per request that the upstream gets, in [0, 1].
        floor: Retries that may go beside that share: so many at once, and so many a minute.
    """

    attempts: int = 2
    base_s: float = 0.25
    cap_s: float = 8.0
    share: float = 0.2
    floor: int = 10


def full_jitter(rules: RetryRules, retry: int, draw: Callable[[], float]) -> float:
    """Seconds before the `retry`-th retry (from 0): uniform in [0, min(cap, base · 2^retry)).

    From M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

    Args:
        rules: The pauses' bounds.
        retry: Retries before this one.
        draw: A number in [0, 1).
    """
    return draw() * min(rules.cap_s, rules.base_s * 2.0 ** min(retry, _DOUBLINGS))


class RetryBudget:
    """A token bucket: in t seconds with n requests at most floor · (1 + t / 60) + share · n retries go.

    So a failing upstream gets little more calls than a healthy one, however many attempts each request is allowed and
    however often callers try again themselves.
    """

    __slots__ = ("_floor", "_share", "_tokens", "_updated_at")

    def __init__(self, rules: RetryRules) -> None:
        self._share = rules.share
        self._floor = float(rules.floor)
        self._tokens = self._floor
        self._updated_at: float | None = None

    @property
    def tokens(self) -> float:
        """Retries that may go now."""
        return self._tokens

    def deposit(self) -> None:
        """A request goes to the upstream for the first time."""
        self._tokens = min(max(self._floor, 1.0), self._tokens + self._share)

    def take(self, now: float) -> bool:
        """Whether a retry may go at event-loop time `now`; it counts as gone."""
        if self._updated_at is not None:
            refilled = self._tokens + self._floor * (now - self._updated_at) / _REFILL_S
            self._tokens = min(max(self._floor, 1.0), refilled)
        self._updated_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

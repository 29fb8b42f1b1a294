"""Rate limits as providers have them: so many requests, so many tokens, and headers that say what is left."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, inf
from typing import TYPE_CHECKING, Final, Protocol

from askonce.upstreams.simulated.failures import rate_limited

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["LimitKind", "RateLimits", "Turnstile"]

_MAX_KEYS: Final = 10_000
"""Keys whose use is remembered; beyond them the longest unused starts anew."""


_ROUNDING: Final = 1e-6
"""What a sum of refills may lack, so that who comes when it was told to isn't refused."""


class LimitKind(StrEnum):
    """How a limit counts."""

    TOKEN_BUCKET = "token-bucket"  # noqa: S105 - no secret
    """Refilled steadily, full at the start: the whole period's amount may come at once after a pause."""
    FIXED_WINDOW = "fixed-window"
    """Counted anew in every period: twice the amount may come around its turn."""
    SLIDING_WINDOW = "sliding-window"
    """Never more than the amount in any period, wherever it begins."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What a simulated upstream takes before it answers 429; None bounds nothing.

    Attributes:
        requests_per_second: Calls in any second; refused ones don't count.
        requests_per_minute: Calls in any minute.
        tokens_per_minute: Tokens in any minute, those of the prompt and of the answer that is about to come.
        kind: How they are counted.
        per_key: Whether every key has limits of its own.
        retry_after: Whether a 429 says when to come again (`Retry-After`, seconds, rounded up to milliseconds).
        headers: Whether answers say what is left (`x-ratelimit-{limit,remaining,reset}-{requests,tokens}`).
    """

    requests_per_second: float | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    kind: LimitKind = LimitKind.TOKEN_BUCKET
    per_key: bool = False
    retry_after: bool = True
    headers: bool = True

    def __post_init__(self) -> None:
        """Checks the amounts.

        Raises:
            ValueError: one allows less than one request or token in its period.
        """
        amounts = (self.requests_per_second, self.requests_per_minute, self.tokens_per_minute)
        if any(amount is not None and amount < 1 for amount in amounts):
            raise ValueError("each rate limit allows at least 1 in its period")

    @property
    def any(self) -> bool:
        """Whether anything is bounded."""
        return any((self.requests_per_second, self.requests_per_minute, self.tokens_per_minute))


class _Meter(Protocol):
    """How much of a limit is used. Times are the event loop's."""

    limit: float

    def remaining(self, now: float) -> float: ...

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until so much fits; `inf` for more than the limit."""
        ...

    def reset_s(self, now: float) -> float:
        """Seconds until all of it is there again."""
        ...

    def take(self, amount: float, now: float) -> None: ...


class _TokenBucket:
    def __init__(self, limit: float, period_s: float) -> None:
        self.limit = limit
        self._per_s = limit / period_s
        self._level = limit
        self._at = -inf

    def remaining(self, now: float) -> float:
        return (
            self.limit if self._at == -inf else min(self.limit, self._level + (now - self._at) * self._per_s)
        )

    def wait_s(self, amount: float, now: float) -> float:
        if amount > self.limit:
            return inf
        lacking = amount - self.remaining(now)
        return lacking / self._per_s if lacking > _ROUNDING else 0.0

    def reset_s(self, now: float) -> float:
        return (self.limit - self.remaining(now)) / self._per_s

    def take(self, amount: float, now: float) -> None:
        self._level, self._at = self.remaining(now) - amount, now


class _FixedWindow:
    def __init__(self, limit: float, period_s: float) -> None:
        self.limit = limit
        self._period_s = period_s
        self._began = -inf
        self._used = 0.0

    def remaining(self, now: float) -> float:
        return self.limit if now >= self._began + self._period_s else self.limit - self._used

    def wait_s(self, amount: float, now: float) -> float:
        if amount > self.limit:
            return inf
        return 0.0 if amount <= self.remaining(now) else self.reset_s(now)

    def reset_s(self, now: float) -> float:
        return max(0.0, self._began + self._period_s - now)

    def take(self, amount: float, now: float) -> None:
        if now >= self._began + self._period_s:
            self._began, self._used = now - now % self._period_s, 0.0
        self._used += amount


class _SlidingWindow:
    def __init__(self, limit: float, period_s: float) -> None:
        self.limit = limit
        self._period_s = period_s
        self._taken: deque[tuple[float, float]] = deque()
        self._used = 0.0

    def remaining(self, now: float) -> float:
        while self._taken and self._taken[0][0] + self._period_s <= now:
            self._used -= self._taken.popleft()[1]
        return self.limit - self._used

    def wait_s(self, amount: float, now: float) -> float:
        if amount > self.limit:
            return inf
        lacking = amount - self.remaining(now)
        for at, taken in self._taken:
            if lacking <= 0:
                break
            lacking -= taken
            if lacking <= 0:
                return at + self._period_s - now
        return 0.0

    def reset_s(self, now: float) -> float:
        self.remaining(now)
        return self._taken[-1][0] + self._period_s - now if self._taken else 0.0

    def take(self, amount: float, now: float) -> None:
        self._taken.append((now, amount))
        self._used += amount


_METERS: Final[Mapping[LimitKind, Callable[[float, float], _Meter]]] = {
    LimitKind.TOKEN_BUCKET: _TokenBucket,
    LimitKind.FIXED_WINDOW: _FixedWindow,
    LimitKind.SLIDING_WINDOW: _SlidingWindow,
}


class _Account:
    """One key's use, or everybody's: meters of `requests` and of `tokens`."""

    def __init__(self, limits: RateLimits) -> None:
        meter = _METERS[limits.kind]
        requests = ((limits.requests_per_second, 1.0), (limits.requests_per_minute, 60.0))
        tokens = ((limits.tokens_per_minute, 60.0),)
        self.meters: dict[str, list[_Meter]] = {
            what: [meter(amount, period_s) for amount, period_s in bounds if amount is not None]
            for what, bounds in (("requests", requests), ("tokens", tokens))
        }

    def headers(self, now: float) -> list[tuple[str, str]]:
        """What the tightest of the limits on requests and of those on tokens says."""
        headers = []
        for what, meters in self.meters.items():
            if meters:
                meter = min(meters, key=lambda meter: meter.remaining(now))
                headers += [
                    (f"x-ratelimit-limit-{what}", str(int(meter.limit))),
                    (f"x-ratelimit-remaining-{what}", str(max(0, int(meter.remaining(now))))),
                    (f"x-ratelimit-reset-{what}", _duration(meter.reset_s(now))),
                ]
        return headers


class Turnstile:
    """Lets calls through as far as the limits allow. Times are the event loop's."""

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits
        self._accounts: OrderedDict[str | None, _Account] = OrderedDict()

    def admit(self, key: str | None, now: float) -> None:
        """Counts a request.

        Raises:
            UpstreamFailure: 429, where it is one too many; then it doesn't count.
        """
        self._take(key, "requests", 1, now)

    def charge(self, key: str | None, tokens: int, now: float) -> None:
        """Counts an admitted request's tokens.

        Raises:
            UpstreamFailure: 429, where these are too many; then they don't count, though the request did.
        """
        self._take(key, "tokens", tokens, now)

    def headers(self, key: str | None, now: float) -> Sequence[tuple[str, str]]:
        """What an answer says of the limits."""
        return self._account(key).headers(now) if self._limits.any and self._limits.headers else ()

    def _take(self, key: str | None, what: str, amount: int, now: float) -> None:
        if not self._limits.any:
            return
        meters = self._account(key).meters[what]
        wait_s = max((meter.wait_s(amount, now) for meter in meters), default=0.0)
        if wait_s > 0:
            told = wait_s if self._limits.retry_after and wait_s < inf else None
            raise rate_limited(what, told, self.headers(key, now))
        for meter in meters:
            meter.take(amount, now)

    def _account(self, key: str | None) -> _Account:
        key = key if self._limits.per_key else None
        account = self._accounts.pop(key, None) or _Account(self._limits)
        self._accounts[key] = account
        if len(self._accounts) > _MAX_KEYS:
            self._accounts.popitem(last=False)
        return account


def _duration(seconds: float) -> str:
    """As OpenAI writes it: `20ms`, `1s`, `6m0s`, `1m30.5s`; rounded up to milliseconds."""
    milliseconds = ceil(seconds * 1000)
    if milliseconds < 1000:  # noqa: PLR2004 - milliseconds in a second
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{f'{minutes}m' if minutes else ''}{rest / 1000:g}s"

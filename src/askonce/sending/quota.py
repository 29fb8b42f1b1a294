"""What is left of a provider's quota, as its response headers tell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Quota", "Reading", "read_headers"]

_PARTS: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|us|µs|h|m|s|d)")
_WHOLE: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|us|µs|h|m|s|d))+")
_SECONDS: Final = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
_LONGEST_S: Final = 86_400.0
_CERTAIN: Final = 4
_TRUSTED_S: Final = 60.0
"""How long a reading is believed: then one call goes in spite of it, to see what is said now."""
_GUARD_S: Final = 0.01
"""What is added to a window's end: clocks, and calls that overtake one another."""


class Reading(NamedTuple):
    """One family of headers: what is left of how much, and the seconds until it is reset."""

    limit: float
    remaining: float
    reset_s: float


def read_headers(headers: Sequence[tuple[str, str]]) -> tuple[Reading | None, Reading | None]:
    """What the headers (names in lower case) say of requests and of tokens; None where they don't.

    OpenAI's `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, with a reset such as `1s`, `6m0s`, `20ms` or plain
    seconds, and the three `ratelimit-{limit,remaining,reset}` headers of the IETF's drafts, which count requests.
    """
    found = {name: value for name, value in headers if "ratelimit-" in name}
    if not found:
        return None, None
    requests = _reading(found, "x-ratelimit-{}-requests") or _reading(found, "ratelimit-{}")
    return requests, _reading(found, "x-ratelimit-{}-tokens")


def _reading(found: dict[str, str], pattern: str) -> Reading | None:
    limit, remaining = (_number(found.get(pattern.format(part))) for part in ("limit", "remaining"))
    reset_s = _duration(found.get(pattern.format("reset")))
    if limit is None or remaining is None or reset_s is None or limit <= 0 or remaining > limit:
        return None
    return Reading(limit, remaining, min(reset_s, _LONGEST_S))


def _number(text: str | None) -> float | None:
    plain = text is not None and len(text) < 16 and re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text)  # noqa: PLR2004 - no number that a double rounds
    return float(text) if text is not None and plain else None


def _duration(text: str | None) -> float | None:
    if text is not None and len(text) < 40 and _WHOLE.fullmatch(text):  # noqa: PLR2004 - no honest one is longer
        return sum(float(number) * _SECONDS[unit] for number, unit in _PARTS.findall(text))
    return _number(text)


class Quota:
    """What may still be sent, of requests or of tokens, between one response and the next.

    Two kinds of providers send the same headers. With a *window*, all of the limit comes back at the reset. With a
    *bucket*, it comes back steadily, and the reset says when it will be full: `(limit - remaining) / reset` is its rate.
    Which one it is shows in how the reset moves: a window's end stands still, a bucket's moves on with each call. A
    window's first half may go at once; the other is spread over the time that is left, so that nobody waits for all of
    the rest of a window. That a window has ended is believed once a response says so; until then calls are spaced, since
    some providers mean by the reset that a little comes back, not all.
    """

    __slots__ = (
        "_at",
        "_bucket_votes",
        "_confirmed",
        "_ends_at",
        "_level",
        "_limit",
        "_number",
        "_rate",
        "_read_at",
        "_reading",
        "_span_s",
        "_taken_at",
        "_trusted_until",
    )

    def __init__(self) -> None:
        self._reading: Reading | None = None
        self._at = 0.0
        self._number = -1
        self._bucket_votes = 0
        self._limit = 0.0
        self._level = 0.0
        self._rate = 0.0
        self._ends_at = 0.0
        self._span_s = 0.0
        self._confirmed = True
        self._read_at = 0.0
        self._taken_at = 0.0
        self._trusted_until = 0.0

    @property
    def known(self) -> bool:
        """Whether anything was read yet."""
        return self._reading is not None

    @property
    def is_bucket(self) -> bool:
        """Whether the quota comes back steadily rather than all at once."""
        return self._bucket_votes >= 0

    @property
    def rate(self) -> float:
        """What comes back per second, in the long run."""
        return self._rate if self.is_bucket else self._limit / max(self._span_s, 1e-3)

    def read(self, reading: Reading, number: int, sent_after: float, now: float) -> None:
        """Takes in what a response says.

        Args:
            reading: What it says.
            number: The call's; what an older call's response says is no news.
            sent_after: What was sent after that call: the upstream didn't know of it.
            now: Event-loop time.
        """
        if number <= self._number:
            return
        self._vote(reading, now)
        self._reading, self._number, self._at = reading, number, now
        self._read_at = now
        self._limit = reading.limit
        self._level = reading.remaining - sent_after
        used = reading.limit - reading.remaining
        if used > 0 and reading.reset_s > 0:
            self._rate = used / reading.reset_s
        elif not self._rate:
            self._rate = reading.limit / max(reading.reset_s, 1.0)
        ends_at = now + reading.reset_s
        self._span_s = max(
            reading.reset_s, self._span_s if ends_at < self._ends_at + self._span_s * 2 else 0.0
        )
        self._ends_at = ends_at + _GUARD_S
        self._confirmed = True
        self._trusted_until = now + _TRUSTED_S

    def level(self, now: float) -> float:
        """What is left now."""
        if self.is_bucket:
            self._level = min(self._limit, self._level + max(0.0, now - self._at) * self._rate)
            self._at = max(now, self._at)
        elif now >= self._ends_at:
            self._level = self._limit
            self._ends_at = now + self._span_s
            self._confirmed = False
        return self._level

    def share(self, now: float) -> float:
        """The share of the limit that is left, in (-inf, 1]."""
        return self.level(now) / self._limit

    def tight(self, now: float) -> bool:
        """Whether less than half is left, so that what comes back decides how much can be sent."""
        return self.known and self.level(now) < self._limit / 2

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be sent."""
        level, amount = self.level(now), min(amount, self._limit)
        if self.is_bucket:
            wait_s = (amount - level) / self._rate
        elif level < amount:
            wait_s = self._ends_at - now
        elif not self._confirmed:
            wait_s = self._taken_at + self._span_s * amount / self._limit - now
        elif level < self._limit / 2:
            wait_s = self._taken_at + (self._ends_at - now) * amount / level - now
        else:
            return 0.0
        return max(0.0, min(wait_s, self._trusted_until - now))

    def take(self, amount: float, now: float) -> None:
        """That much is sent, or a negative amount was not after all."""
        self._level = self.level(now) - amount
        self._taken_at = now
        if now >= self._trusted_until:
            self._trusted_until = now + _TRUSTED_S

    def _vote(self, new: Reading, now: float) -> None:
        old = self._reading
        if old is None or old.limit != new.limit or now <= self._read_at or old.remaining == new.remaining:
            return
        used = old.limit - old.remaining
        if used <= 0 or old.reset_s <= 0:
            return
        as_bucket = (new.limit - new.remaining) * old.reset_s / used
        as_window = self._ends_at - _GUARD_S - now
        if as_window < 0:
            return
        closer = abs(new.reset_s - as_bucket) <= abs(new.reset_s - as_window)
        self._bucket_votes = max(-_CERTAIN, min(_CERTAIN, self._bucket_votes + (1 if closer else -1)))

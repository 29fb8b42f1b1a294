"""One key of an upstream: what may go out with it, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.sending.bucket import per_minute
from askonce.sending.pace import Pace
from askonce.sending.quota import Quota, read_headers
from askonce.sending.state import KeyState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.sending.limits import Limits

__all__ = ["GO", "PAUSED", "REQUESTS", "TOKENS", "Key", "Shot", "Wait"]

REQUESTS: Final = "requests-per-minute"
TOKENS: Final = "tokens-per-minute"
PAUSED: Final = "upstream-paused"

_SHORTEST_GUESS_S: Final = 0.03
_LONGEST_GUESS_S: Final = 30.0
_NOW_S: Final = 1e-6
"""Waits that are arithmetic's, not the limits'."""
_LONGEST_PAUSE_S: Final = 3_600.0
_LONGEST_PROBE_S: Final = 0.25
"""The longest that the first call after a pause is waited for before others follow."""
_LATE_SHARE: Final = 1 / 600
"""Of a minute's calls, those of a tenth of a second: what a busy machine's timers are late by isn't lost."""
_FEW: Final = 5
"""Calls in a second of which one refusal says nothing of the rate: it may be anything's fault."""
_LONE_S: Final = 60.0
"""A refusal among few calls counts once another one was not longer before it than that …"""
_LONE_GUESS_S: Final = 0.1
"""… and else only makes this pause, where the upstream names none."""
_STEADY_RPM: Final = 60
"""Limits from here on are spaced evenly; below, a fifth of a minute's calls may go at once."""


class Wait(NamedTuple):
    """How long a call can't be sent, and why: `seconds` is 0 where it can."""

    seconds: float
    reason: str


GO: Final = Wait(0.0, "")


class Shot(NamedTuple):
    """A call that was sent with a key.

    Attributes:
        number: Which of the key's calls it is, from 1.
        recent: Calls of the second before it.
        tokens_so_far: Tokens sent with the key, this call's included.
        at: When it was sent: event-loop time.
    """

    number: int
    recent: float
    tokens_so_far: float
    at: float


class Key:
    """One key, or the one that an upstream presents by itself.

    Attributes:
        secret: The key; None where the upstream or the call has it already. Never shown.
        index: Which of the upstream's keys it is, from 0: what metrics and logs know it by.
        aside_until: Event-loop time until which it is set aside, as the upstream refused it.
        in_use: Calls under way.
    """

    __slots__ = (
        "_guess_s", "_pace", "_paused_until", "_probe", "_probe_until", "_refusal_s", "_refused_at",
        "_request_quota", "_requests", "_resumes", "_sent", "_token_quota", "_tokens", "_tokens_sent",
        "_unlimited", "aside_until", "in_use", "index", "refusals", "secret",
    )  # fmt: skip

    def __init__(self, limits: Limits, secret: str | None = None, index: int = 0) -> None:
        self.secret = secret
        self.index = index
        self.aside_until = float("-inf")
        self.in_use = 0
        self.refusals = 0
        rpm, tpm = limits.requests_per_minute, limits.tokens_per_minute
        burst_share = 0.2 if rpm is not None and rpm < _STEADY_RPM else _LATE_SHARE
        self._requests = None if rpm is None else per_minute(rpm, burst_share, 1.0)
        self._tokens = None if tpm is None else per_minute(tpm, 0.05, 1.0)
        self._pace = Pace()
        self._request_quota, self._token_quota = Quota(), Quota()
        self._paused_until = self._probe_until = 0.0
        self._refused_at = float("-inf")
        self._resumes = False
        self._probe = 0
        self._guess_s = _SHORTEST_GUESS_S
        self._refusal_s = 0.05
        self._sent = 0
        self._tokens_sent = 0.0
        self._unlimited = rpm is None and tpm is None

    def __repr__(self) -> str:
        return f"<key {self.index}>"

    def wait(self, tokens: int, now: float) -> Wait:
        """How long a call of that many tokens has to wait."""
        if self._unlimited:
            return GO
        if now < self._paused_until:
            return Wait(self._paused_until - now, PAUSED)
        if self._probe and now < self._probe_until:
            return Wait(self._probe_until - now, PAUSED)
        requests_s = self._pace.wait_s(now)
        if self._requests is not None:
            requests_s = max(requests_s, self._requests.wait_s(1, now))
        if self._request_quota.known:
            requests_s = max(requests_s, self._request_quota.wait_s(1, now))
        tokens_s = self._tokens.wait_s(tokens, now) if self._tokens is not None else 0.0
        if self._token_quota.known:
            tokens_s = max(tokens_s, self._token_quota.wait_s(tokens, now))
        if max(tokens_s, requests_s) < _NOW_S:
            return GO
        return Wait(tokens_s, TOKENS) if tokens_s > requests_s else Wait(requests_s, REQUESTS)

    def headroom(self, now: float) -> float:
        """The smallest share of any known limit that is left, in [0, 1]; 1 where none is known."""
        shares = [self._pace.level(now)]
        shares += [bucket.level(now) / bucket.capacity for bucket in (self._requests, self._tokens) if bucket]
        shares += [quota.share(now) for quota in (self._request_quota, self._token_quota) if quota.known]
        return max(0.0, min(shares))

    def send(self, tokens: int, now: float) -> Shot:
        """A call goes out: it is counted at once, since the upstream counts it when it comes."""
        self.in_use += 1
        self._sent += 1
        recent = self._pace.take(now)
        if not self._unlimited:
            if self._resumes:
                self._resumes = False
                self._probe, self._probe_until = self._sent, now + min(_LONGEST_PROBE_S, 3 * self._refusal_s)
            if self._requests is not None:
                self._requests.take(1, now)
            if self._request_quota.known:
                self._request_quota.take(1, now)
        self.charge(tokens, now)
        return Shot(self._sent, recent, self._tokens_sent, now)

    def charge(self, tokens: float, now: float) -> None:
        """Counts tokens that a call has beyond those counted before; fewer where negative."""
        self._tokens_sent += tokens
        if self._tokens is not None:
            self._tokens.take(tokens, now)
        if self._token_quota.known:
            self._token_quota.take(tokens, now)

    def unsend(self, shot: Shot, tokens: int, now: float) -> None:
        """A call that was counted didn't go out after all."""
        self._pace.give_back(now)
        if self._requests is not None:
            self._requests.take(-1, now)
        if self._request_quota.known:
            self._request_quota.take(-1, now)
        if shot.number == self._probe:
            self._probe, self._resumes = 0, True
        self.charge(-tokens, now)

    def accepted(self, shot: Shot, headers: Sequence[tuple[str, str]]) -> None:
        """The upstream took a call, and said this."""
        if shot.at > self._refused_at:
            self._probe = 0
        self._read(shot, headers)

    def refused(
        self, shot: Shot, retry_after_s: float | None, headers: Sequence[tuple[str, str]], now: float
    ) -> bool:
        """The upstream answered 429: nothing is sent until it may help, and less after that.

        Returns whether that is news: of several calls that were under way together, the first one's refusal is.

        The first call after a pause tells that the pause was too short, not that the rate is too high. A single
        refusal among few calls tells nothing of a rate.
        """
        self.refusals += 1
        self._unlimited = False
        self._read(shot, headers)
        self._refusal_s += 0.2 * (now - shot.at - self._refusal_s)
        if shot.at >= self._refused_at:
            self._slow_down(shot, retry_after_s, now)
            return True
        if retry_after_s is not None:
            self.pause(retry_after_s, now)
        return False

    def _slow_down(self, shot: Shot, retry_after_s: float | None, now: float) -> None:
        """Pauses, and lowers the rate where the refusal tells something of it."""
        probe = shot.number == self._probe
        lone = self._pace.rate is None and shot.recent < _FEW and now - self._refused_at > _LONE_S
        if probe:
            self._guess_s = min(2 * self._guess_s, _LONGEST_GUESS_S)
        elif lone:
            self._guess_s = _LONE_GUESS_S
        else:
            self._guess_s = min(1.0, max(_SHORTEST_GUESS_S, 2 / (self._pace.rate or max(shot.recent, 2.0))))
        pause_s = self._guess_s if retry_after_s is None else max(retry_after_s, _SHORTEST_GUESS_S)
        if not (probe or lone):
            # Right after a pause there were few calls, which says nothing of how many there may be.
            steady = shot.at - self._paused_until > 1
            self._pace.refused(shot.recent, pause_s, now, steady=steady)
        self._probe = 0
        self._refused_at = now
        self.pause(pause_s, now)

    def set_aside(self, seconds: float, now: float) -> None:
        """The upstream doesn't know the key, or its account is empty: others go first."""
        self.aside_until = now + seconds
        self.pause(seconds, now)

    def pause(self, seconds: float, now: float) -> None:
        """Sends nothing for a while; the first call after it goes alone."""
        self._unlimited = False
        self._paused_until = max(self._paused_until, now + min(seconds, _LONGEST_PAUSE_S))
        self._resumes = True

    def rate(self, tokens: float, now: float) -> float:
        """Calls of that many tokens per second that the known limits allow in the long run; infinite without any."""
        rates = [self._pace.rate or float("inf")]
        if self._requests is not None:
            rates.append(self._requests.rate)
        if self._tokens is not None:
            rates.append(self._tokens.rate / max(tokens, 1))
        if self._request_quota.tight(now):
            rates.append(self._request_quota.rate)
        if self._token_quota.tight(now):
            rates.append(self._token_quota.rate / max(tokens, 1))
        return min(rates)

    def state(self, now: float) -> KeyState:
        """What there is to see of it."""
        rate = self.rate(0, now)
        requests, tokens = self._request_quota, self._token_quota
        return KeyState(
            index=self.index,
            in_use=self.in_use,
            paused_s=max(0.0, self._paused_until - now),
            requests_per_s=None if rate == float("inf") else rate,
            learned_per_s=self._pace.rate,
            requests_left=requests.level(now) if requests.known else None,
            tokens_left=tokens.level(now) if tokens.known else None,
            refusals=self.refusals,
        )

    def _read(self, shot: Shot, headers: Sequence[tuple[str, str]]) -> None:
        requests, tokens = read_headers(headers)
        if requests is not None:
            self._unlimited = False
            self._request_quota.read(requests, shot.number, self._sent - shot.number, shot.at)
        if tokens is not None:
            self._unlimited = False
            self._token_quota.read(tokens, shot.number, self._tokens_sent - shot.tokens_so_far, shot.at)

"""How limits stand, for administrators and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.pipeline.allowances.allowance import Allowance, Whose
    from askonce.pipeline.allowances.meters import Meter, Moment

__all__ = ["Crossing", "Crossings", "Peaks", "Standing", "standings_of"]

_CREDENTIAL: Final = "key:"
"""What a passed-through credential's account begins with (`Caller.account`)."""
_MINUTE_S: Final = 60

_log = structlog.get_logger("askonce.limits")


class Crossing(NamedTuple):
    """How often a limit was crossed.

    Attributes:
        tenant: The tenant in metrics; "" for all tenants together.
        feature: In which feature; "" for all of them.
        limit: Its key in the configuration.
        exceeded: Requests that didn't fit below the hard limit: refused, unless the store had their answer.
        warned: Answers with a warning.
    """

    tenant: str
    feature: str
    limit: str
    exceeded: int
    warned: int


class Crossings:
    """Counts them, and logs each once rather than with every request."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str, bool], int] = {}

    def __iter__(self) -> Iterator[Crossing]:
        """All that were crossed so far."""
        for key in {key[:3]: None for key in self._counts}:
            yield Crossing(*key, self._counts.get((*key, True), 0), self._counts.get((*key, False), 0))

    def count(self, whose: Whose, meter: Meter, now: Moment, *, hard: bool) -> None:
        """One more request above a limit."""
        tenant = _label_of(whose.tenant)
        key = (tenant, whose.feature, meter.name, hard)
        self._counts[key] = self._counts.get(key, 0) + 1
        if meter.news(now, hard=hard):
            event = "limit reached" if hard else "soft limit crossed"
            _log.warning(event, tenant=tenant, feature=whose.feature, limit=meter.name)


class Standing(NamedTuple):
    """How one limit stands. Requests, tokens, or nano-dollars where `limit` begins with `usd`.

    Attributes:
        tenant: Whose it is (`Caller.account`); "" for all tenants together.
        feature: In which feature; "" for all of them.
        limit: Its key in the configuration.
        soft: Above it answers carry a warning.
        hard: Above it requests are refused.
        used: What counts now, reservations for calls under way included.
        resets_at: When what counts now won't any more, Unix seconds.
    """

    tenant: str
    feature: str
    limit: str
    soft: int | None
    hard: int | None
    used: int
    resets_at: float

    @property
    def ratio(self) -> float:
        """The part of the hard limit, or else of the soft one, that is used."""
        return self.used / (self.hard or self.soft or 1)


def standings_of(allowance: Allowance, now: Moment) -> Iterator[Standing]:
    """How each limit of one account stands."""
    for meter in allowance.meters:
        resets_at = now.at + meter.resets_in_s(now)
        yield Standing(*allowance.whose, meter.name, *meter.bound, meter.used(now), resets_at)


class Peaks:
    """The highest ratio of all whom the configuration doesn't name, in this minute or the one before.

    By tenant's label (one for all credentials), feature and limit.
    """

    def __init__(self) -> None:
        self._minute = 0
        self._current: dict[tuple[str, str, str], float] = {}
        self._before: dict[tuple[str, str, str], float] = {}

    def note(self, allowance: Allowance, now: Moment) -> None:
        """One account stands so."""
        self._turn(now)
        peaks, (tenant, feature) = self._current, allowance.whose
        label = _label_of(tenant)
        for meter in allowance.meters:
            ratio = meter.used(now) / (meter.bound.hard or meter.bound.soft or 1)
            key = (label, feature, meter.name)
            if ratio >= peaks.get(key, 0.0):
                peaks[key] = ratio

    def of(self, now: Moment) -> Iterator[tuple[tuple[str, str, str], float]]:
        """The highest ratios."""
        self._turn(now)
        for key in self._before | self._current:
            yield key, max(self._current.get(key, 0.0), self._before.get(key, 0.0))

    def _turn(self, now: Moment) -> None:
        minute = int(now.ticks // _MINUTE_S)
        if minute != self._minute:
            known = self._current if minute == self._minute + 1 else {}
            self._before = dict.fromkeys(self._current | self._before, 0.0) | known
            self._current, self._minute = {}, minute


def _label_of(account: str) -> str:
    """An account in metrics and logs: a tenant's name, or one word for all credentials."""
    return "pass-through" if account.startswith(_CREDENTIAL) else account

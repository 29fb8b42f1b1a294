"""The books of the last thirty days as the dashboard shows them: read once, then only what may still change.

Hours and days that are over are kept; each look reads the running hour, the one before, and one of the older hours in
turn, now and then one of the older days: late charges and settlements still reach those. So a look costs the same,
however long the history is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from askonce.ports import Latency, Span, Sums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from askonce.ports import Books, Clock

__all__ = ["DAYS", "HOURS", "History", "Period", "Readable"]

HOURS: Final = 24
DAYS: Final = 30
_HOUR_S: Final = 3_600
_OPEN_HOURS: Final = 2
_DAY_EVERY: Final = 6
"""Looks for one at an older day, which has 24 hours' rows: every day has its turn within a quarter of an hour."""
_SHADOWED: Final = ("shadow", "match")
_Kinds = dict[tuple[str, str], Sums]
_T = TypeVar("_T")


class Readable(Protocol):
    """What is asked of the ledger."""

    async def read(self, work: Callable[[Books], _T]) -> _T:
        """Reads the books as of now, in their thread. Raises OSError where they can't be read."""
        ...


class Period(NamedTuple):
    """What an hour, a day or several came to.

    Attributes:
        sums: By feature and outcome.
        latencies: By outcome.
        shadowed: Requests by feature that semantic hits would have answered, had the feature served them.
    """

    sums: _Kinds
    latencies: dict[str, Latency]
    shadowed: dict[str, int]

    @classmethod
    def of(cls, periods: Iterable[Period]) -> Period:
        """Several together."""
        sums: _Kinds = {}
        latencies: dict[str, Latency] = {}
        shadowed: dict[str, int] = {}
        for period in periods:
            for kind, part in period.sums.items():
                known = sums.get(kind)
                sums[kind] = part if known is None else Sums(*map(int.__add__, known, part))
            for outcome, latency in period.latencies.items():
                before = latencies.get(outcome)
                latencies[outcome] = latency if before is None else _together(before, latency)
            for feature, count in period.shadowed.items():
                shadowed[feature] = shadowed.get(feature, 0) + count
        return cls(sums, latencies, shadowed)

    def outcomes(self) -> dict[str, int]:
        """Requests by outcome."""
        counts: dict[str, int] = {}
        for (_, outcome), sums in self.sums.items():
            if sums.requests:
                counts[outcome] = counts.get(outcome, 0) + sums.requests
        return counts


class History:
    """The last 24 hours, hour by hour, and the last 30 days, day by day (UTC), the running ones included.

    Attributes:
        read: Whether they have been read whole: before, sums say nothing.
        problem: What keeps the books from being read, "" where nothing does: what was read before is still shown.
    """

    def __init__(self, ledger: Readable, clock: Clock) -> None:
        self.read = False
        self.problem = ""
        self._ledger = ledger
        self._clock = clock
        self._hours: dict[int, Period] = {}
        self._days: dict[int, Period] = {}
        self._turn = 0

    async def refresh(self) -> None:
        """Reads what is missing and what may have changed. Never raises."""
        now = int(self._clock.now() // _HOUR_S)
        today = now // 24
        hours, days = range(now - HOURS + 1, now + 1), range(today - DAYS + 1, today)
        self._hours = {hour: period for hour, period in self._hours.items() if hour in hours}
        self._days = {day: period for day, period in self._days.items() if day in days}
        self._turn += 1
        open_hours = {*hours[-_OPEN_HOURS:], hours[self._turn % HOURS]}
        due, rest = divmod(self._turn, _DAY_EVERY)
        open_day = None if rest else days[due % len(days)]
        try:
            for hour in hours:
                if hour in open_hours or hour not in self._hours:
                    self._hours[hour] = await self._read(Span(hour, hour + 1))
            for day in days:
                if day == open_day or day not in self._days:
                    self._days[day] = await self._read(Span(day * 24, (day + 1) * 24))
        except OSError as error:
            self.problem = str(error)
        else:
            self.read, self.problem = True, ""

    @property
    def hours(self) -> list[tuple[int, Period]]:
        """By hour since 1970, oldest first."""
        return sorted(self._hours.items())

    @property
    def days(self) -> list[tuple[int, Period]]:
        """By day since 1970, oldest first; today is what its hours came to."""
        today = max(self._hours, default=0) // 24
        return [*sorted(self._days.items()), (today, self.today())]

    def today(self) -> Period:
        """The running day (UTC)."""
        today = max(self._hours, default=0) // 24
        return Period.of(period for hour, period in self._hours.items() if hour // 24 == today)

    async def _read(self, span: Span) -> Period:
        def work(books: Books) -> Period:
            sums = books.sums(span, ("feature", "outcome"))
            latencies = books.latencies(span, ("outcome",))
            decisions = books.decisions(span)
            return Period(
                {(str(feature), str(outcome)): one for (feature, outcome), one in sums.items()},
                {str(outcome): one for (outcome,), one in latencies.items()},
                {feature: count for (feature, *how), count in decisions.items() if tuple(how) == _SHADOWED},
            )

        return await self._ledger.read(work)


def _together(one: Latency, other: Latency) -> Latency:
    counts = [here + there for here, there in zip(one.counts, other.counts, strict=True)]
    return Latency(counts, one.total_s + other.total_s)

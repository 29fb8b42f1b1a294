"""What is held to a limit: amounts per minute, dollars per day or month. Some of it is reserved, the rest was used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from askonce.pipeline.allowances.spending import DAY, MONTH, Spending
from askonce.pipeline.allowances.window import SPAN_S, Window

if TYPE_CHECKING:
    from askonce.pipeline.allowances.spending import Calendar

__all__ = ["DAILY", "MONTHLY", "REQUESTS", "TOKENS", "Bound", "Meter", "Moment", "RateMeter", "SpendMeter"]

REQUESTS: Final = "requests_per_minute"
TOKENS: Final = "tokens_per_minute"
DAILY: Final = "usd_per_day"
MONTHLY: Final = "usd_per_month"
_CALENDARS: Final = {DAILY: DAY, MONTHLY: MONTH}
_SOON_S: Final = 1.0
"""When to ask again where only what is reserved for calls under way stands in the way."""


class Moment(NamedTuple):
    """Now: `ticks` is event-loop time, which never runs backwards, `at` the wall clock's Unix seconds."""

    ticks: float
    at: float


class Bound(NamedTuple):
    """A limit: above `soft` a warning, above `hard` a refusal. Requests, tokens or nano-dollars."""

    soft: int | None
    hard: int | None


class Meter(Protocol):
    """One limit and what counts against it.

    Attributes:
        name: Its key in the configuration.
        bound: The limit.
    """

    name: str
    bound: Bound

    def used(self, now: Moment) -> int:
        """What counts, reservations included."""
        ...

    def wait_s(self, amount: int, now: Moment) -> float:
        """Seconds until an amount may fit below the hard limit; 0 where it fits now."""
        ...

    def reserve(self, amount: int, now: Moment) -> int:
        """Counts an amount that may be given back; returns what `give_back` wants to know."""
        ...

    def give_back(self, amount: int, receipt: int) -> None:
        """Ends a reservation: what it came to is added."""
        ...

    def add(self, amount: int, now: Moment) -> None:
        """Counts what was used."""
        ...

    def resets_in_s(self, now: Moment) -> float:
        """Seconds until nothing counts any more that counts now."""
        ...

    def news(self, now: Moment, *, hard: bool) -> bool:
        """Whether a limit is crossed for the first time in a minute, or in this period; asked each time that it is."""
        ...


class RateMeter:
    """Requests or tokens within any minute."""

    __slots__ = ("_told_until", "_window", "bound", "name")

    def __init__(self, name: str, bound: Bound) -> None:
        self.name = name
        self.bound = bound
        self._window = Window()
        self._told_until = {True: 0.0, False: 0.0}

    def used(self, now: Moment) -> int:
        """What was taken in the last minute."""
        return self._window.used(now.ticks)

    def wait_s(self, amount: int, now: Moment) -> float:
        """Seconds until it fits; an amount above the whole limit waits until nothing else counts.

        At most a minute, also where it takes up to a second more: official SDKs don't wait longer than that.
        """
        hard = self.bound.hard
        wait_s = 0.0 if hard is None else self._window.wait_s(min(amount, hard), hard, now.ticks)
        return min(wait_s, SPAN_S)

    def reserve(self, amount: int, now: Moment) -> int:
        """Counts an amount for a minute."""
        return self._window.take(amount, now.ticks)

    def give_back(self, amount: int, receipt: int) -> None:
        """Doesn't count it any more, if it still did."""
        self._window.give_back(amount, receipt)

    def add(self, amount: int, now: Moment) -> None:
        """Counts an amount for a minute."""
        self._window.take(amount, now.ticks)

    def resets_in_s(self, now: Moment) -> float:
        """Seconds until the window is empty."""
        return self._window.empty_in_s(now.ticks)

    def news(self, now: Moment, *, hard: bool) -> bool:
        """Whether it wasn't so within the last minute."""
        known_until, self._told_until[hard] = self._told_until[hard], now.ticks + SPAN_S
        return now.ticks >= known_until


class SpendMeter:
    """Nano-dollars within a day or a month.

    Attributes:
        calendar: Day or month.
        reserved: What calls under way may cost.
        known: Whether it counts what was spent before it was made.
    """

    __slots__ = ("_spending", "_told_until", "bound", "calendar", "known", "name", "reserved")

    def __init__(self, name: str, bound: Bound, now: Moment) -> None:
        self.name = name
        self.bound = bound
        self.calendar: Calendar = _CALENDARS[name]
        self.reserved = 0
        self.known = False
        self._spending = Spending(self.calendar, now.at)
        self._told_until = {True: 0.0, False: 0.0}

    def spent(self, now: Moment) -> int:
        """What was spent in this period."""
        return self._spending.spent_nanousd(now.at)

    def used(self, now: Moment) -> int:
        """Spent and reserved."""
        return self.spent(now) + self.reserved

    def wait_s(self, amount: int, now: Moment) -> float:
        """Seconds until it may fit: a moment where calls under way may give it back, else until the period's end.

        What costs nothing always fits.
        """
        hard = self.bound.hard
        if not amount or hard is None or self.used(now) + amount <= hard:
            return 0.0
        return _SOON_S if self.spent(now) + amount <= hard else max(_SOON_S, self.resets_in_s(now))

    def reserve(self, amount: int, now: Moment) -> int:  # noqa: ARG002 - a reservation outlives its period
        """Sets money aside."""
        self.reserved += amount
        return 0

    def give_back(self, amount: int, receipt: int) -> None:  # noqa: ARG002 - all reservations are one sum
        """Ends a reservation."""
        self.reserved -= amount

    def add(self, amount: int, now: Moment) -> None:
        """Counts what was spent."""
        self._spending.add(amount, now.at)

    def restore(self, nanousd: int, now: Moment) -> None:
        """So much was spent in this period, as the books say."""
        self._spending.restore(nanousd, now.at)

    def resets_in_s(self, now: Moment) -> float:
        """Seconds until the next period."""
        return self._spending.ends_at(now.at) - now.at

    def news(self, now: Moment, *, hard: bool) -> bool:
        """Whether it wasn't so before in this period."""
        known_until, self._told_until[hard] = self._told_until[hard], now.at + self.resets_in_s(now)
        return now.at >= known_until

"""What was spent within the running day or month (UTC)."""

from __future__ import annotations

import time
from calendar import timegm
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.ports import Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.ports import Books, Sums

__all__ = ["DAY", "MONTH", "Calendar", "Period", "Spending", "spent_by"]

_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400
_MONTHS: Final = 12


class Calendar(NamedTuple):
    """Periods of one kind, numbered in order.

    Attributes:
        word: What one is called.
        number_of: The period of a time (Unix seconds).
        start_of: When a period begins (Unix seconds).
    """

    word: str
    number_of: Callable[[float], int]
    start_of: Callable[[int], int]


def _month_of(now: float) -> int:
    date = time.gmtime(now)
    return date.tm_year * _MONTHS + date.tm_mon - 1


def _start_of_month(number: int) -> int:
    year, month = divmod(number, _MONTHS)
    return timegm((year, month + 1, 1, 0, 0, 0))


DAY: Final = Calendar("day", lambda now: int(now // _DAY_S), lambda number: number * _DAY_S)
MONTH: Final = Calendar("month", _month_of, _start_of_month)


class Period(NamedTuple):
    """What the books have of a day or month.

    Attributes:
        calendar: Which of the two.
        at: A time within it (Unix seconds).
        sums: By account, feature and outcome.
    """

    calendar: Calendar
    at: float
    sums: dict[tuple[str | int, ...], Sums]


def spent_by(books: Books, at: float) -> list[Period]:
    """What the books have of the day and the month of a time (Unix seconds).

    And of those that follow, in which something is written where the clock has been set back since.
    """
    found: list[Period] = []
    for calendar in (DAY, MONTH):
        starts = [calendar.start_of(calendar.number_of(at) + step) for step in range(3)]
        for start, end in pairwise(starts):
            span = Span(start // _HOUR_S, end // _HOUR_S)
            sums = books.sums(span, ("tenant", "feature", "outcome"))
            found.append(Period(calendar, max(at, start), sums))
    return found


class Spending:
    """Nano-dollars spent in the running period.

    A clock that is set back opens no budget a second time: as long as it says an earlier period, what was spent in
    both counts, and the later one begins only once, also where the clock returns to it at one bound. One that was far
    ahead for a moment locks nobody out: with the period after the one that it is set back to, all begins anew.
    """

    __slots__ = ("_before_nanousd", "_began", "_calendar", "_ends", "_left", "_number", "_spent_nanousd")

    def __init__(self, calendar: Calendar, now: float) -> None:
        self._calendar = calendar
        self._spent_nanousd = self._before_nanousd = 0
        self._number = self._left = self._began = self._ends = 0
        self._turn_to(calendar.number_of(now))

    def spent_nanousd(self, now: float) -> int:
        """What counts at a time (Unix seconds)."""
        if self._began <= now < self._ends:
            return self._spent_nanousd
        number = self._calendar.number_of(now)
        if number < self._number:
            self._left = max(self._left, self._number)
            self._number = min(self._number, number + 1)
            self._began = self._ends  # as long as the clock is behind, every look is a closer one
            return self._before_nanousd + self._spent_nanousd
        if number > self._number and number != self._left:
            self._before_nanousd, self._spent_nanousd = self._spent_nanousd, 0
        self._turn_to(number)
        return self._spent_nanousd

    def add(self, nanousd: int, now: float) -> None:
        """More was spent."""
        self.spent_nanousd(now)
        self._spent_nanousd += nanousd

    def restore(self, nanousd: int, now: float) -> None:
        """So much was spent in the period that the clock says."""
        self._turn_to(self._calendar.number_of(now))
        self._spent_nanousd, self._before_nanousd = nanousd, 0

    def ends_at(self, now: float) -> int:
        """When the next period begins, Unix seconds."""
        return self._calendar.start_of(self._calendar.number_of(now) + 1)

    def _turn_to(self, number: int) -> None:
        self._number = number
        self._left = 0  # the latest period that a clock was set back from
        self._began, self._ends = (self._calendar.start_of(one) for one in (number, number + 1))

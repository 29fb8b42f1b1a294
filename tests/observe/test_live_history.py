"""The books of a month as the dashboard reads them: right whatever is late, and no dearer the more there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from askonce.model import Exact, Usage
from askonce.observe.live_history import DAYS, HOURS, History, Period
from askonce.ports import Charge, Record, Share
from askonce.stores.ledger import SqliteLedger
from fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.ports import Books

_T = TypeVar("_T")
_HOUR_S = 3_600
_NOW = 480_000 * _HOUR_S + 17 * _HOUR_S + 60.0


class Counted:
    """A ledger whose reads are counted, and that can be made to fail."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self._ledger = ledger
        self.reads = 0
        self.broken = False

    async def read(self, work: Callable[[Books], _T]) -> _T:
        self.reads += 1
        if self.broken:
            raise OSError("the disk is gone")
        return await self._ledger.read(work)


def hit(feature: str = "support") -> Record:
    outcome = Exact(b"e", 1, 2)
    return Record(
        "r", "chat/completions", "acme", feature, "m", outcome, 200, "", 0.01, 0.01, None, Usage(1, 1), 0, 5
    )


def charge(at: float, nanousd: int) -> Charge:
    shares = (Share("acme", "support", "fresh", nanousd),)
    return Charge(f"call {at} {nanousd}", at, "openai", "m", Usage(1, 1), Usage(), nanousd, 0, 0, shares)


def requests(period: Period) -> int:
    return sum(sums.requests for sums in period.sums.values())


def spent(period: Period) -> int:
    return sum(sums.spent_nanousd for sums in period.sums.values())


async def test_today_the_day_and_the_month_add_up() -> None:
    """Each hour of the last day and each day of the last month is there once, today's hours being today."""
    clock = FakeClock(_NOW)
    ledger = SqliteLedger(None, clock)
    for days_ago in range(40):
        for hour in (0, 5):
            clock.time = _NOW - days_ago * 86_400 - hour * _HOUR_S
            ledger.request(hit())
    clock.time = _NOW
    history = History(ledger, clock)
    await history.refresh()
    assert (len(history.hours), len(history.days)) == (HOURS, DAYS)
    assert [number for number, _ in history.days] == list(range(20_000 - DAYS + 1, 20_001))
    assert requests(history.today()) == 2
    assert requests(Period.of(period for _, period in history.hours)) == 2
    month = Period.of(period for _, period in history.days)
    assert requests(month) == 2 * DAYS
    assert sum(month.latencies["exact"].counts) == 2 * DAYS
    assert month.outcomes() == {"exact": 2 * DAYS}
    await ledger.close()


async def test_what_is_over_is_read_once_and_what_is_late_is_found() -> None:
    """A look reads a handful of spans; a charge that comes days late is seen after a round of looks all the same."""
    clock = FakeClock(_NOW)
    ledger = SqliteLedger(None, clock)
    counted = Counted(ledger)
    history = History(counted, clock)
    await history.refresh()
    counted.reads = 0
    await history.refresh()
    assert counted.reads <= 4
    ledger.charged(charge(_NOW - 9 * 86_400, 11))
    ledger.charged(charge(_NOW - 9 * _HOUR_S, 13))
    ledger.charged(charge(_NOW, 17))
    await history.refresh()
    assert spent(history.today()) in {17, 30}
    for _ in range(6 * DAYS):
        await history.refresh()
    assert spent(history.today()) == 30
    assert spent(Period.of(period for _, period in history.days)) == 41
    await ledger.close()


async def test_what_shadow_mode_would_have_answered_is_in_the_books() -> None:
    """Matches that weren't served are summed by feature, apart from requests."""
    clock = FakeClock(_NOW)
    ledger = SqliteLedger(None, clock)
    for mode, reason in (
        ("shadow", "match"),
        ("shadow", "match"),
        ("shadow", "below-floor"),
        ("on", "match"),
    ):
        ledger.semantic("support", mode, reason)
    history = History(ledger, clock)
    await history.refresh()
    assert history.today().shadowed == {"support": 2}
    assert history.today().sums == {}
    await ledger.close()


async def test_a_new_hour_and_day_move_the_window() -> None:
    """After midnight, yesterday is a day of the month, today begins anew, and the oldest day is gone."""
    clock = FakeClock(_NOW)
    ledger = SqliteLedger(None, clock)
    ledger.request(hit())
    clock.time = _NOW - 29 * 86_400
    ledger.request(hit())
    clock.time = _NOW
    history = History(ledger, clock)
    await history.refresh()
    assert requests(Period.of(period for _, period in history.days)) == 2
    clock.time = _NOW + 7 * _HOUR_S
    await history.refresh()
    assert requests(history.today()) == 0
    assert requests(Period.of(period for _, period in history.days)) == 1
    assert requests(Period.of(period for _, period in history.hours)) == 1
    clock.time = _NOW - 3 * 86_400
    await history.refresh()
    assert len(history.hours) == HOURS
    await ledger.close()


async def test_books_that_cannot_be_read_leave_what_was_read() -> None:
    """An error is told, the figures stay, and both are made good once the books can be read again."""
    clock = FakeClock(_NOW)
    ledger = SqliteLedger(None, clock)
    counted = Counted(ledger)
    ledger.request(hit())
    history = History(counted, clock)
    await history.refresh()
    counted.broken = True
    await history.refresh()
    assert history.problem == "the disk is gone"
    assert requests(history.today()) == 1
    counted.broken = False
    await history.refresh()
    assert history.problem == ""
    await ledger.close()


async def test_nothing_read_yet_shows_nothing() -> None:
    """Before the first look there are no figures, no error either, and it is said that nothing has been read."""
    counted = Counted(SqliteLedger(None, FakeClock(_NOW)))
    history = History(counted, FakeClock(_NOW))
    assert requests(history.today()) == 0
    assert history.hours == []
    counted.broken = True
    await history.refresh()
    assert not history.read
    counted.broken = False
    await history.refresh()
    assert history.read

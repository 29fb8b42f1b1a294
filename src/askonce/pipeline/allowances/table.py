"""Limits per tenant and feature: a request is held to them before it may join or lead; what it took is settled after.

An answer from the store is free, unless hits are counted. All that is decided here is decided without an `await`, so
that no two requests are let through on the same last dollar.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from askonce.pipeline.allowances.accounts import Accounts
from askonce.pipeline.allowances.allotment import Allotment, Refused, limit_exceeded, soft_text
from askonce.pipeline.allowances.allowance import Hold, Need
from askonce.pipeline.allowances.meters import Moment
from askonce.pipeline.allowances.settlement import parts_of, spent_of
from askonce.pipeline.allowances.spending import spent_by
from askonce.pipeline.allowances.standing import Crossings, Peaks, Standing, standings_of
from askonce.pipeline.stored import cache_key
from askonce.sending.estimate import estimated_usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from askonce.model import Request
    from askonce.pipeline.allowances.allowance import Allowance
    from askonce.pipeline.allowances.rulebook import Rulebook
    from askonce.pipeline.allowances.spending import Period
    from askonce.pipeline.prices import Prices
    from askonce.ports import Charge, Clock, Ledger

__all__ = ["Allowances"]

_LOOKING: Final = 16
"""Requests above one account's limit that may be looking in the store at a time; further ones are refused at once."""


class Allowances:
    """All accounts and their limits.

    Attributes:
        active: Whether there is any limit.
        count_hits: Whether hits count anywhere.
        crossings: How often limits were crossed.
    """

    def __init__(self, rules: Rulebook, prices: Prices, clock: Clock) -> None:
        self.crossings = Crossings()
        self._prices = prices
        self._clock = clock
        self._accounts = Accounts(rules, self._moment)
        self._peaks = Peaks()
        self._meanwhile: list[Charge] | None = None
        self._loading = asyncio.Lock()
        self.replace(rules)

    @property
    def rules(self) -> Rulebook:
        """Who is held to what."""
        return self._accounts.rules

    def replace(self, rules: Rulebook) -> None:
        """Other limits from now on; what was counted goes on counting. New ones of dollars want to be `load`ed."""
        every = rules.all_rules
        self.active = bool(every)
        self.count_hits = any(one.count_hits for one in every)
        self._accounts.replace(rules)

    async def load(self, ledger: Ledger) -> None:
        """Budgets that are new take up what was spent today and this month, as the books say.

        Raises:
            OSError: these can't be read.
        """
        if not any(name.startswith("usd") for rules in self.rules.all_rules for name in rules.bounds):
            return
        async with self._loading:
            at = self._clock.now()
            meanwhile = self._meanwhile = []
            try:
                periods = await ledger.read(lambda books: spent_by(books, at))
            finally:
                self._meanwhile = None
            self._begin_with(periods, meanwhile, at)

    def admit(self, request: Request, *, submitted: bool = False) -> Allotment | None:
        """Counts a request that may cost something, and reserves what it may take; None where nothing limits it.

        Above a limit, the allotment has a `refusal`: the request may still be answered from the store.
        With `submitted`, it was counted as part of a job: only what it costs is held to limits now.

        Raises:
            LimitExceeded: above a limit, and the store can't help.
        """
        if not self.active:
            return None
        if request.policy.only_if_cached:
            return None if submitted else self.hit(request)
        allowances = self._accounts.of_request(request)
        if not allowances:
            return None
        now = self._moment()
        need = self._need(request, allowances, submitted=submitted)
        refused = _refused(allowances, need, now)
        if refused is not None:
            counting = () if submitted else [one for one in allowances if one.rules.count_hits]
            return self._only_stored(request, allowances, refused, counting)
        counted = () if submitted else _counted(allowances, now)
        reserved = [hold for allowance in allowances for hold in allowance.reserve(need, now)]
        if submitted:
            return Allotment(allowances, self._moment, reserved=reserved)
        return self._allotted(allowances, now, counted, reserved)

    def submit(self, request: Request) -> Allotment | None:
        """Counts a job that is handed in. Its cost is held to limits, but not reserved: it may be asked hours later.

        Raises:
            LimitExceeded: above a limit.
        """
        allowances = self._accounts.of_request(request) if self.active else ()
        if not allowances:
            return None
        now = self._moment()
        refused = _refused(allowances, Need(1, 0, 0), now)
        if refused is None:
            refused = _refused(allowances, self._need(request, allowances, submitted=True), now)
            if refused is not None and not refused.lasts(now):  # it can wait for calls under way
                refused = None
        if refused is not None:
            self.crossings.count(refused.allowance.whose, refused.meter, now, hard=True)
            raise limit_exceeded(refused, allowances, now)
        return Allotment(allowances, self._moment, counted=_counted(allowances, now))

    def hit(self, request: Request) -> Allotment | None:
        """Counts a request that the store answers, where hits count.

        Raises:
            LimitExceeded: requests are used up.
        """
        if not self.count_hits:
            return None
        allowances = self._accounts.of_request(request)
        counting = [one for one in allowances if one.requests and one.rules.count_hits]
        if not counting:
            return None
        now = self._moment()
        refused = _refused(counting, Need(1, 0, 0), now)
        if refused is not None:
            self.crossings.count(refused.allowance.whose, refused.meter, now, hard=True)
            raise limit_exceeded(refused, allowances, now)
        return self._allotted(allowances, now, _counted(counting, now))

    def charged(self, charge: Charge) -> None:
        """An upstream call is paid for: settled against the limits of whoever pays."""
        if not self.active:
            return
        if self._meanwhile is not None:
            self._meanwhile.append(charge)
        now = self._moment()
        for share, tokens, nanousd in parts_of(charge):
            for allowance in self._accounts.of(share.tenant, share.feature):
                allowance.use(tokens, nanousd, now)

    def standings(self) -> Iterator[Standing]:
        """Every limit of those who are named in the configuration, and of everybody else who has used any lately."""
        self._accounts.named()
        for allowance in self._accounts:
            yield from standings_of(allowance, self._moment())

    def named(self) -> Iterator[Standing]:
        """Every limit of those who are named in the configuration."""
        now = self._moment()
        for allowance in self._accounts.named():
            yield from standings_of(allowance, now)

    def peaks(self) -> Iterator[tuple[tuple[str, str, str], float]]:
        """The most that anybody else has used of each limit lately, by tenant's label, feature and limit."""
        return self._peaks.of(self._moment())

    def ratios(self) -> Iterator[tuple[tuple[str, str, str], float]]:
        """How much of limits is used, by tenant, feature and limit; of all credentials the most that one has used."""
        for one in self.named():
            yield (one.tenant, one.feature, one.limit), one.ratio
        yield from self.peaks()

    def _moment(self) -> Moment:
        return Moment(asyncio.get_running_loop().time(), self._clock.now())

    def _need(self, request: Request, allowances: Sequence[Allowance], *, submitted: bool) -> Need:
        """What a request may take, an estimate; a job's tokens are sent whenever there is room."""
        if not any(one.tokens or one.budgets for one in allowances):
            return Need(0 if submitted else 1, 0, 0)
        usage = estimated_usage(request.ask)
        cost = self._prices.cost_nanousd(request.ask.route.model, usage)
        if submitted:
            return Need(0, 0, cost)
        return Need(1, usage.prompt_tokens + usage.completion_tokens, cost)

    def _only_stored(
        self,
        request: Request,
        allowances: Sequence[Allowance],
        refused: Refused,
        counting: Sequence[Allowance],
    ) -> Allotment:
        """An allotment with which only the store may be asked; `counting` are those that count its answer.

        Raises:
            LimitExceeded: that can't help.
        """
        allowance, meter, now = refused.allowance, refused.meter, self._moment()
        self.crossings.count(allowance.whose, meter, now, hard=True)
        hits_too = _refused(counting, Need(1, 0, 0), now) is not None
        if hits_too or allowance.looking >= _LOOKING or cache_key(request) is None:
            raise limit_exceeded(refused, allowances, now)
        return Allotment(allowances, self._moment, counted=_counted(counting, now), refused=refused)

    def _allotted(
        self,
        allowances: Sequence[Allowance],
        now: Moment,
        counted: Sequence[tuple[Allowance, Hold]] = (),
        reserved: Sequence[Hold] = (),
    ) -> Allotment:
        allotment = Allotment(allowances, self._moment, counted=counted, reserved=reserved)
        allotment.warning = self._warning(allowances, now)
        for allowance in allowances:
            if not self.rules.names(allowance.whose):
                self._peaks.note(allowance, now)
        return allotment

    def _warning(self, allowances: Sequence[Allowance], now: Moment) -> str:
        """What a caller is told of soft limits that are crossed: the numbers of those that are its own."""
        said: list[str] = []
        for allowance in allowances:
            for meter in allowance.soft:
                soft, used = meter.bound.soft, meter.used(now)
                if soft is not None and used > soft:
                    self.crossings.count(allowance.whose, meter, now, hard=False)
                    said.append(soft_text(allowance.whose, meter, used))
        return "; ".join(said)

    def _begin_with(self, periods: Sequence[Period], meanwhile: Sequence[Charge], at: float) -> None:
        """Has new budgets count what the books had at a time (Unix seconds), and what was charged since."""
        now = self._moment()
        for allowance in self._accounts:
            for meter in allowance.new_budgets:
                meter.restore(0, now._replace(at=at))
        for period in periods:
            then = now._replace(at=period.at)
            for (tenant, feature, outcome), sums in period.sums.items():
                for allowance in self._accounts.of(str(tenant), str(feature)):
                    spent = spent_of(sums, str(outcome), allowance.rules.unknown_price_nanousd)
                    allowance.recall(spent, then, period.calendar)
        for share, _, nanousd in (part for charge in meanwhile for part in parts_of(charge)):
            for allowance in self._accounts.of(share.tenant, share.feature):
                allowance.recall(nanousd, now)
        for allowance in self._accounts:
            allowance.complete()
        self._accounts.complete = True


def _counted(allowances: Iterable[Allowance], now: Moment) -> list[tuple[Allowance, Hold]]:
    """Counts one more request, wherever requests are limited."""
    return [
        (allowance, Hold(meter, 1, meter.reserve(1, now)))
        for allowance in allowances
        if (meter := allowance.requests) is not None
    ]


def _refused(allowances: Iterable[Allowance], need: Need, now: Moment) -> Refused | None:
    """The limit that a need doesn't fit below for longest; None where it fits below all."""
    worst: Refused | None = None
    for allowance in allowances:
        lack = allowance.lacks(need, now)
        if lack is not None and (worst is None or lack[1] > worst.wait_s):
            nanousd = allowance.rules.unknown_price_nanousd if need.nanousd is None else need.nanousd
            worst = Refused(allowance, *lack, nanousd)
    return worst

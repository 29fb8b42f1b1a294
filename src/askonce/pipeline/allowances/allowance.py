"""What a tenant, a feature, or a tenant in a feature may use, and what it has used of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from askonce.pipeline.allowances.meters import DAILY, MONTHLY, REQUESTS, TOKENS, RateMeter, SpendMeter

if TYPE_CHECKING:
    from askonce.pipeline.allowances.meters import Bound, Meter, Moment
    from askonce.pipeline.allowances.spending import Calendar

__all__ = ["Allowance", "Hold", "Need", "Rules", "Whose"]


class Whose(NamedTuple):
    """Who is held to limits: a tenant (`Caller.account`), a feature, or a tenant in a feature; "" stands for all."""

    tenant: str
    feature: str


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits that hold for somebody.

    Attributes:
        bounds: Limits by the names that `meters` gives them.
        count_hits: Whether answers from the store count as requests.
        unknown_price_nanousd: What a call counts for whose price isn't known.
    """

    bounds: dict[str, Bound]
    count_hits: bool = False
    unknown_price_nanousd: int = 10_000_000


class Need(NamedTuple):
    """What a request may take; `nanousd` is None where its price isn't known."""

    requests: int
    tokens: int
    nanousd: int | None


class Hold(NamedTuple):
    """An amount that was counted and may be given back."""

    meter: Meter
    amount: int
    receipt: int

    def give_back(self) -> None:
        """It wasn't needed, or what it came to is counted instead."""
        self.meter.give_back(self.amount, self.receipt)


class Allowance:
    """One account's limits.

    Attributes:
        whose: Who is held to them.
        rules: The limits.
        requests: Counts requests; None where these aren't limited.
        tokens: Counts tokens; None where these aren't limited.
        budgets: Count dollars, of the day and of the month.
        meters: All of these, in the configuration's order.
        soft: Those of them that have a soft limit.
        looking: Requests above a limit that are being looked for in the store.
    """

    __slots__ = ("budgets", "looking", "meters", "requests", "rules", "soft", "tokens", "whose")

    def __init__(self, whose: Whose, rules: Rules, now: Moment) -> None:
        self.whose = whose
        self.looking = 0
        self.requests: RateMeter | None = None
        self.tokens: RateMeter | None = None
        self.budgets: tuple[SpendMeter, ...] = ()
        self.change(rules, now)

    def change(self, rules: Rules, now: Moment) -> None:
        """Other limits from now on; what was counted goes on counting."""
        self.rules = rules
        self.requests = _rate(REQUESTS, rules, self.requests)
        self.tokens = _rate(TOKENS, rules, self.tokens)
        known = {one.name: one for one in self.budgets}
        self.budgets = tuple(
            known.get(name) or SpendMeter(name, rules.bounds[name], now)
            for name in (DAILY, MONTHLY)
            if name in rules.bounds
        )
        for budget in self.budgets:
            budget.bound = rules.bounds[budget.name]
        rates: tuple[Meter, ...] = tuple(one for one in (self.requests, self.tokens) if one is not None)
        self.meters = (*rates, *self.budgets)
        self.soft = tuple(one for one in self.meters if one.bound.soft is not None)

    def lacks(self, need: Need, now: Moment) -> tuple[Meter, float] | None:
        """The limit that a need doesn't fit below for longest, and the seconds until it may; None where all do."""
        worst: tuple[Meter, float] | None = None
        for meter, amount in self._amounts(need):
            wait_s = meter.wait_s(amount, now) if amount else 0.0
            if wait_s and (worst is None or wait_s > worst[1]):
                worst = meter, wait_s
        return worst

    def reserve(self, need: Need, now: Moment) -> list[Hold]:
        """Sets aside what a call may take."""
        amounts = self._amounts(need._replace(requests=0))
        return [Hold(meter, amount, meter.reserve(amount, now)) for meter, amount in amounts if amount]

    def use(self, tokens: int, nanousd: int | None, now: Moment) -> None:
        """A call took so much."""
        for meter, amount in self._amounts(Need(0, tokens, nanousd)):
            if amount:
                meter.add(amount, now)

    @property
    def new_budgets(self) -> list[SpendMeter]:
        """Those that don't know yet what was spent before them."""
        return [one for one in self.budgets if not one.known]

    def complete(self) -> None:
        """Its budgets know all that was spent before them."""
        for meter in self.budgets:
            meter.known = True

    def recall(self, nanousd: int | None, now: Moment, calendar: Calendar | None = None) -> None:
        """So much was spent earlier: counted by new budgets, all of them or those of one calendar."""
        amount = self.rules.unknown_price_nanousd if nanousd is None else nanousd
        for meter in self.new_budgets:
            if amount and calendar in {None, meter.calendar}:
                meter.add(amount, now)

    def idle(self, now: Moment) -> bool:
        """Whether nothing is counted, so that it may as well be forgotten."""
        return not self.looking and not any(meter.used(now) for meter in self.meters)

    def _amounts(self, need: Need) -> list[tuple[Meter, int]]:
        amounts: list[tuple[Meter, int]] = []
        if self.requests is not None:
            amounts.append((self.requests, need.requests))
        if self.tokens is not None:
            amounts.append((self.tokens, need.tokens))
        if self.budgets:
            nanousd = self.rules.unknown_price_nanousd if need.nanousd is None else need.nanousd
            amounts += [(meter, nanousd) for meter in self.budgets]
        return amounts


def _rate(name: str, rules: Rules, known: RateMeter | None) -> RateMeter | None:
    bound = rules.bounds.get(name)
    if bound is None:
        return None
    meter = known or RateMeter(name, bound)
    meter.bound = bound
    return meter

"""What one request was allotted of its limits: counted, reserved, given back; and what its caller is told of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.errors import LimitExceeded
from askonce.model import Exact, Semantic
from askonce.pipeline.allowances.meters import DAILY, MONTHLY, REQUESTS, TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.model import Outcome
    from askonce.pipeline.allowances.allowance import Allowance, Hold, Whose
    from askonce.pipeline.allowances.meters import Meter, Moment, RateMeter

__all__ = ["Allotment", "Refused", "limit_exceeded", "soft_text"]

_RATES: Final = ("requests", "tokens")
_RATE_NAMES: Final = frozenset({REQUESTS, TOKENS})
_USD: Final = 1e-9
_LONGEST_WARNING: Final = 300
_WORDS: Final = {REQUESTS: "requests per minute", TOKENS: "tokens per minute", DAILY: "day", MONTHLY: "month"}


class Refused(NamedTuple):
    """A limit that a request doesn't fit below.

    Attributes:
        allowance: Whose limit it is.
        meter: The limit.
        wait_s: Seconds until another try makes sense.
        nanousd: What the request may cost.
    """

    allowance: Allowance
    meter: Meter
    wait_s: float
    nanousd: int

    def lasts(self, now: Moment) -> bool:
        """Whether a budget is used up until its period ends, rather than reserved for calls under way."""
        return self.meter.name in {DAILY, MONTHLY} and self.wait_s >= self.meter.resets_in_s(now)


class Allotment:
    """One request's share of its limits.

    Attributes:
        allowances: The limits that it is held to.
        refusal: Why no upstream may be asked for it; None where one may. Until then it may be found in the store.
        warning: Soft limits that are crossed, in one sentence; "" for none.
    """

    __slots__ = ("_counted", "_looking", "_moment", "_reserved", "_told", "allowances", "refusal", "warning")

    def __init__(
        self,
        allowances: Sequence[Allowance],
        moment: Callable[[], Moment],
        *,
        counted: Sequence[tuple[Allowance, Hold]] = (),
        reserved: Sequence[Hold] = (),
        refused: Refused | None = None,
    ) -> None:
        self.allowances = allowances
        self.warning = ""
        self.refusal = None if refused is None else limit_exceeded(refused, allowances, moment())
        self._moment = moment
        self._counted = counted
        self._reserved = reserved
        self._told = refused is None
        self._looking = None if refused is None else refused.allowance
        if self._looking is not None:
            self._looking.looking += 1

    def joined(self, *, pays: bool) -> None:
        """It shares another's call: nothing is held back for it but money, where it `pays` its part of that call."""
        for hold in self._reserved:
            if not pays or hold.meter.name in _RATE_NAMES:
                hold.give_back()
        self._reserved = [hold for hold in self._reserved if pays and hold.meter.name not in _RATE_NAMES]

    def release(self) -> None:
        """No call is made for it any more: what one may have taken isn't held back any longer. Safe to call again."""
        reserved, self._reserved = self._reserved, ()
        for hold in reserved:
            hold.give_back()
        if self._looking is not None:
            self._looking.looking -= 1
            self._looking = None

    def served(self, outcome: Outcome | None) -> None:
        """Its answer is about to be sent: what came out of the store doesn't count, unless hits do."""
        if isinstance(outcome, Exact) or (isinstance(outcome, Semantic) and not outcome.joined):
            for allowance, hold in self._counted:
                if not allowance.rules.count_hits:
                    hold.give_back()
            self._counted = [one for one in self._counted if one[0].rules.count_hits]
            self._told = bool(self._counted)

    def withdraw(self) -> None:
        """It wasn't a request after all."""
        counted, self._counted = self._counted, ()
        for _, hold in counted:
            hold.give_back()
        self.release()

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What is left of its limits, where it counts against any, and the warning."""
        headers = rate_headers(self.allowances, self._moment()) if self._told else []
        if self.warning:
            headers.append(("x-askonce-warning", self.warning[:_LONGEST_WARNING]))
        return headers


def rate_headers(allowances: Sequence[Allowance], now: Moment) -> list[tuple[str, str]]:
    """OpenAI's `x-ratelimit-…`: of several limits, the one that leaves least. What other tenants use isn't told."""
    headers: list[tuple[str, str]] = []
    for noun in _RATES:
        own: list[RateMeter | None] = [getattr(one, noun) for one in allowances if one.whose.tenant]
        limits = [(meter.bound.hard, meter) for meter in own if meter is not None and meter.bound.hard]
        if limits:
            hard, meter = min(limits, key=lambda pair: pair[0] - pair[1].used(now))
            headers += [
                (f"x-ratelimit-limit-{noun}", str(hard)),
                (f"x-ratelimit-remaining-{noun}", str(max(0, hard - meter.used(now)))),
                (f"x-ratelimit-reset-{noun}", _duration(meter.resets_in_s(now))),
            ]
    return headers


def limit_exceeded(refused: Refused, allowances: Sequence[Allowance], now: Moment) -> LimitExceeded:
    """What a caller is told whose request isn't let through."""
    budget, later = refused.meter.name in {DAILY, MONTHLY}, refused.lasts(now)
    sentence = _budget_sentence(refused, now, later=later) if budget else _rate_sentence(refused)
    headers = rate_headers(allowances, now)
    if later:
        headers.append(("x-should-retry", "false"))
    code = "budget_exceeded" if budget else "tenant_rate_limit_exceeded"
    return LimitExceeded(code, sentence, budget=budget, retry_after_s=refused.wait_s, headers=headers)


def soft_text(whose: Whose, meter: Meter, used: int) -> str:
    """What a caller is told of a soft limit that is crossed; what all tenants use together isn't told."""
    name = f"{meter.name}{_scope_text(whose)}"
    soft = meter.bound.soft or 0
    if not whose.tenant:
        return f"{name} is above its soft limit"
    if meter.name in _RATE_NAMES:
        return f"{name}: {used} used, soft limit {soft}"
    return f"{name}: {used * _USD:.6f} used or reserved, soft limit {soft * _USD:g}"


def _scope_text(whose: Whose) -> str:
    if not whose.feature:
        return ""
    return f" of feature {whose.feature}" + ("" if whose.tenant else " (all tenants)")


def _rate_sentence(refused: Refused) -> str:
    whose, seconds = refused.allowance.whose, math.ceil(refused.wait_s)
    what = f"{_WORDS[refused.meter.name]}{_scope_text(whose)}"
    if whose.tenant:
        what = f"{refused.meter.bound.hard} {what}"
    return f"The limit of {what} is used up; ask again in {seconds} s. Stored answers are still served."


def _budget_sentence(refused: Refused, now: Moment, *, later: bool) -> str:
    meter, whose = refused.meter, refused.allowance.whose
    period = f"this {_WORDS[meter.name]} (UTC)"
    hard = meter.bound.hard or 0
    left = hard - meter.used(now)
    budget = f"The budget{_scope_text(whose)} for {period}"
    if whose.tenant:
        budget = f"The budget{_scope_text(whose)} of ${hard * _USD:g} for {period}"
    if not later:
        return f"{budget} is reserved for calls under way; ask again in a moment."
    if left <= 0 or not whose.tenant:
        return f"{budget} is used up. Stored answers are still served."
    may = f"this request may cost ${refused.nanousd * _USD:.6f}, and ${left * _USD:.6f} is left"
    return f"{budget} doesn't allow for it: {may}. Ask for fewer tokens (max_tokens)."


def _duration(seconds: float) -> str:
    """As OpenAI writes them: `6m0s`, `12s`, `480ms`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1_000)}ms"
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"

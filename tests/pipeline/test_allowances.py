"""What counts against a limit, for how long, and what a caller is told of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.config import loads
from askonce.errors import LimitExceeded
from askonce.model import Caller, Exact, Fresh, Joined, Semantic, Usage
from askonce.pipeline.allowances import (
    DAILY,
    MONTHLY,
    REQUESTS,
    TOKENS,
    Allowances,
    Bound,
    Rulebook,
    Rules,
)
from askonce.pipeline.allowances.spending import DAY, MONTH, Spending
from askonce.pipeline.allowances.window import Window
from askonce.pipeline.prices import Price, Prices
from askonce.ports import Charge, Share, Sums
from askonce.wiring.allowances import take_up_spending
from fakes import CALLER, request
from virtual_time import virtual_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.model import Request
    from askonce.ports import Span

PRICES = Prices({"gpt": Price.per_million(1.0, 1.0)})
"""A micro-dollar per token, in and out."""
MICRO = 1_000
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
DAY_S = 86_400


class WallClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> float:
        return self.at


class Ledger:
    """Books with what they are given."""

    def __init__(self, sums: dict[str, dict[tuple[str, str, str], Sums]]) -> None:
        self.sums_by = sums
        self.meanwhile: Callable[[], None] = lambda: None

    async def read(self, work: Any) -> Any:
        found = work(self)
        self.meanwhile()
        return found

    def sums(self, span: Span, by: tuple[str, ...]) -> dict[tuple[str, str, str], Sums]:
        assert by == ("tenant", "feature", "outcome")
        days = span.until_hour - span.since_hour == 24
        later = span.since_hour * 3_600 > NOON
        name = ("tomorrow" if later else "day") if days else ("next month" if later else "month")
        return self.sums_by.get(name, {})


def limits(hard: int | None = None, soft: int | None = None, *, name: str = REQUESTS, **more: Any) -> Rules:
    return Rules({name: Bound(soft, hard)}, **more)


def of_acme(rules: Rules, clock: WallClock | None = None) -> Allowances:
    return Allowances(Rulebook(tenants={"acme": rules}), PRICES, clock or WallClock())


def charge(
    nanousd: int | None,
    tokens: int = 0,
    *,
    outcome: str = "fresh",
    settled: bool = True,
    tenant: str = "acme",
) -> Charge:
    usage = Usage(tokens)
    return Charge(
        call="c",
        at=NOON,
        upstream="u",
        model="gpt",
        usage=usage if settled else None,
        estimate=usage,
        cost_nanousd=nanousd,
        saved_prompt_cache_nanousd=0,
        saved_batch_nanousd=0,
        shares=(Share(tenant, "default", outcome, nanousd or 0),),
    )


def credential(number: int) -> str:
    """The isolation identity of a passed-through credential."""
    return f"key:{number:012x}{number:052x}"


def used(allowances: Allowances, limit: str) -> int:
    return next(one.used for one in allowances.standings() if one.limit == limit)


def refusal(allowances: Allowances, asked: Request) -> LimitExceeded:
    """What a request is told that only the store may answer; it is released at once."""
    allotment = allowances.admit(asked)
    assert allotment is not None
    assert allotment.refusal is not None
    allotment.release()
    return allotment.refusal


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 20)), max_size=60), st.integers(1, 50))
def test_no_minute_sees_more_than_the_limit(arrivals: list[tuple[float, int]], limit: int) -> None:
    """Wherever a minute begins, what was taken in it when there was room stays at or below the limit."""
    window, now = Window(), 1_000.0
    taken: list[tuple[float, int]] = []
    for pause_s, amount in arrivals:
        now += pause_s
        if amount <= limit and not window.wait_s(amount, limit, now):
            window.take(amount, now)
            taken.append((now, amount))
    for start, _ in taken:
        assert sum(amount for at, amount in taken if start <= at < start + 60) <= limit


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 20)), max_size=40), st.integers(1, 20))
def test_a_wait_is_neither_too_short_nor_a_minute_too_long(
    arrivals: list[tuple[float, int]], amount: int
) -> None:
    """After the wait that is told, the amount fits; a second before, it didn't."""
    window, now, limit = Window(), 1_000.0, 20
    for pause_s, taken in arrivals:
        now += pause_s
        window.take(taken, now)
    wait_s = window.wait_s(amount, limit, now)
    assert 0 <= wait_s <= 61
    if wait_s > 1:
        assert window.used(now + wait_s - 1) + amount > limit
    assert window.used(now + wait_s) + amount <= limit


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(1, 9), st.booleans()), max_size=40))
def test_what_is_given_back_was_never_taken(arrivals: list[tuple[float, int, bool]]) -> None:
    """A window in which some is given back, whenever, is the same as one that never saw it."""
    window, other, now = Window(), Window(), 0.0
    back: list[tuple[int, int]] = []
    for pause_s, amount, stays in arrivals:
        now += pause_s
        second = window.take(amount, now)
        if stays:
            other.take(amount, now)
        else:
            back.append((amount, second))
        if len(back) > 2:
            window.give_back(*back.pop(0))
    for one in back:
        window.give_back(*one)
    assert window.used(now) == other.used(now)
    assert window.used(now + 30) == other.used(now + 30)


def test_days_and_months_begin_at_midnight_utc() -> None:
    """Also at the turn of a year."""
    last = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
    for calendar in (DAY, MONTH):
        spending = Spending(calendar, last)
        spending.add(5, last)
        assert spending.spent_nanousd(last) == 5
        assert spending.ends_at(last) == last + 1
        assert spending.spent_nanousd(last + 1) == 0


def test_a_clock_that_is_set_back_opens_no_second_budget() -> None:
    """Over midnight and back: both days' spending counts, and the new day begins only once."""
    spending = Spending(DAY, NOON)
    spending.add(7, NOON)
    spending.add(2, NOON + DAY_S)
    assert spending.spent_nanousd(NOON + DAY_S) == 2
    assert spending.spent_nanousd(NOON) == 9
    spending.add(1, NOON)
    assert spending.spent_nanousd(NOON + DAY_S) == 3
    assert spending.spent_nanousd(NOON + 2 * DAY_S) == 0


def test_a_clock_that_was_far_ahead_locks_nobody_out() -> None:
    """A year ahead for a moment: what was spent then counts today, and tomorrow, and no longer."""
    spending = Spending(DAY, NOON)
    spending.add(7, NOON + 365 * DAY_S)
    assert spending.spent_nanousd(NOON) == 7
    assert spending.spent_nanousd(NOON + DAY_S) == 7
    assert spending.spent_nanousd(NOON + 2 * DAY_S) == 0


def test_a_clock_that_is_days_behind_for_a_moment_opens_no_second_budget() -> None:
    """What was spent that day still counts when the clock is right again; days that are lived through begin anew."""
    for behind in (2, 20_000):
        spending = Spending(DAY, NOON)
        spending.add(7, NOON)
        assert spending.spent_nanousd(NOON - behind * DAY_S) == 7
        assert spending.spent_nanousd(NOON) == 7
        assert spending.spent_nanousd(NOON + DAY_S) == 0
    spending.add(7, NOON + DAY_S)
    spending.add(1, NOON - DAY_S)
    assert spending.spent_nanousd(NOON) == 8
    spending.add(2, NOON)
    assert spending.spent_nanousd(NOON + DAY_S) == 0


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 5)), max_size=30))
def test_no_clock_grants_more_than_a_budget_for_each_day_that_is_new(steps: list[tuple[int, int]]) -> None:
    """However the clock jumps: what fits below a limit of 10 is at most 10 for each day later than all before it."""
    spending, day, latest, fresh, spent = Spending(DAY, NOON), 0, 0, 1, 0
    for jump, amount in steps:
        day += jump
        if day > latest:
            fresh, latest = fresh + 1, day
        elif day + 1 < latest:
            latest = day + 1
        now = NOON + day * DAY_S
        if spending.spent_nanousd(now) + amount <= 10:
            spending.add(amount, now)
            spent += amount
    assert spent <= 10 * fresh


@virtual_time
async def test_without_limits_nothing_is_counted() -> None:
    """No allotment, no standing, whoever asks."""
    allowances = Allowances(Rulebook(), PRICES, WallClock())
    assert not allowances.active
    assert allowances.admit(request()) is None
    assert allowances.submit(request()) is None
    assert allowances.hit(request()) is None
    allowances.charged(charge(5, 5))
    assert list(allowances.standings()) == []


@virtual_time
async def test_the_request_above_the_limit_is_told_when_to_ask_again() -> None:
    """With OpenAI's headers, and as the kind of error that its SDK knows."""
    allowances = of_acme(limits(2))
    for left in (1, 0):
        allotment = allowances.admit(request())
        assert allotment is not None
        assert allotment.headers == [
            ("x-ratelimit-limit-requests", "2"),
            ("x-ratelimit-remaining-requests", str(left)),
            ("x-ratelimit-reset-requests", "1m1s"),
        ]
    refused = refusal(allowances, request())
    assert (refused.status, refused.code, refused.type) == (
        429,
        "tenant_rate_limit_exceeded",
        "rate_limit_error",
    )
    assert refused.retry_after_s is not None
    assert refused.retry_after_s == 60  # what takes a second more is above what SDKs wait
    assert dict(refused.headers)["x-ratelimit-remaining-requests"] == "0"
    assert "x-should-retry" not in dict(refused.headers)


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        (Fresh("miss"), 1),
        (Joined(), 1),
        (Exact(b"e", 0, 1), 0),
        (Semantic(b"e", 0.9, joined=False, age_s=0, ttl_s=1, reason="match"), 0),
        (Semantic(b"e", 0.9, joined=True, age_s=0, ttl_s=1, reason="match"), 1),
    ],
    ids=lambda one: getattr(one, "name", one),
)
def test_what_came_out_of_the_store_is_given_back(outcome: Any, counts: int) -> None:
    """A request that joined is one; one that a flight found in the store, on disk or by its meaning, isn't."""

    @virtual_time
    async def play() -> None:
        allowances = of_acme(limits(5))
        allotment = allowances.admit(request())
        assert allotment is not None
        allotment.served(outcome)
        allotment.served(outcome)
        assert used(allowances, REQUESTS) == counts
        assert bool(allotment.headers) == bool(counts)

    play()


@virtual_time
async def test_hits_count_where_the_rules_say_so() -> None:
    """As requests, and they are refused like them; never as tokens or dollars."""
    rules = Rules(
        {REQUESTS: Bound(None, 2), TOKENS: Bound(None, 1), DAILY: Bound(None, 1)},
        count_hits=True,
    )
    allowances = of_acme(rules)
    assert allowances.count_hits
    for _ in range(2):
        allotment = allowances.hit(request())
        assert allotment is not None
        allotment.served(Exact(b"e", 0, 1))
    with pytest.raises(LimitExceeded) as caught:
        allowances.hit(request())
    assert caught.value.code == "tenant_rate_limit_exceeded"
    assert (used(allowances, TOKENS), used(allowances, DAILY)) == (0, 0)


@virtual_time
async def test_hits_above_another_limit_count_too() -> None:
    """Where tokens are used up, what the store answers is still a request; what it doesn't isn't, and then none is left."""
    rules = Rules({REQUESTS: Bound(None, 2), TOKENS: Bound(None, 1)}, count_hits=True)
    allowances = of_acme(rules)
    allowances.charged(charge(0, 5))
    for served in (True, False, True):
        allotment = allowances.admit(request())
        assert allotment is not None
        assert allotment.refusal is not None
        if served:
            allotment.served(Exact(b"e", 0, 1))
            assert dict(allotment.headers)["x-ratelimit-limit-requests"] == "2"
        else:
            allotment.withdraw()
        allotment.release()
    assert used(allowances, REQUESTS) == 2
    with pytest.raises(LimitExceeded):
        allowances.admit(request())


@virtual_time
async def test_no_hit_is_found_above_a_limit_that_counts_hits() -> None:
    """Also where another limit is the one that the request has to wait for longest."""
    book = Rulebook(
        tenants={"acme": limits(MICRO, name=DAILY)},
        features={"default": limits(1, count_hits=True)},
    )
    allowances = Allowances(book, PRICES, WallClock())
    allowances.hit(request())
    allowances.charged(charge(MICRO, 1))
    with pytest.raises(LimitExceeded) as caught:
        allowances.admit(request())
    assert caught.value.code == "budget_exceeded"


@virtual_time
async def test_what_all_tenants_may_use_together_is_told_to_none() -> None:
    """They hear that the limit is used up, not how large it is."""
    allowances = Allowances(Rulebook(features={"default": limits(3_713)}), PRICES, WallClock())
    while (allotment := allowances.admit(request())) and allotment.refusal is None:
        pass
    assert allotment is not None
    assert allotment.refusal is not None
    assert "requests per minute of feature default (all tenants) is used up" in allotment.refusal.message
    assert "3713" not in allotment.refusal.message
    assert not allotment.refusal.headers


@virtual_time
async def test_where_the_store_cannot_help_the_refusal_comes_at_once() -> None:
    """A request that says no-cache, or a job, isn't looked up; nor are more at a time than a few."""
    allowances = of_acme(limits(1))
    allowances.admit(request())
    for asked in (request(read=False), request(None)):
        with pytest.raises(LimitExceeded):
            allowances.admit(asked)
    with pytest.raises(LimitExceeded):
        allowances.submit(request())
    looking = [allowances.admit(request()) for _ in range(16)]
    with pytest.raises(LimitExceeded):
        allowances.admit(request())
    for one in looking:
        assert one is not None
        one.release()
        one.release()
    assert refusal(allowances, request())


@virtual_time
async def test_tokens_are_estimated_and_then_settled() -> None:
    """What a call really took counts from its end; the estimate doesn't any more."""
    allowances = of_acme(limits(1_000, name=TOKENS))
    asked = request(body={"model": "gpt", "max_tokens": 600, "messages": []})
    allotment = allowances.admit(asked)
    assert allotment is not None
    assert 600 <= used(allowances, TOKENS) <= 650
    assert refusal(allowances, asked).code == "tenant_rate_limit_exceeded"
    allowances.charged(charge(3, 30))
    allotment.release()
    allotment.release()
    assert used(allowances, TOKENS) == 30


@virtual_time
async def test_a_request_larger_than_the_whole_limit_goes_when_nothing_else_counts() -> None:
    """Rather than never."""
    allowances = of_acme(limits(100, name=TOKENS))
    asked = request(body={"model": "gpt", "max_tokens": 60_000, "messages": []})
    allotment = allowances.admit(asked)
    assert allotment is not None
    assert allotment.refusal is None
    assert refusal(allowances, request()).retry_after_s is not None


@virtual_time
async def test_a_batchs_tokens_and_an_audits_money_count_nowhere() -> None:
    """A batch's tokens are sent in no minute, its dollars count; audits have a limit of their own."""
    allowances = of_acme(Rules({TOKENS: Bound(None, 100), DAILY: Bound(None, 100)}))
    allowances.charged(charge(7, 70, outcome="batch"))
    allowances.charged(charge(9, 90, outcome="audit"))
    assert (used(allowances, TOKENS), used(allowances, DAILY)) == (0, 7)


@virtual_time
async def test_a_budget_is_never_exceeded_by_what_may_still_come() -> None:
    """What calls under way may cost is set aside; who doesn't fit beside it is told to come back soon, not tomorrow."""
    allowances = of_acme(limits(1_000 * MICRO, name=DAILY))
    asked = request(body={"model": "gpt", "max_tokens": 600, "messages": []})
    first = allowances.admit(asked)
    assert first is not None
    refused = refusal(allowances, asked)
    assert (refused.code, refused.type) == ("budget_exceeded", "insufficient_quota")
    assert refused.retry_after_s == 1
    assert "x-should-retry" not in dict(refused.headers)
    allowances.charged(charge(100 * MICRO, 100))
    first.release()
    second = allowances.admit(asked)
    assert second is not None
    assert second.refusal is None


@virtual_time
async def test_a_used_up_budget_comes_back_at_midnight() -> None:
    """Until then SDKs are told not to try again by themselves; a model that costs nothing goes on."""
    clock = WallClock()
    allowances = of_acme(limits(1_000 * MICRO, name=DAILY), clock)
    allowances.charged(charge(1_001 * MICRO, 1_001))
    refused = refusal(allowances, request())
    assert refused.retry_after_s == DAY_S / 2
    assert ("x-should-retry", "false") in refused.headers
    clock.at = NOON + DAY_S / 2
    assert allowances.admit(request()) is not None
    assert used(allowances, DAILY) < 1_000 * MICRO


@virtual_time
async def test_a_request_that_may_cost_more_than_is_left_is_told_so() -> None:
    """With both amounts, and what to do."""
    allowances = of_acme(limits(1_000 * MICRO, name=MONTHLY))
    asked = request(body={"model": "gpt", "max_tokens": 5_000, "messages": []})
    sentence = refusal(allowances, asked).message
    assert "may cost $0.005" in sentence
    assert "$0.001000 is left" in sentence
    assert "max_tokens" in sentence


@virtual_time
async def test_a_call_without_a_price_counts_as_configured() -> None:
    """When it is reserved and when it is charged, once for each call that took tokens; a refused call took none."""
    rules = limits(100, name=DAILY, unknown_price_nanousd=40)
    allowances = of_acme(rules)
    unknown = request(model="unheard-of")
    for _ in range(2):
        allotment = allowances.admit(unknown)
        assert allotment is not None
        assert allotment.refusal is None
        allowances.charged(charge(None, 5))
        allotment.release()
    allowances.charged(charge(None, 0))
    assert used(allowances, DAILY) == 80
    assert refusal(allowances, unknown).code == "budget_exceeded"


@virtual_time
async def test_abandoned_calls_count_what_they_may_have_cost() -> None:
    """The upstream didn't get to say: the estimate stands."""
    allowances = of_acme(Rules({TOKENS: Bound(None, 100), DAILY: Bound(None, 100)}))
    allowances.charged(charge(25, 50, outcome="abandoned", settled=False))
    assert (used(allowances, TOKENS), used(allowances, DAILY)) == (50, 25)


@virtual_time
async def test_those_who_share_a_call_pay_their_parts() -> None:
    """Dollars of each; the tokens are the first one's."""
    rules = Rules({TOKENS: Bound(None, 100), DAILY: Bound(None, 100)})
    allowances = Allowances(Rulebook(tenants={"acme": rules, "zeta": rules}), PRICES, WallClock())
    shares = (Share("acme", "default", "fresh", 6), Share("zeta", "default", "joined", 4))
    allowances.charged(charge(10, 50)._replace(shares=shares))
    told = {(one.tenant, one.limit): one.used for one in allowances.standings()}
    assert told == {("acme", TOKENS): 50, ("acme", DAILY): 6, ("zeta", TOKENS): 0, ("zeta", DAILY): 4}


@virtual_time
async def test_a_soft_limit_warns_and_lets_through(capsys: pytest.CaptureFixture[str]) -> None:
    """In every answer above it; in the log once."""
    allowances = of_acme(limits(None, 2))
    warnings = []
    for _ in range(5):
        allotment = allowances.admit(request())
        assert allotment is not None
        assert allotment.refusal is None
        warnings.append(dict(allotment.headers).get("x-askonce-warning", ""))
    assert warnings[:2] == ["", ""]
    assert warnings[2:] == [f"requests_per_minute: {count} used, soft limit 2" for count in (3, 4, 5)]
    (crossing,) = allowances.crossings
    assert (crossing.tenant, crossing.limit, crossing.exceeded, crossing.warned) == ("acme", REQUESTS, 0, 3)
    assert capsys.readouterr().out.count("soft limit crossed") == 1


@virtual_time
async def test_all_limits_of_a_request_hold() -> None:
    """The tenant's, the tenant's in the feature, and the feature's over all tenants, of which no number is told."""
    book = Rulebook(
        tenants={"acme": limits(30), "zeta": limits(30)},
        tenant_features={("acme", "default"): limits(20)},
        features={"default": limits(10, 8)},
    )
    allowances = Allowances(book, PRICES, WallClock())
    zeta = request(caller=Caller("tenant:zeta", "zeta", ("default",), None, b"zeta"))
    for _ in range(8):
        allowances.admit(zeta)
    allotment = allowances.admit(request())
    assert allotment is not None
    said = dict(allotment.headers)
    assert (said["x-ratelimit-limit-requests"], said["x-ratelimit-remaining-requests"]) == ("20", "19")
    assert said["x-askonce-warning"] == (
        "requests_per_minute of feature default (all tenants) is above its soft limit"
    )
    allowances.admit(request())
    refused = refusal(allowances, request())
    assert "of feature default (all tenants)" in refused.message
    assert dict(refused.headers)["x-ratelimit-remaining-requests"] == "18"


@virtual_time
async def test_each_credential_has_limits_of_its_own() -> None:
    """Without tenants; the tenants that native submissions name under one credential share its limits."""
    allowances = Allowances(Rulebook(each_tenant=limits(2)), PRICES, WallClock())

    def caller(tenant: str) -> Request:
        return request(caller=Caller(tenant, "pass-through", ("default",), "sk", tenant.encode()))

    one, other = "key:" + "1" * 64, "key:" + "2" * 64
    for tenant in (f"{one}/a", f"{one}/b", other):
        assert allowances.admit(caller(tenant)) is not None
    assert refusal(allowances, caller(one))
    assert allowances.admit(caller(other)) is not None
    assert {labels[0] for labels, _ in allowances.ratios()} == {"pass-through"}


@virtual_time
async def test_any_number_of_credentials_takes_a_bounded_memory() -> None:
    """Those that have used nothing in the last minute, and spent nothing, are forgotten; the others are not."""
    clock = WallClock()
    rules = Rules({REQUESTS: Bound(None, 2), DAILY: Bound(None, 1_000)})
    allowances = Allowances(Rulebook(each_tenant=rules), Prices({"gpt": Price.per_million(0, 0)}), clock)
    spender = "key:" + "f" * 64
    allowances.charged(charge(5, 5, tenant=spender[:16]))
    for number in range(5_000):
        tenant = credential(number)
        asked = request(caller=Caller(tenant, "pass-through", ("default",), "sk", b"%d" % number))
        allotment = allowances.admit(asked)
        assert allotment is not None
        allotment.served(Exact(b"e", 0, 1))
        allotment.release()
    standings = list(allowances.standings())
    assert len(standings) < 2 * 1_100
    assert any(one.used == 5 for one in standings)


@virtual_time
async def test_budgets_begin_with_what_the_books_say() -> None:
    """Estimates of unsettled calls and unpriced calls included, audits not; the day's and the month's apart."""
    day = {
        ("acme", "default", "fresh"): Sums(spent_nanousd=10, unsettled_nanousd=3, unpriced=2),
        ("acme", "other", "abandoned"): Sums(spent_nanousd=1),
        ("acme", "default", "exact"): Sums(unpriced=9),
        ("acme", "default", "audit"): Sums(spent_nanousd=1_000),
        ("zeta", "default", "fresh"): Sums(spent_nanousd=77),
    }
    month = {("acme", "default", "fresh"): Sums(spent_nanousd=500)}
    rules = Rules({DAILY: Bound(None, 100), MONTHLY: Bound(None, 1_000)}, unknown_price_nanousd=20)
    allowances = of_acme(rules)
    ledger: Any = Ledger({"day": day, "month": month})
    ledger.meanwhile = lambda: allowances.charged(charge(6, 6))
    await allowances.load(ledger)
    assert (used(allowances, DAILY), used(allowances, MONTHLY)) == (10 + 3 + 40 + 1 + 6, 506)


@virtual_time
async def test_books_that_cannot_be_read_stop_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """Budgets begin with nothing then, and the log says so."""

    class Unreadable:
        async def read(self, _: Any) -> Any:
            raise OSError("disk on fire")

    allowances, ledger = of_acme(limits(100, name=DAILY)), Unreadable()
    settings = loads("upstreams: [{type: simulated}]", "askonce.yaml", {})
    await take_up_spending(settings, allowances, cast("Any", ledger))
    assert used(allowances, DAILY) == 0
    assert "disk on fire" in capsys.readouterr().out
    allowances.charged(charge(7, 7))
    assert used(allowances, DAILY) == 7


@virtual_time
async def test_of_all_credentials_the_metrics_show_the_highest() -> None:
    """For the last minute or two; a scrape doesn't look at each of them."""
    allowances = Allowances(Rulebook(each_tenant=limits(4)), PRICES, WallClock())
    for number, times in ((1, 1), (2, 3), (3, 2)):
        tenant = credential(number)
        asked = request(caller=Caller(tenant, "pass-through", ("default",), "sk", b"%d" % number))
        for _ in range(times):
            allowances.admit(asked)
    assert dict(allowances.ratios()) == {("pass-through", "", REQUESTS): 0.75}
    await asyncio.sleep(121)
    assert dict(allowances.ratios()) == {("pass-through", "", REQUESTS): 0}


@virtual_time
async def test_other_limits_keep_what_was_counted() -> None:
    """A limit that is raised live doesn't begin anew; one that goes is forgotten."""
    allowances = of_acme(limits(2))
    for _ in range(2):
        allowances.admit(request())
    allowances.replace(Rulebook(tenants={"acme": limits(3)}))
    assert used(allowances, REQUESTS) == 2
    assert allowances.admit(request()) is not None
    assert refusal(allowances, request())
    allowances.replace(Rulebook())
    assert allowances.admit(request()) is None


@virtual_time
async def test_a_job_is_counted_once_and_its_calls_are_paid_for() -> None:
    """When it is handed in it is a request; when it is asked only its cost is held to the budget."""
    allowances = of_acme(Rules({REQUESTS: Bound(None, 1), DAILY: Bound(None, 500 * MICRO)}))
    assert allowances.submit(request(caller=CALLER)) is not None
    with pytest.raises(LimitExceeded):
        allowances.submit(request())
    asked = allowances.admit(request(), submitted=True)
    assert asked is not None
    assert asked.refusal is None
    assert used(allowances, REQUESTS) == 1
    allowances.charged(charge(500 * MICRO, 5))
    asked.release()
    late = allowances.admit(request(), submitted=True)
    assert late is not None
    assert late.refusal is not None
    assert late.refusal.code == "budget_exceeded"


@virtual_time
async def test_a_job_can_wait_for_calls_under_way() -> None:
    """What they may cost doesn't keep it from being handed in; what is spent does."""
    allowances = of_acme(limits(500 * MICRO, name=DAILY))
    under_way = allowances.admit(request())
    assert under_way is not None
    assert refusal(allowances, request()).retry_after_s == 1
    assert allowances.submit(request()) is not None
    allowances.charged(charge(400 * MICRO, 400))
    with pytest.raises(LimitExceeded):
        allowances.submit(request())


@virtual_time
async def test_a_job_that_was_handed_in_before_is_withdrawn() -> None:
    """As if it had never been counted."""
    allowances = of_acme(limits(1))
    allotment = allowances.submit(request())
    assert allotment is not None
    allotment.withdraw()
    assert used(allowances, REQUESTS) == 0


@virtual_time
async def test_a_clock_that_was_set_back_before_a_restart_opens_no_second_budget() -> None:
    """What the books have of the day after counts today too, and that day begins with it."""
    clock = WallClock()
    allowances = of_acme(Rules({DAILY: Bound(None, 100), MONTHLY: Bound(None, 100)}), clock)
    key = ("acme", "default", "fresh")
    books = {"day": {key: Sums(spent_nanousd=2)}, "tomorrow": {key: Sums(spent_nanousd=5)}}
    ledger: Any = Ledger(books | {"month": {key: Sums(spent_nanousd=7)}})
    await allowances.load(ledger)
    assert (used(allowances, DAILY), used(allowances, MONTHLY)) == (7, 7)
    clock.at += DAY_S
    assert (used(allowances, DAILY), used(allowances, MONTHLY)) == (5, 7)
    clock.at += DAY_S
    assert used(allowances, DAILY) == 0


@virtual_time
async def test_books_that_are_read_over_midnight_are_yesterdays() -> None:
    """What was spent the day before doesn't count today, what is spent since does."""
    clock = WallClock()
    allowances = of_acme(limits(100, name=DAILY), clock)
    ledger: Any = Ledger({"day": {("acme", "default", "fresh"): Sums(spent_nanousd=90)}})

    def midnight() -> None:
        clock.at += DAY_S / 2
        allowances.charged(charge(3, 3))

    ledger.meanwhile = midnight
    await allowances.load(ledger)
    assert used(allowances, DAILY) == 3


@virtual_time
async def test_two_reloads_side_by_side_lose_no_charge() -> None:
    """What is spent while the books are read for the second one counts."""

    class Slow(Ledger):
        async def read(self, work: Any) -> Any:
            found = work(self)
            await asyncio.sleep(1)
            return found

    allowances, ledger = of_acme(limits(100, name=DAILY)), Slow({})
    loads = [asyncio.ensure_future(allowances.load(cast("Any", ledger)))]
    await asyncio.sleep(0.5)
    loads.append(asyncio.ensure_future(allowances.load(cast("Any", ledger))))
    await asyncio.sleep(0.7)
    ledger.sums_by["day"] = {}
    allowances.charged(charge(5, 5))
    await asyncio.gather(*loads)
    assert used(allowances, DAILY) == 5


@virtual_time
async def test_callers_without_a_credential_are_one_account() -> None:
    """Whose limits show in the metrics beside those of all credentials."""
    allowances = Allowances(Rulebook(each_tenant=limits(4)), PRICES, WallClock())
    nobody = Caller(None, "anonymous", ("default",), None, b"")
    somebody = Caller(credential(1), "pass-through", ("default",), "sk", b"1")
    for caller in (nobody, nobody, somebody):
        allowances.admit(request(caller=caller))
    assert dict(allowances.ratios()) == {
        ("anonymous", "", REQUESTS): 0.5,
        ("pass-through", "", REQUESTS): 0.25,
    }


@virtual_time
async def test_a_job_that_is_found_above_its_budget_is_no_further_request() -> None:
    """It was counted when it was handed in, also where hits count, and is looked up though requests are used up."""
    rules = Rules({REQUESTS: Bound(None, 1), DAILY: Bound(None, 500 * MICRO)}, count_hits=True)
    allowances = of_acme(rules)
    allowances.submit(request())
    allowances.charged(charge(500 * MICRO, 5))
    asked = allowances.admit(request(), submitted=True)
    assert asked is not None
    assert asked.refusal is not None
    asked.served(Exact(b"e", 0, 1))
    assert used(allowances, REQUESTS) == 1


@virtual_time
async def test_a_reload_counts_nothing_again() -> None:
    """What is spent while the books are read for a new budget counts once for those that there were, tokens too."""
    rules = {TOKENS: Bound(None, 100), DAILY: Bound(None, 100)}
    both = Rulebook(tenants={"acme": Rules(rules), "zeta": Rules(rules)})
    allowances = Allowances(both, PRICES, WallClock())
    key = ("acme", "default", "fresh")
    books = {"day": {key: Sums(spent_nanousd=10)}, "month": {key: Sums(spent_nanousd=50)}}
    ledger: Any = Ledger(books)
    await allowances.load(ledger)
    allowances.charged(charge(2, 2))
    allowances.charged(charge(1, 1, tenant="zeta"))
    raised = Rules(rules | {MONTHLY: Bound(None, 1_000)})
    allowances.replace(Rulebook(tenants={"acme": raised, "zeta": Rules(rules)}))
    books["day"], books["month"] = {key: Sums(spent_nanousd=15)}, {key: Sums(spent_nanousd=55)}
    ledger.meanwhile = lambda: allowances.charged(charge(3, 3))
    await allowances.load(ledger)
    assert used(allowances, TOKENS) == 5
    zeta = {one.limit: one.used for one in allowances.standings() if one.tenant == "zeta"}
    assert zeta == {TOKENS: 1, DAILY: 1}  # it came after the first reading, and needs no second one
    assert (used(allowances, DAILY), used(allowances, MONTHLY)) == (10 + 2 + 3, 55 + 3)

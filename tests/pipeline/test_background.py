"""Calls that nobody waits for: within the day's limit, on whose key, and what failures cost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.errors import AuditDropped, Sharing, UpstreamFailure
from askonce.pipeline.background import BackgroundCalls, Purse
from askonce.pipeline.dispatch import Dispatcher
from askonce.pipeline.prices import Price, Prices
from fakes import (
    CALLER,
    FakeClock,
    FakeObserver,
    FakeReply,
    FakeStore,
    FakeUpstream,
    billing,
    request,
    served,
)

if TYPE_CHECKING:
    from askonce.model import Answer

DAY_S = 86_400
BODY = orjson.dumps(
    {
        "id": "chatcmpl-1",
        "created": 5,
        "model": "gpt-1",
        "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1_000, "completion_tokens": 100},
    }
)
COST = 1_000 * 1_000 + 100 * 2_000


class Office:
    """Background calls with all their fakes; one call costs `COST`."""

    def __init__(self, *replies: FakeReply | UpstreamFailure, limit: int = 10**9, **said: Any) -> None:
        self.pass_through = bool(said.pop("pass_through", False))
        self.upstream = FakeUpstream(list(replies))
        self.clock = FakeClock()
        self.store = FakeStore(self.clock)
        self.observer = FakeObserver()
        self.purse = Purse(self.store, self.clock, limit)
        self.calls = BackgroundCalls(
            Dispatcher([served(self.upstream, **said)], self.observer, billing(self.observer)),
            Prices({"gpt": Price.per_million(1, 2)}),
            self.purse,
            5_000_000,
            self.pass_through,
        )

    async def ask(self, expected: int | None = None, **asked: Any) -> Answer:
        return await self.calls.ask(request(**asked), expected)


def reply() -> FakeReply:
    return FakeReply([BODY])


async def test_a_call_costs_what_it_costs() -> None:
    """The answer comes back whole, and its price is taken from the day's purse."""
    office = Office(reply())
    answer = await office.ask()
    assert b"hi" in answer.fields
    assert office.purse.spent_nanousd == office.purse.total_nanousd == COST
    assert [call[:2] for call in office.observer.upstream_calls] == [("fake", "ok")]


async def test_a_streamed_question_is_asked_plainly() -> None:
    """Streaming is how an answer travels: the same body without it."""
    office = Office(reply())
    body = {
        "model": "gpt",
        "messages": [],
        "stream": True,
        "stream_options": {"include_usage": True},
        "seed": 2**70,
    }
    await office.ask(stream=True, body=body)
    sent = office.upstream.calls[0]
    assert not sent.stream
    assert orjson.loads(sent.body.replace(str(2**70).encode(), b"70")) == {
        "model": "gpt",
        "messages": [],
        "seed": 70,
    }


async def test_the_day_has_a_limit() -> None:
    """What a call is expected to cost must still be in the purse; unknown prices count a flat amount."""
    office = Office(reply(), reply(), limit=2 * COST)
    for _ in range(2):
        await office.ask(COST)
    with pytest.raises(AuditDropped, match="spend-limit"):
        await office.ask(COST)
    unknown = Office(reply(), reply(), limit=9_000_000)
    await unknown.ask(None, model="unheard-of")
    assert unknown.purse.spent_nanousd == 5_000_000
    with pytest.raises(AuditDropped, match="spend-limit"):
        await unknown.ask(None, model="unheard-of")
    assert len(office.upstream.calls) == 2


async def test_a_call_without_usage_is_not_free() -> None:
    """Where the upstream tells no tokens, nobody knows the cost: the flat amount counts, lest the limit never be met."""
    silent = BODY.replace(b',"usage":{"prompt_tokens":1000,"completion_tokens":100}', b"")
    office = Office(*[FakeReply([silent]) for _ in range(3)], limit=9_000_000)
    await office.ask(0)
    assert office.purse.spent_nanousd == 5_000_000
    with pytest.raises(AuditDropped, match="spend-limit"):
        await office.ask(0)


async def test_a_failed_call_counts_as_expected() -> None:
    """It may have been billed: an upstream that always fails can't be asked for ever."""
    failure = UpstreamFailure(500, "server_error", "no", sharing=Sharing.TRANSIENT)
    office = Office(failure, FakeReply([b"{"]), limit=2 * COST)
    for _ in range(2):
        with pytest.raises(AuditDropped, match="upstream-failed"):
            await office.ask(COST)
    with pytest.raises(AuditDropped, match="spend-limit"):
        await office.ask(COST)
    assert [status for _, status, _ in office.observer.upstream_calls] == ["500", "upstream_garbage"]


async def test_a_callers_key_is_left_alone() -> None:
    """Passed-through credentials are spent only where that is configured, or where the upstream gets another key."""
    caller = replace(CALLER, credential="sk-theirs")
    with pytest.raises(AuditDropped, match="pass-through"):
        await Office(reply()).ask(caller=caller)
    for office in (Office(reply(), pass_through=True), Office(reply(), own_key=True)):
        await office.ask(caller=caller)
        assert office.upstream.calls[0].credential == "sk-theirs"
    await Office(reply()).ask(caller=CALLER)


async def test_what_was_spent_today_outlives_a_restart() -> None:
    """A restart doesn't refill the purse; the next day does, and a clock set back doesn't."""
    office = Office(reply(), limit=2 * COST)
    await office.ask(COST)
    again = Purse(office.store, office.clock, 2 * COST)
    again.load()
    assert again.spent_nanousd == COST
    office.clock.time += DAY_S
    assert again.spent_nanousd == 0
    assert again.reserve(2 * COST)
    again.settle(2 * COST, 2 * COST)
    office.clock.time -= DAY_S
    assert not again.reserve(1)
    office.clock.time += 2 * DAY_S
    later = Purse(office.store, office.clock, 2 * COST)
    later.load()
    assert later.spent_nanousd == 0


async def test_a_clock_set_back_refills_no_purse_across_a_restart() -> None:
    """A day earlier after the restart: what was spent still counts."""
    office = Office(reply(), limit=2 * COST)
    await office.ask(COST)
    office.clock.time -= DAY_S
    again = Purse(office.store, office.clock, 2 * COST)
    again.load()
    assert again.spent_nanousd == COST


async def test_a_clock_that_ran_ahead_empties_no_purse_for_good() -> None:
    """Years ahead for a while, then right again: what was spent counts today and tomorrow, and no longer."""
    office = Office(reply(), limit=2 * COST)
    office.clock.time += 1_000 * DAY_S
    await office.ask(COST)
    office.clock.time -= 1_000 * DAY_S
    again = Purse(office.store, office.clock, 2 * COST)
    again.load()
    for purse in (office.purse, again):
        assert purse.spent_nanousd == COST
    office.clock.time += DAY_S
    for purse in (office.purse, again):
        assert purse.spent_nanousd == COST
    office.clock.time += DAY_S
    for purse in (office.purse, again):
        assert purse.spent_nanousd == 0


async def test_a_clock_that_flaps_around_midnight_refills_nothing() -> None:
    """Back and forth between two days: each day's money is spent once."""
    office = Office(limit=COST)
    taken = 0
    for step in (0, 1, -1, 1, -1, 1):
        office.clock.time += step * DAY_S
        if office.purse.reserve(COST):
            office.purse.settle(COST, COST)
            taken += 1
    assert taken == 2


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=30), st.integers(0, 200))
def test_a_purse_never_sets_aside_more_than_it_has(calls: list[tuple[int, int]], limit: int) -> None:
    """However many calls run at once: what is reserved and spent stays within the limit, but for calls that overran."""
    clock = FakeClock()
    purse = Purse(FakeStore(clock), clock, limit)
    running, overrun = [], 0
    for expected, cost in calls:
        if purse.reserve(expected):
            running.append((expected, cost))
            assert purse.spent_nanousd + sum(one for one, _ in running) <= limit + overrun
        elif running:
            reserved, spent = running.pop()
            purse.settle(reserved, spent)
            overrun += max(0, spent - reserved)
    assert purse.spent_nanousd <= limit + overrun

"""What upstream calls come to, and who pays: each call that goes out is charged once, whatever becomes of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.errors import Refusal, Sharing, UpstreamFailure
from askonce.model import Endpoint, Fresh, Route, Usage
from askonce.pipeline.broadcast import LogMemory
from askonce.pipeline.dispatch import Dispatcher, Served
from askonce.pipeline.fetch import Fetcher
from askonce.pipeline.inflight import Flights
from askonce.pipeline.prices import Price, Prices
from askonce.pipeline.reply import Reply
from askonce.pipeline.split import CostPolicy, parts
from askonce.sending.outlet import Outlet
from askonce.sending.retries import RetryRules
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
from pipeline.test_fetch import event, whole
from sending.engine import Engine, line
from virtual_time import virtual_time

if TYPE_CHECKING:
    from askonce.model import Request
    from askonce.pipeline.flight import Flight
    from askonce.ports import Charge

COST = 1_020_000
OTHER = replace(CALLER, tenant="tenant:other", label="other")
REFUSED = UpstreamFailure(500, "server_error", "No.", sharing=Sharing.TRANSIENT)


class Desk:
    """Flights over one upstream, whose charges are seen."""

    def __init__(self, *replies: FakeReply | UpstreamFailure, policy: CostPolicy = CostPolicy.LEADER) -> None:
        self.upstream = FakeUpstream(list(replies))
        self.observer = FakeObserver()
        rules = RetryRules(attempts=1, base_s=0.001, cap_s=0.001)
        self.start(served(self.upstream, rules=rules), policy)

    def start(self, to: Served, policy: CostPolicy = CostPolicy.LEADER) -> None:
        self.clock = FakeClock()
        dispatcher = Dispatcher([to], self.observer, billing(self.observer))
        prices = Prices({"gpt*": Price.per_million(1, 2)})
        fetcher = Fetcher(dispatcher, FakeStore(self.clock), prices, self.clock, policy)

        async def fly(flight: Flight) -> None:
            await fetcher.fetch(flight, flight.lead.request)

        self.flights = Flights(fly, LogMemory(10**6, 10**6))

    def board(self, asked: Request) -> Reply:
        seat = self.flights.board(asked, asked.ask.exact_key, Fresh("miss"), join=True)
        return Reply(asked, self.clock, seat)

    async def take(self, *asked: Request) -> list[Reply]:
        """Replies of callers that come together, each taken to its end."""
        replies = [self.board(one) for one in asked]
        for reply in replies:
            await reply.start()
            while reply.request.ask.stream and await reply.events():
                pass
        for reply in replies:
            reply.leave()
        await asyncio.sleep(1)
        return replies

    @property
    def charge(self) -> Charge:
        (charge,) = self.observer.charges
        return charge


@virtual_time
async def test_a_call_is_written_down_before_it_goes_out_and_charged_once() -> None:
    """Under one id, which the upstream gets as well: first an estimate, then what the upstream says it took."""
    desk = Desk(FakeReply([whole()]))
    await desk.take(request())
    (begun,) = desk.observer.begun
    assert begun.call == desk.charge.call == desk.upstream.calls[0].id != ""
    assert begun.usage is None
    assert begun.estimate.completion_tokens == 256
    assert desk.charge.usage == Usage(1_000, 10)
    assert desk.charge.cost_nanousd == COST
    assert [share[:4] for share in desk.charge.shares] == [("acme", "default", "fresh", COST)]


@pytest.mark.parametrize(
    ("policy", "spent", "saved"),
    [
        (CostPolicy.LEADER, [COST, 0, 0], [0, COST, COST]),
        (CostPolicy.SPLIT, [COST // 3] * 3, [COST - COST // 3] * 3),
    ],
)
@virtual_time
async def test_who_pays_for_a_call_that_three_wait_for(
    policy: CostPolicy, spent: list[int], saved: list[int]
) -> None:
    """What callers are told they spent is what they are charged; what they saved is the rest of the whole price."""
    desk = Desk(FakeReply([1.0, whole()]), policy=policy)
    replies = await desk.take(request(), request(), request(caller=OTHER))
    assert [reply.spent_nanousd for reply in replies] == spent
    assert [reply.saved_nanousd for reply in replies] == saved
    by_account: dict[str, int] = {}
    for share in desk.charge.shares:
        by_account[share.tenant] = by_account.get(share.tenant, 0) + share.nanousd
    due = {"acme": spent[0] + spent[1], "other": spent[2]}
    assert by_account == {account: nanousd for account, nanousd in due.items() if nanousd}
    assert sum(by_account.values()) == COST
    assert desk.charge.shares[0].outcome == "fresh"


@virtual_time
async def test_a_call_that_nobody_waits_for_any_more_is_its_leaders() -> None:
    """A call that is let end is paid for by the caller that it was made for, as abandoned."""
    desk = Desk(FakeReply([1.0, whole()]))
    reply = desk.board(request(linger_s=None))
    await asyncio.sleep(0.5)
    reply.leave()
    await asyncio.sleep(1)
    assert [share[:4] for share in desk.charge.shares] == [("acme", "default", "abandoned", COST)]


@virtual_time
async def test_a_refused_call_costs_nothing() -> None:
    """Each try has an id of its own; the one that was refused took no tokens."""
    desk = Desk(REFUSED, FakeReply([whole()]))
    await desk.take(request())
    refused, answered = desk.observer.charges
    assert refused.call != answered.call
    assert (refused.usage, refused.cost_nanousd) == (Usage(), 0)
    assert answered.cost_nanousd == COST


@pytest.mark.parametrize(
    ("script", "stream"),
    [
        ([[event("four words are said")], REFUSED], True),
        ([[event("four words are said")], 99.0], True),
        ([99.0], False),
        ([b"no json"], False),
    ],
)
@virtual_time
async def test_a_call_that_broke_off_may_have_cost(script: list[object], stream: bool) -> None:  # noqa: FBT001 - a case
    """Cut off, given up or answered with garbage: nobody says what it took, so it is an estimate of what was seen."""
    failing = UpstreamFailure(502, "upstream_broke_off", "Gone.", sharing=Sharing.FATAL, began=True)
    steps = [failing if step is REFUSED else step for step in script]
    desk = Desk(FakeReply(steps), REFUSED)  # type: ignore[arg-type]
    reply = desk.board(request(stream=stream, linger_s=0.001))
    waiting = asyncio.create_task(_finish(reply))
    await asyncio.sleep(0.5)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    reply.leave()
    await asyncio.sleep(1)
    first, *others = desk.observer.charges
    assert first.usage is None
    assert first.cost_nanousd is not None
    assert first.estimate.prompt_tokens > 0
    assert (1 <= first.estimate.completion_tokens < 20) if stream else first.estimate.completion_tokens == 256
    assert all(other.usage == Usage() for other in others)


async def _finish(reply: Reply) -> None:
    try:
        await reply.start()
        while await reply.events():
            pass
    except Refusal:
        return


@pytest.mark.parametrize(
    "usage",
    [
        None,
        0,
        {},
        {"input_tokens": 1_000, "output_tokens": 10},
        {"prompt_tokens": "1000", "completion_tokens": 10},
        {"prompt_tokens": 1_000, "completion_tokens": -10},
        {"prompt_tokens": True, "completion_tokens": 10},
        {"prompt_tokens": 10**12, "completion_tokens": 10},
    ],
)
@virtual_time
async def test_an_answer_without_usage_is_unsettled(usage: Any) -> None:
    """An upstream that doesn't say what an answer took, or says nonsense, is never taken to have given it away."""
    desk = Desk(FakeReply([orjson.dumps(orjson.loads(whole()) | {"usage": usage})]))
    (reply,) = await desk.take(request())
    assert desk.charge.usage is None
    assert desk.charge.estimate.completion_tokens > 0
    assert (reply.spent_nanousd, reply.saved_nanousd) == (None, None)


@virtual_time
async def test_vectors_without_usage_are_no_output_tokens() -> None:
    """What embeddings may have taken is what was asked, however long their vectors are."""
    vectors = {"object": "list", "data": [{"index": 0, "embedding": [0.1] * 1_000}], "model": "gpt"}
    desk = Desk(FakeReply([orjson.dumps(vectors)]))
    await desk.take(request(endpoint=Endpoint.EMBEDDINGS, body={"model": "gpt", "input": "a" * 40}))
    assert desk.charge.usage is None
    assert desk.charge.estimate.completion_tokens == 0
    assert 10 <= desk.charge.estimate.prompt_tokens < 30


@virtual_time
async def test_more_cached_tokens_than_there_were_count_as_all_of_them() -> None:
    """What an upstream says of its prompt cache is never more than the prompt; whole numbers may be written as floats."""
    usage = {
        "prompt_tokens": 1_000.0,
        "completion_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 5_000},
    }
    desk = Desk(FakeReply([orjson.dumps(orjson.loads(whole()) | {"usage": usage})]))
    await desk.take(request())
    assert desk.charge.usage == Usage(1_000, 10, 1_000)


@virtual_time
async def test_a_model_without_a_price_is_charged_without_money() -> None:
    """Its tokens are counted; the cost is unknown, not zero."""
    desk = Desk(FakeReply([whole()]))
    asked = request(model="free")
    await desk.take(asked._replace(ask=asked.ask._replace(route=Route("fake", "free"))))
    assert desk.charge.usage == Usage(1_000, 10)
    assert desk.charge.cost_nanousd is None


@virtual_time
async def test_prompt_cache_savings_are_told() -> None:
    """What the provider's prompt cache took off the price is exact."""
    prices = Prices({"gpt": Price.per_million(1, 2, 0.25)})
    assert prices.saved_by_prompt_cache_nanousd("gpt", Usage(1_000, 10, 400)) == 300_000
    assert prices.saved_by_prompt_cache_nanousd("gpt", Usage(1_000, 10)) == 0
    assert prices.saved_by_prompt_cache_nanousd("free", Usage(1_000, 10, 400)) == 0


@virtual_time
async def test_calls_that_go_together_are_charged_by_their_shares() -> None:
    """One upstream call, one id: each request its share, and only the first stands for the call."""
    engine, desk = Engine(), Desk()
    outlet = Outlet("engine", lambda _: line(engine))
    desk.start(Served(engine, outlet, ("*",), {}))

    def embed(text: str) -> Request:
        body = {"model": "gpt", "input": text}
        asked = request(text.encode(), endpoint=Endpoint.EMBEDDINGS, model="gpt", body=body)
        return asked._replace(ask=asked.ask._replace(route=Route("engine", "gpt")))

    first = asyncio.create_task(desk.take(embed("first")))
    await asyncio.sleep(0.001)
    await desk.take(*(embed(str(number)) for number in range(5)))
    await first
    assert engine.batches == [1, 5]
    by_call: dict[str, list[int]] = {}
    for charge in desk.observer.charges:
        by_call.setdefault(charge.call, []).append(charge.part)
    assert sorted(map(sorted, by_call.values())) == [[0], [0, 1, 2, 3, 4]]
    assert set(by_call) == {call.id for call in engine.calls}
    assert {(one.call, one.part) for one in desk.observer.begun} == {
        (one.call, one.part) for one in desk.observer.charges
    }


@given(st.integers(0, 10**18), st.integers(1, 1_000))
def test_parts_add_up(nanousd: int, count: int) -> None:
    """To the last nano-dollar; no two differ by more than what is left over, and that is the first one's."""
    given_out = parts(nanousd, count)
    assert sum(given_out) == nanousd
    assert len(given_out) == count
    assert set(given_out[1:]) <= {nanousd // count}
    assert given_out[0] - nanousd // count < count

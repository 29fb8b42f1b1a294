"""The upstream call of a flight: relayed, added up, kept where it may be, and always closed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from askonce.errors import Refusal, Sharing, UpstreamFailure
from askonce.model import Fresh
from askonce.pipeline.broadcast import LogMemory
from askonce.pipeline.dispatch import Dispatcher
from askonce.pipeline.fetch import Fetcher
from askonce.pipeline.inflight import Flights
from askonce.pipeline.prices import Price, Prices
from askonce.pipeline.reply import Reply
from fakes import FakeClock, FakeObserver, FakeReply, FakeStore, FakeUpstream, billing, request, served
from virtual_time import virtual_time

if TYPE_CHECKING:
    from askonce.model import Request
    from askonce.pipeline.flight import Flight


def whole(finish: str = "stop") -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": finish}
    usage = {"prompt_tokens": 1_000, "completion_tokens": 10}
    return orjson.dumps(
        {"id": "chatcmpl-1", "created": 5, "model": "gpt-1", "choices": [choice], "usage": usage}
    )


def event(content: str, finish: str | None = None, index: int = 0) -> bytes:
    choice = {"index": index, "delta": {"content": content}, "finish_reason": finish}
    return orjson.dumps({"id": "chatcmpl-1", "created": 5, "model": "gpt-1", "choices": [choice]})


class Desk:
    """A fetcher with all its fakes, and one caller's way through it."""

    def __init__(self, *replies: FakeReply | UpstreamFailure) -> None:
        self.upstream = FakeUpstream(list(replies))
        self.clock = FakeClock()
        self.store = FakeStore(self.clock)
        self.observer = FakeObserver()
        prices = Prices({"gpt*": Price.per_million(1, 2)})
        dispatcher = Dispatcher([served(self.upstream)], self.observer, billing(self.observer))
        self._fetcher = Fetcher(dispatcher, self.store, prices, self.clock)
        self.flights = Flights(self._fly, LogMemory(10**6, 10**6))

    async def _fly(self, flight: Flight) -> None:
        await self._fetcher.fetch(flight, flight.lead.request)

    async def ask(self, asked: Request) -> Reply:
        """A reply, taken to its end."""
        key = asked.ask.exact_key
        reply = Reply(asked, self.clock, self.flights.board(asked, key, Fresh("miss"), join=True))
        try:
            await reply.start()
            while asked.ask.stream and await reply.events():
                pass
        finally:
            reply.leave()
        await asyncio.sleep(0)
        return reply

    @property
    def statuses(self) -> list[str]:
        return [status for _, status, _ in self.observer.upstream_calls]


@virtual_time
async def test_a_whole_answer_is_kept_and_accounted_for() -> None:
    """Entry with times, tags, tenant and model; cost by the price table; the upstream's own mark for its caller."""
    desk = Desk(FakeReply([whole()]))
    reply = await desk.ask(request(tags=("t",), ttl_s=60))
    body = orjson.loads(reply.whole())
    assert (body["id"], body["created"], body["model"]) == ("chatcmpl-1", 5, "gpt-1")
    assert reply.spent_nanousd == 1_020_000
    assert reply.headers == (("x-request-id", "theirs"),)
    entry = desk.store.entries[b"key"]
    assert entry.answer is reply.answer
    assert (entry.created_at, entry.expires_at) == (desk.clock.time, desk.clock.time + 60)
    assert (entry.tenant, entry.feature, entry.model, entry.tags) == ("tenant:acme", "default", "gpt", ("t",))
    assert desk.statuses == ["ok"]


@virtual_time
async def test_a_stream_is_relayed_as_it_comes_and_kept_whole() -> None:
    """The caller has the first event while the second is still awaited; what is kept is the sum."""
    upstream = FakeReply([[event("Hel")], 5.0, [event("lo"), event("", "stop")]])
    desk = Desk(upstream)
    asked = request(stream=True)
    reply = Reply(asked, desk.clock, desk.flights.board(asked, b"key", Fresh("miss"), join=True))
    began = asyncio.get_running_loop().time()
    await reply.start()
    assert b'"content":"Hel"' in await reply.events()
    assert asyncio.get_running_loop().time() == began
    assert b'"content":"lo"' in await reply.events()
    assert await reply.events() == b""
    reply.leave()
    await asyncio.sleep(0)
    kept = orjson.loads(b"{" + desk.store.entries[b"key"].answer.fields + b"}")
    assert kept["choices"][0]["message"]["content"] == "Hello"
    assert upstream.closed == 1


@pytest.mark.parametrize(
    ("reply", "asked", "marked"),
    [
        (FakeReply([whole("content_filter")]), {}, False),
        (FakeReply([whole()], no_store=True), {}, True),
        (FakeReply([whole()], max_age_s=0), {}, True),
        (FakeReply([whole()]), {"ttl_s": 0}, True),
        (FakeReply([whole()]), {"store": False}, False),
        (FakeReply([whole()]), {"exact": False}, False),
        (FakeReply([whole()]), {"hot": True}, False),
        (FakeReply([whole()]), {"key": None}, False),
    ],
)
@virtual_time
async def test_what_may_not_be_kept_is_served_all_the_same(
    reply: FakeReply,
    asked: dict[str, Any],
    marked: bool,  # noqa: FBT001 - a case's expectation
) -> None:
    """Filtered, forbidden by upstream, policy or caller, hot, or without key; a mark only where sharing is in vain."""
    desk = Desk(replace(reply, script=list(reply.script)))
    assert b'"content":"hi"' in (await desk.ask(request(**asked))).whole()
    assert not desk.store.entries
    assert desk.flights._marked(b"key") == marked


@virtual_time
async def test_the_upstreams_max_age_only_shortens() -> None:
    """The shorter of its word and the policy's counts."""
    desk = Desk(FakeReply([whole()], max_age_s=10), FakeReply([whole()], max_age_s=1e9))
    await desk.ask(request(b"short", ttl_s=60))
    await desk.ask(request(b"long", ttl_s=60))
    ends = {key: entry.expires_at - desk.clock.time for key, entry in desk.store.entries.items()}
    assert ends == {b"short": 10, b"long": 60}


@pytest.mark.parametrize(
    ("events", "end_mark", "n", "kept"),
    [
        ([event("a"), event("", "stop")], True, 1, True),
        ([event("a"), event("", "stop")], False, 1, True),
        ([event("a")], False, 1, None),
        ([event("a", "stop")], False, 2, None),
        ([event("a")], True, 1, False),
    ],
)
@virtual_time
async def test_half_a_stream_is_never_kept(
    events: list[bytes],
    end_mark: bool,  # noqa: FBT001 - a case
    n: int,
    kept: bool | None,  # noqa: FBT001 - a case
) -> None:
    """An end mark or every choice's finish reason makes a stream whole; without either it broke off (None)."""
    upstream = FakeReply([events], marked=end_mark)
    desk = Desk(upstream)
    asked = request(stream=True, body={"model": "gpt", "messages": [], "n": n})
    if kept is None:
        with pytest.raises(Refusal) as caught:
            await desk.ask(asked)
        assert caught.value.code == "upstream_broke_off"
        assert desk.statuses == ["upstream_broke_off"]
    else:
        await desk.ask(asked)
    assert bool(desk.store.entries) == bool(kept)
    assert upstream.closed == 1


@pytest.mark.parametrize(
    ("script", "status"),
    [
        (UpstreamFailure(429, "slow_down", "No.", sharing=Sharing.FATAL), "429"),
        (
            FakeReply([UpstreamFailure(504, "upstream_timeout", "No.", sharing=Sharing.FATAL)]),
            "upstream_timeout",
        ),
        (FakeReply([b"<html>"]), "upstream_garbage"),
    ],
)
@virtual_time
async def test_failures_are_counted_under_their_name(script: Any, status: str) -> None:
    """The status of an upstream's refusal, or the code of what went wrong on the way; the connection is closed."""
    desk = Desk(script)
    with pytest.raises(UpstreamFailure):
        await desk.ask(request())
    assert desk.statuses == [status]
    assert not isinstance(script, FakeReply) or script.closed == 1
    assert not desk.store.entries


@virtual_time
async def test_a_cancelled_call_is_closed_and_counted() -> None:
    """When nobody waits any more, the upstream's connection goes at once."""
    upstream = FakeReply([60.0, whole()])
    desk = Desk(upstream)
    asked = request(linger_s=1)
    desk.flights.board(asked, b"key", Fresh("miss"), join=True).leave()
    await asyncio.sleep(2)
    assert upstream.closed == 1
    assert desk.statuses == ["cancelled"]
    assert desk.observer.upstream_calls[0][2] == pytest.approx(1)


@virtual_time
async def test_joined_copies_have_their_own_mark_and_cost_nothing() -> None:
    """The leader has the upstream's id and cost, the follower an id of its own and the saving."""
    desk = Desk(FakeReply([1.0, whole()]))
    first, second = await asyncio.gather(desk.ask(request()), desk.ask(request()))
    ids = [orjson.loads(reply.whole())["id"] for reply in (first, second)]
    assert ids[0] == "chatcmpl-1"
    assert ids[1] != ids[0]
    assert ids[1].startswith("chatcmpl-")
    assert (first.spent_nanousd, first.saved_nanousd) == (1_020_000, 0)
    assert (second.spent_nanousd, second.saved_nanousd) == (0, 1_020_000)
    assert first.upstream_first_byte_s == pytest.approx(1)
    assert second.upstream_first_byte_s is None
    assert second.headers == ()


@virtual_time
async def test_a_reply_that_never_started_can_be_left() -> None:
    """`start` raises, `leave` follows: no seat, no bytes, no timer stays behind."""
    desk = Desk(UpstreamFailure(400, "bad", "Bad.", sharing=Sharing.FATAL))
    asked = request(stream=True)
    reply = Reply(asked, desk.clock, desk.flights.board(asked, b"key", Fresh("miss"), join=True))
    with pytest.raises(UpstreamFailure):
        await reply.start()
    with pytest.raises(RuntimeError):
        await reply.events()
    with pytest.raises(RuntimeError):
        reply.whole()
    reply.leave()
    reply.leave()
    assert desk.flights.waiting == 0
    assert desk.flights.memory.used_bytes == 0

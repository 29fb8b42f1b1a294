"""What a simulated upstream refuses as too much, and what it says of its limits."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.errors import Sharing, UpstreamFailure
from askonce.model import Endpoint
from askonce.upstreams.simulated import LimitKind, RateLimits
from askonce.upstreams.simulated.limits import Turnstile
from upstreams.asking import Json, call, chat, make
from virtual_time import virtual_time

KINDS = list(LimitKind)


def admitted(turnstile: Turnstile, now: float, key: str | None = None) -> bool:
    try:
        turnstile.admit(key, now)
    except UpstreamFailure:
        return False
    return True


def refused_at(turnstile: Turnstile, now: float) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        turnstile.admit(None, now)
    return caught.value


class TestMeters:
    @given(
        kind=st.sampled_from(KINDS),
        limit=st.integers(1, 20),
        gaps=st.lists(st.floats(0, 1.5), min_size=1, max_size=120),
    )
    def test_no_kind_lets_more_through_than_it_may(
        self, kind: LimitKind, limit: int, gaps: list[float]
    ) -> None:
        """In no second more than twice the limit; never more than the limit in a sliding window, nor in a fixed one's own."""
        turnstile = Turnstile(RateLimits(requests_per_second=limit, kind=kind))
        now, times = 1_000.0, []
        for gap in gaps:
            now += gap
            if admitted(turnstile, now):
                times.append(now)
        most = max(sum(begin <= time < begin + 1 - 1e-6 for time in times) for begin in times)
        assert most <= (limit if kind is LimitKind.SLIDING_WINDOW else 2 * limit)
        if kind is LimitKind.FIXED_WINDOW:
            windows = [int(time) for time in times]
            assert max(map(windows.count, windows)) <= limit

    @given(
        kind=st.sampled_from(KINDS), limit=st.integers(1, 50), gaps=st.lists(st.floats(0, 0.2), max_size=60)
    )
    def test_who_comes_when_it_was_told_to_is_let_in(
        self, kind: LimitKind, limit: int, gaps: list[float]
    ) -> None:
        """`Retry-After` is honest: the same request then passes, and a tenth of a second before it did not need to."""
        turnstile = Turnstile(RateLimits(requests_per_second=limit, kind=kind))
        now = 1_000.0
        for gap in gaps:
            now += gap
            admitted(turnstile, now)
        while admitted(turnstile, now):
            pass
        wait_s = refused_at(turnstile, now).retry_after_s
        assert wait_s is not None
        assert 0 < wait_s <= 1.001
        assert admitted(turnstile, now + wait_s)

    @pytest.mark.parametrize(
        ("kind", "after_a_third"), [("token-bucket", 2), ("fixed-window", 0), ("sliding-window", 0)]
    )
    def test_the_kinds_differ_in_how_room_comes_back(self, kind: str, after_a_third: int) -> None:
        """A bucket refills steadily, windows all at once when they turn or have passed."""
        turnstile = Turnstile(RateLimits(requests_per_second=6, kind=LimitKind(kind)))
        assert sum(admitted(turnstile, 1_000.0) for _ in range(10)) == 6
        assert sum(admitted(turnstile, 1_000.34) for _ in range(10)) == after_a_third
        assert sum(admitted(turnstile, 1_001.01) for _ in range(10)) == (4 if after_a_third else 6)

    def test_refused_requests_do_not_count(self) -> None:
        """Knocking while the door is shut doesn't keep it shut."""
        turnstile = Turnstile(RateLimits(requests_per_second=1, kind=LimitKind.SLIDING_WINDOW))
        assert [admitted(turnstile, 1_000 + tenth / 10) for tenth in range(11)] == [
            True,
            *[False] * 9,
            True,
        ]

    def test_all_limits_hold_at_once(self) -> None:
        """Two a second and three a minute: the tighter one decides, and is the one that headers tell of."""
        turnstile = Turnstile(
            RateLimits(requests_per_second=2, requests_per_minute=3, kind=LimitKind.SLIDING_WINDOW)
        )
        assert [admitted(turnstile, now) for now in (0.0, 0.0, 0.0, 2.0, 2.0)] == [
            True,
            True,
            False,
            True,
            False,
        ]
        told = dict(turnstile.headers(None, 2.0))
        assert told["x-ratelimit-limit-requests"] == "3"
        assert told["x-ratelimit-remaining-requests"] == "0"
        assert told["x-ratelimit-reset-requests"] == "1m0s"

    def test_keys_share_a_limit_unless_each_has_its_own(self) -> None:
        """One key's use is another's only where `per_key` is off."""
        shared = Turnstile(RateLimits(requests_per_second=1))
        own = Turnstile(RateLimits(requests_per_second=1, per_key=True))
        assert [admitted(shared, 0.0, key) for key in "ab"] == [True, False]
        assert [admitted(own, 0.0, key) for key in "aba"] == [True, True, False]

    def test_what_makes_no_sense_is_told(self) -> None:
        """A limit of less than one request would refuse everything for ever."""
        with pytest.raises(ValueError, match="at least 1"):
            RateLimits(tokens_per_minute=0)


async def headers_of(upstream: Any, body: Json) -> dict[str, str]:
    reply = await upstream.open(call(body))
    await reply.body()
    return dict(reply.headers)


class TestUpstream:
    async def test_a_refusal_says_what_when_and_what_is_left(self) -> None:
        """OpenAI's error, `Retry-After`, the headers; everybody may try again; it is counted."""
        upstream = make(rate_limits=RateLimits(requests_per_minute=1))
        first = await headers_of(upstream, chat())
        assert (first["x-ratelimit-limit-requests"], first["x-ratelimit-remaining-requests"]) == ("1", "0")
        with pytest.raises(UpstreamFailure) as caught:
            await upstream.open(call(chat()))
        failure = caught.value
        assert (failure.status, failure.code, failure.sharing) == (
            429,
            "rate_limit_exceeded",
            Sharing.TRANSIENT,
        )
        assert failure.retry_after_s == pytest.approx(60, abs=1)
        assert dict(failure.headers)["x-ratelimit-remaining-requests"] == "0"
        error = orjson.loads(failure.body or b"")
        assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
        stats = upstream.counters.as_json()
        assert (stats["rate_limited"], stats["by_outcome"]) == (1, {"ok": 1, "429": 1})

    async def test_tokens_of_prompt_and_answer_count(self) -> None:
        """A limit on tokens is used up by what the usage says; what can never fit has no time to come again."""
        upstream = make(rate_limits=RateLimits(tokens_per_minute=100, kind=LimitKind.FIXED_WINDOW))
        reply = await upstream.open(call(chat(x_simulate={"tokens": 30})))
        used = orjson.loads(await reply.body())["usage"]["total_tokens"]
        told = dict(reply.headers)
        assert told["x-ratelimit-limit-tokens"] == "100"
        assert told["x-ratelimit-remaining-tokens"] == str(100 - used)
        assert "x-ratelimit-limit-requests" not in told
        for tokens, comes_again in ((80, True), (200, False)):
            with pytest.raises(UpstreamFailure) as caught:
                await upstream.open(call(chat(x_simulate={"tokens": tokens})))
            assert orjson.loads(caught.value.body or b"")["type"] == "tokens"
            assert (caught.value.retry_after_s is not None) == comes_again

    async def test_what_it_says_can_be_turned_off(self) -> None:
        """A provider without `Retry-After` and without headers: the bare 429."""
        limits = RateLimits(requests_per_minute=1, retry_after=False, headers=False)
        upstream = make(rate_limits=limits)
        assert not [name for name in await headers_of(upstream, chat()) if "ratelimit" in name]
        with pytest.raises(UpstreamFailure) as caught:
            await upstream.open(call(chat()))
        assert caught.value.retry_after_s is None
        assert not caught.value.headers

    async def test_without_limits_nothing_is_said(self) -> None:
        """No limit, no headers."""
        assert not [name for name in await headers_of(make(), chat()) if "ratelimit" in name]


def embeddings(count: int) -> Json:
    return {"model": "m", "input": [f"text {number}" for number in range(count)], "dimensions": 4}


class TestEngine:
    @staticmethod
    async def ends(upstream: Any, *bodies: Json) -> list[float]:
        """Milliseconds after which each of these calls, all sent now, was answered."""
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def one(body: Json) -> float:
            reply = await upstream.open(call(body, Endpoint.EMBEDDINGS))
            await reply.body()
            return round((loop.time() - began) * 1000, 3)

        return await asyncio.gather(*map(one, bodies))

    @virtual_time
    async def test_a_call_takes_a_fixed_time_and_a_time_per_item(self) -> None:
        """10 ms and 1 ms a text, all calls at once where nothing bounds them."""
        upstream = make(call_ms=10, item_ms=1)
        assert await self.ends(upstream, embeddings(1), embeddings(20)) == [11, 30]

    @virtual_time
    async def test_slots_are_given_in_order(self) -> None:
        """With one slot calls are answered one after the other, with two by twos."""
        calls = [embeddings(1), embeddings(5), embeddings(1), embeddings(1)]
        assert await self.ends(make(call_ms=10, item_ms=1, slots=1), *calls) == [11, 26, 37, 48]
        assert await self.ends(make(call_ms=10, item_ms=1, slots=2), *calls) == [11, 15, 22, 26]

    @virtual_time
    async def test_a_stream_keeps_its_slot_to_the_end(self) -> None:
        """The next call's first token comes after the last of the one before it, or when that one is closed."""
        upstream = make(slots=1, call_ms=10, tokens_per_second=10)
        loop = asyncio.get_running_loop()
        began = loop.time()
        first = await upstream.open(call(chat(stream=True, x_simulate={"tokens": 11})))
        waiting = asyncio.create_task(upstream.open(call(chat("other", stream=True))))
        while await first.read():
            pass
        second = await waiting
        assert loop.time() - began == pytest.approx(0.01 + 1.0 + 0.01)
        third = asyncio.create_task(upstream.open(call(chat())))
        await asyncio.sleep(0.05)
        assert not third.done()
        await second.aclose()
        assert orjson.loads(await (await third).body())

    @virtual_time
    async def test_who_leaves_takes_no_slot_along(self) -> None:
        """Calls cancelled while they wait or are worked on leave the engine free."""
        upstream = make(slots=1, call_ms=100)
        tasks = [
            asyncio.create_task(upstream.open(call(embeddings(1), Endpoint.EMBEDDINGS))) for _ in range(3)
        ]
        await asyncio.sleep(0.05)
        assert (upstream.counters.running, upstream.counters.max_running) == (3, 3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert upstream.counters.running == 0
        assert await self.ends(upstream, embeddings(1)) == [100]

    @pytest.mark.parametrize("options", [{"slots": 0}, {"call_ms": -1.0}, {"item_ms": -1.0}])
    def test_what_makes_no_sense_is_told(self, options: dict[str, Any]) -> None:
        """No slots, or negative times."""
        with pytest.raises(ValueError, match="at least"):
            make(**options)

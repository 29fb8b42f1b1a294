"""What goes wrong in the simulated upstream, at what pace it answers, and what it counts."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from askonce.errors import Sharing, UpstreamFailure
from askonce.model import Call, Endpoint
from askonce.upstreams.simulated import (
    Fault,
    SimulatedModel,
    Simulation,
)
from upstreams.asking import Json, ask, call, chat, events_of, make, outcome, read_all, read_into, said


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The sleeps that were asked for, none of which takes time."""
    durations: list[float] = []
    real_sleep = asyncio.sleep

    async def record(delay: float) -> None:
        durations.append(delay)
        await real_sleep(0)

    monkeypatch.setattr(asyncio, "sleep", record)
    return durations


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"model": "m"}, "messages"),
            ({"messages": []}, "model"),
            (chat(temperature=3), "temperature"),
            (chat(n=0), "n"),
            (chat(max_tokens="many"), "max_tokens"),
            (chat(top_logprobs=2), "top_logprobs"),
            (chat(stream_options={"include_usage": True}), "stream_options"),
            (chat(stop=["a", "b", "c", "d", "e"]), "stop"),
            (chat(tool_choice="required"), "tool_choice"),
            (chat(response_format={"type": "xml"}), "response_format.type"),
            (chat(x_simulate={"statuss": 1}), "x_simulate.statuss"),
            (chat(x_simulate={"status": 200}), "x_simulate.status"),
            ({"model": "m", "messages": [{"role": "boss", "content": ""}]}, "messages[0].role"),
        ],
    )
    async def test_an_invalid_field_is_named(self, body: Json, param: str) -> None:
        """A bad body is everybody's 400, and its error object names the field as OpenAI's does."""
        upstream = make()
        with pytest.raises(UpstreamFailure) as caught:
            await upstream.open(Call(Endpoint.CHAT, "", orjson.dumps(body), stream=False))
        assert caught.value.status == 400
        assert caught.value.sharing is Sharing.FATAL
        error = orjson.loads(caught.value.body or b"")
        assert set(error) == {"message", "type", "param", "code"}
        assert error["param"] == param
        assert upstream.counters.by_outcome == {"400": 1}

    @pytest.mark.parametrize("raw", [b"{", b"[]", b"\xff"])
    async def test_a_body_that_is_no_object_is_refused(self, raw: bytes) -> None:
        """Broken JSON and JSON of another kind get 400."""
        with pytest.raises(UpstreamFailure, match="JSON body"):
            await make().open(Call(Endpoint.CHAT, "", raw, stream=False))


class TestFaults:
    async def test_a_directive_applies_to_the_first_attempts(self) -> None:
        """With `attempts` a content fails that often and is answered from then on, whatever the rates."""
        upstream = make()
        body = chat(x_simulate={"status": 429, "retry_after_s": 2, "attempts": 2})
        for _ in range(2):
            with pytest.raises(UpstreamFailure) as caught:
                await upstream.open(call(body))
            assert caught.value.retry_after_s == 2
            assert caught.value.sharing is Sharing.TRANSIENT
        assert said(await ask(upstream, body)) == said(await ask(upstream, chat()))
        assert upstream.counters.by_outcome == {"429": 2, "ok": 2}

    async def test_a_refused_key_is_personal_where_it_was_the_callers(self) -> None:
        """401 with the caller's credential concerns the caller; without one it concerns the gateway's own key."""
        body = chat(x_simulate={"status": 401})
        for credential, sharing in (("key", Sharing.PERSONAL), (None, Sharing.FATAL)):
            with pytest.raises(UpstreamFailure) as caught:
                await make().open(call(body, credential=credential))
            assert caught.value.sharing is sharing

    @pytest.mark.parametrize("count", [0, 1, 3, 10_000])
    async def test_a_stream_breaks_off_after_so_many_events(self, count: int) -> None:
        """The ordered number of events comes, then a transient failure; even after all of them no end mark."""
        upstream = make()
        reply = await upstream.open(call(chat(stream=True, x_simulate={"break_after_events": count})))
        events: list[bytes] = []
        with pytest.raises(UpstreamFailure) as caught:
            await read_into(events, reply)
        assert caught.value.sharing is Sharing.TRANSIENT
        assert len(events) == min(count, len(await events_of(upstream, chat())))
        assert not reply.finished
        await reply.aclose()
        assert upstream.counters.by_outcome == {"half": 1, "ok": 1}

    async def test_garbage_is_no_json(self) -> None:
        """Ordered garbage breaks the third event of a stream, and all of a plain body."""
        upstream = make()
        reply = await upstream.open(call(chat(stream=True, x_simulate={"garbage": True})))
        events = await read_all(reply)
        for position, event in enumerate(events):
            if position == 2:
                with pytest.raises(orjson.JSONDecodeError):
                    orjson.loads(event)
            else:
                orjson.loads(event)
        for order in ({"garbage": True}, {"html": True}, {"break_after_events": 1}):
            plain = await upstream.open(call(chat(x_simulate=order)))
            with pytest.raises(orjson.JSONDecodeError):
                orjson.loads(await plain.body())

    async def test_html_in_place_of_a_stream_is_a_failure(self) -> None:
        """A reader of events finds none in a page of HTML."""
        reply = await make().open(call(chat(stream=True, x_simulate={"html": True})))
        assert reply.fault is Fault.HTML
        with pytest.raises(UpstreamFailure, match="HTML"):
            await reply.read()

    async def test_keeping_can_be_forbidden_and_texts_sized(self) -> None:
        """`no_store`, `max_age_s` and `tokens` shape the answer of that call."""
        upstream = make()
        reply = await upstream.open(call(chat(x_simulate={"no_store": True, "max_age_s": 9, "tokens": 100})))
        assert (reply.no_store, reply.max_age_s) == (True, 9)
        assert orjson.loads(await reply.body())["usage"]["completion_tokens"] == 100

    async def test_rates_come_true(self) -> None:
        """Over many questions each fault has about its share; streams never turn into HTML."""
        upstream = make(error_rate=0.1, rate_limit_rate=0.1, garbage_rate=0.2, half_stream_rate=0.1)
        for number in range(600):
            await outcome(upstream, chat(f"q{number}"))
        counts = upstream.counters.by_outcome
        assert 30 <= counts["500"] <= 90
        assert 30 <= counts["429"] <= 90
        assert 80 <= counts["garbage"] + counts["html"] <= 160
        assert 30 <= counts["half"] <= 90

    def test_impossible_simulations_are_refused(self) -> None:
        """Rates beyond one, negative times and a speed of nothing raise ValueError."""
        wrong: tuple[Json, ...] = (
            {"error_rate": 0.6, "garbage_rate": 0.6},
            {"error_rate": -0.1},
            {"ttft_ms": -1},
            {"tokens_per_second": 0},
            {"concurrency_knee": 0},
        )
        for options in wrong:
            with pytest.raises(ValueError, match=r"rate|at least|above"):
                Simulation(**options)


class TestTime:
    async def test_a_plain_answer_takes_the_first_token_and_the_rest(self, slept: list[float]) -> None:
        """Time to first token, then one token's time for each further one."""
        await ask(make(ttft_ms=300, tokens_per_second=10), chat(x_simulate={"tokens": 21}))
        assert slept == pytest.approx([0.3, 2.0])

    async def test_a_stream_comes_token_by_token(self, slept: list[float]) -> None:
        """The first token comes with the status; each later read waits for the next one's time."""
        upstream = make(ttft_ms=300, tokens_per_second=1)
        reply = await upstream.open(call(chat(stream=True, x_simulate={"tokens": 4})))
        assert slept == [0.3]
        sizes = []
        while events := await reply.read():
            sizes.append(len(events))
        assert sizes == [2, 1, 1, 2]
        assert len(slept) == 4
        assert reply.finished

    async def test_beyond_the_knee_tokens_take_longer_in_proportion(self, slept: list[float]) -> None:
        """Four calls at once with a knee of two: each token takes twice its time."""
        upstream = make(tokens_per_second=0.001, concurrency_knee=2)
        body = chat(stream=True, x_simulate={"tokens": 3})
        replies = [await upstream.open(call(body)) for _ in range(4)]
        await replies[0].read()
        await replies[0].read()
        assert slept == [pytest.approx(2000, rel=0.01)]
        for reply in replies:
            await reply.aclose()
        assert upstream.counters.max_running == 4
        slept.clear()
        await ask(upstream, chat(x_simulate={"tokens": 3}))
        assert sum(slept) == pytest.approx(2000)

    async def test_a_directed_failure_waits_as_directed(self, slept: list[float]) -> None:
        """`ttft_ms` also delays failures, so that others can queue up behind them."""
        with pytest.raises(UpstreamFailure):
            await make().open(call(chat(x_simulate={"status": 500, "ttft_ms": 250})))
        assert slept == [0.25]


class TestCounters:
    async def test_calls_tokens_and_money_are_counted(self) -> None:
        """Counts by endpoint and outcome, tokens as in the usage, money at the model's prices; reset empties them."""
        upstream = make(models=(SimulatedModel("model-a", 1.0, 2.0),))
        usage = (await ask(upstream, chat()))["usage"]
        counted = upstream.counters.as_json()
        assert counted["calls"] == 1
        assert counted["by_endpoint"] == {"chat/completions": 1}
        assert counted["by_outcome"] == {"ok": 1}
        assert counted["completion_tokens"] == usage["completion_tokens"]
        assert counted["spent_nanousd"] == 1000 * usage["prompt_tokens"] + 2000 * usage["completion_tokens"]
        upstream.counters.reset()
        assert upstream.counters.as_json() == make().counters.as_json()

    async def test_a_cancelled_call_stops_and_is_counted(self) -> None:
        """Cancelling while the first token is awaited ends the call at once."""
        upstream = make(ttft_ms=3_600_000)
        task = asyncio.create_task(upstream.open(call(chat())))
        await asyncio.sleep(0)
        assert upstream.counters.running == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (upstream.counters.running, upstream.counters.cancelled) == (0, 1)

    async def test_a_closed_stream_stops_and_counts_what_it_said(self) -> None:
        """Leaving a stream half-way counts it as cancelled, with the tokens so far; closing twice counts once."""
        upstream = make(tokens_per_second=0.001)
        reply = await upstream.open(call(chat(stream=True)))
        await reply.read()
        await reply.aclose()
        await reply.aclose()
        assert (upstream.counters.running, upstream.counters.cancelled) == (0, 1)
        assert upstream.counters.completion_tokens == 1

    async def test_an_answer_that_was_read_is_not_cancelled_by_closing(self) -> None:
        """Closing after the end changes nothing."""
        upstream = make()
        reply = await upstream.open(call(chat(stream=True)))
        await read_all(reply)
        await reply.aclose()
        assert upstream.counters.by_outcome == {"ok": 1}

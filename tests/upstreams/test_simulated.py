"""The simulated upstream through its port: reproducible, in shape, counted, faulty on order, and stoppable."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.errors import Sharing, UpstreamFailure
from askonce.model import Call, Endpoint
from askonce.upstreams.simulated import (
    Fault,
    SimulatedModel,
    SimulatedReply,
    SimulatedUpstream,
    Simulation,
    read_answers,
)
from askonce.upstreams.simulated.dice import Dice
from askonce.upstreams.simulated.schema import instance
from askonce.upstreams.simulated.text import limit, tokenise

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]


class FixedClock:
    def now(self) -> float:
        return 1_700_000_000.0


def make(**options: Any) -> SimulatedUpstream:
    return SimulatedUpstream(Simulation(**options), FixedClock())


def chat(question: str = "How do I reset my password?", **fields: Any) -> Json:
    return {"model": "model-a", "messages": [{"role": "user", "content": question}], **fields}


def call(body: Json, endpoint: Endpoint = Endpoint.CHAT, credential: str | None = None) -> Call:
    return Call(endpoint, body["model"], orjson.dumps(body), body.get("stream") is True, credential)


async def ask(upstream: SimulatedUpstream, body: Json, endpoint: Endpoint = Endpoint.CHAT) -> Any:
    reply = await upstream.open(call(body, endpoint))
    return orjson.loads(await reply.body())


async def read_into(events: list[bytes], reply: SimulatedReply) -> None:
    while more := await reply.read():
        events += more


async def read_all(reply: SimulatedReply) -> list[bytes]:
    events: list[bytes] = []
    await read_into(events, reply)
    return events


async def events_of(
    upstream: SimulatedUpstream, body: Json, endpoint: Endpoint = Endpoint.CHAT
) -> list[Json]:
    reply = await upstream.open(call({**body, "stream": True}, endpoint))
    return [orjson.loads(event) for event in await read_all(reply)]


async def outcome(upstream: SimulatedUpstream, body: Json) -> str:
    """What became of a call, in a word."""
    try:
        reply = await upstream.open(call(body))
    except UpstreamFailure as failure:
        return str(failure.status)
    await reply.body()
    return reply.fault.value


def said(answer: Json) -> str:
    text: str = answer["choices"][0]["message"]["content"]
    return text


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


class TestDeterminism:
    async def test_a_second_run_repeats_the_first(self) -> None:
        """Two upstreams of one seed give the same bytes, ids and faults for the same requests in the same order."""
        runs = []
        for _ in range(2):
            upstream = make(seed=7, error_rate=0.3, garbage_rate=0.2, half_stream_rate=0.2)
            runs.append([await outcome(upstream, chat(f"question {number % 20}")) for number in range(60)])
        assert runs[0] == runs[1]
        assert {"500", "ok", "garbage", "half"} <= set(runs[0])
        assert await ask(make(seed=7), chat()) == await ask(make(seed=7), chat())

    async def test_faults_depend_on_the_attempt_and_not_on_other_questions(self) -> None:
        """What becomes of the n-th call with a content is the same whatever is asked in between."""
        alone, among = make(error_rate=0.5), make(error_rate=0.5)
        first = [await outcome(alone, chat("x")) for _ in range(30)]
        second = []
        for number in range(30):
            await outcome(among, chat(f"other {number}"))
            second.append(await outcome(among, chat("x")))
        assert first == second
        assert set(first) == {"ok", "500"}

    async def test_answers_differ_by_question_seed_model_and_system_prompt(self) -> None:
        """Whatever makes up the request's content makes another answer; the question is named in it."""
        upstream = make()
        system = {"role": "system", "content": "Be terse."}
        answers = [
            said(await ask(upstream, chat())),
            said(await ask(upstream, chat("How do I change my password?"))),
            said(await ask(upstream, {**chat(), "model": "model-b"})),
            said(await ask(upstream, {**chat(), "messages": [system, *chat()["messages"]]})),
            said(await ask(make(seed=1), chat())),
        ]
        assert len(set(answers)) == len(answers)
        assert "How do I reset my password?" in answers[0]

    async def test_transport_fields_and_order_change_no_word(self) -> None:
        """Streamed, with another user field or another order of keys, the same words are said."""
        upstream = make()
        whole = said(await ask(upstream, chat()))
        assert said(await ask(upstream, dict(reversed(chat(user="someone").items())))) == whole
        events = await events_of(upstream, chat())
        assert "".join(event["choices"][0]["delta"].get("content", "") for event in events) == whole

    async def test_no_two_calls_share_an_id(self) -> None:
        """As with a provider, asking again gives the same words here, but never the same id."""
        upstream = make()
        ids = {(await ask(upstream, chat()))["id"] for _ in range(5)}
        assert len(ids) == 5


class TestChat:
    async def test_a_plain_answer_has_openais_shape(self) -> None:
        """Object name, id, usage and one choice that has stopped."""
        answer = await ask(make(), chat())
        assert answer["object"] == "chat.completion"
        assert answer["id"].startswith("chatcmpl-")
        assert answer["created"] == 1_700_000_000
        assert answer["choices"][0]["finish_reason"] == "stop"
        usage = answer["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        assert usage["completion_tokens"] == len(tokenise(said(answer)))

    async def test_usage_comes_last_and_alone_where_it_was_asked_for(self) -> None:
        """With `include_usage` every event has a null usage but the last, which has no choices; else none has any."""
        *events, last = await events_of(make(), chat(stream_options={"include_usage": True}))
        assert all(event["usage"] is None and event["choices"] for event in events)
        assert last["choices"] == []
        assert last["usage"]["completion_tokens"] == len(events) - 2
        assert all("usage" not in event for event in await events_of(make(), chat()))

    async def test_choices_of_a_stream_grow_side_by_side(self) -> None:
        """With `n` each choice opens with the role and ends with its finish reason, and they interleave."""
        events = await events_of(make(), chat(n=2))
        indexes = [event["choices"][0]["index"] for event in events]
        assert indexes[:4] == [0, 0, 1, 1]
        for index in (0, 1):
            choices = [event["choices"][0] for event in events if event["choices"][0]["index"] == index]
            assert choices[0]["delta"]["role"] == "assistant"
            assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["stop"]

    async def test_bounds_and_stop_sequences_end_the_text(self) -> None:
        """`max_completion_tokens` ends with `length`; a stop sequence is left out of the text."""
        short = await ask(make(), chat(max_completion_tokens=3))
        assert short["choices"][0]["finish_reason"] == "length"
        assert short["usage"]["completion_tokens"] == 3
        upstream = make(answers={"q": "one, two, three"})
        assert said(await ask(upstream, chat("q", stop=[", three", "nine"]))) == "one, two"

    async def test_known_answers_ignore_case_and_white_space(self) -> None:
        """A question of the table gets its answer however it is spaced and capitalised."""
        upstream = make(answers={"What is  the capital of France?": "Paris."})
        assert said(await ask(upstream, chat(" what is the Capital of France? "))) == "Paris."

    async def test_logprobs_name_each_token_with_its_bytes(self) -> None:
        """One entry per token, the likeliest first among as many as asked; in streams one per event."""
        request = chat(logprobs=True, top_logprobs=3, max_tokens=5)
        choice = (await ask(make(), request))["choices"][0]
        entries = choice["logprobs"]["content"]
        assert "".join(entry["token"] for entry in entries) == choice["message"]["content"]
        for entry in entries:
            assert bytes(entry["bytes"]).decode() == entry["token"]
            logarithms = [one["logprob"] for one in entry["top_logprobs"]]
            assert len(logarithms) == 3
            assert logarithms == sorted(logarithms, reverse=True)
        streamed = [
            one
            for event in await events_of(make(), request)
            if (shape := event["choices"][0]["logprobs"])
            for one in shape["content"]
        ]
        assert streamed == entries

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"tool_choice": "required"}, "tool_calls"),
            ({"tool_choice": {"type": "function", "function": {"name": "get_weather"}}}, "stop"),
        ],
    )
    async def test_a_required_tool_is_called_with_fitting_arguments(self, fields: Json, reason: str) -> None:
        """Required or named, the tool is called; the stream's pieces join to the plain answer's arguments."""
        parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
        tools = [{"type": "function", "function": {"name": "get_weather", "parameters": parameters}}]
        request = chat(tools=tools, **fields)
        choice = (await ask(make(), request))["choices"][0]
        called = choice["message"]["tool_calls"][0]["function"]
        assert choice["finish_reason"] == reason
        assert choice["message"]["content"] is None
        assert set(orjson.loads(called["arguments"])) == {"city"}
        deltas = [
            event["choices"][0]["delta"]["tool_calls"][0]["function"]
            for event in await events_of(make(), request)
            if event["choices"][0]["delta"].get("tool_calls")
        ]
        assert deltas[0] == {"name": "get_weather", "arguments": ""}
        assert len(deltas) > 3
        assert "".join(delta["arguments"] for delta in deltas) == called["arguments"]

    async def test_a_tool_is_called_where_the_question_names_it(self) -> None:
        """Left to itself the model calls the tools that the user names, and none after a tool's result."""
        tools = [{"type": "function", "function": {"name": name}} for name in ("get_weather", "get_time")]
        upstream = make()
        both = await ask(upstream, chat("Use get_weather and get time.", tools=tools))
        assert len(both["choices"][0]["message"]["tool_calls"]) == 2
        one = await ask(upstream, chat("get_weather, get_time", tools=tools, parallel_tool_calls=False))
        assert len(one["choices"][0]["message"]["tool_calls"]) == 1
        assert said(await ask(upstream, chat("Hello", tools=tools)))
        result = {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"}
        told = chat("get_weather", tools=tools)
        assert said(await ask(upstream, {**told, "messages": [*told["messages"], result]}))

    async def test_images_are_accepted_and_counted(self) -> None:
        """Image parts count as images and tokens."""
        upstream = make()
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
        parts = [{"type": "text", "text": "What is this?"}, image, image]
        answer = await ask(upstream, {"model": "m", "messages": [{"role": "user", "content": parts}]})
        assert upstream.counters.images == 2
        assert answer["usage"]["prompt_tokens"] > 170
        assert "What is this?" in said(answer)

    async def test_a_json_schema_is_fitted(self) -> None:
        """`response_format` with a schema brings JSON of that schema; `json_object` brings an object."""
        schema = {"type": "object", "properties": {"size": {"enum": ["s", "m"]}}, "required": ["size"]}
        form = {"type": "json_schema", "json_schema": {"name": "shirt", "schema": schema}}
        assert orjson.loads(said(await ask(make(), chat(response_format=form))))["size"] in {"s", "m"}
        assert "answer" in orjson.loads(
            said(await ask(make(), chat(response_format={"type": "json_object"})))
        )


class TestOtherEndpoints:
    async def test_a_prompt_says_the_same_alone_and_in_a_list(self) -> None:
        """Batching prompts changes no text; usage adds up; choices are numbered prompt by prompt."""
        upstream = make()
        request = {"model": "m", "max_tokens": 12}
        alone = [
            await ask(upstream, {**request, "prompt": prompt}, Endpoint.COMPLETIONS) for prompt in ("a", "b")
        ]
        together = await ask(upstream, {**request, "prompt": ["a", "b"]}, Endpoint.COMPLETIONS)
        assert together["object"] == "text_completion"
        assert [choice["text"] for choice in together["choices"]] == [
            one["choices"][0]["text"] for one in alone
        ]
        assert [choice["index"] for choice in together["choices"]] == [0, 1]
        assert together["usage"]["completion_tokens"] == 24
        assert upstream.counters.inputs == 4

    async def test_echo_and_n_in_completions(self) -> None:
        """`echo` puts the prompt first, streamed or not; without a bound sixteen tokens are said."""
        request = {"model": "m", "prompt": "Once upon", "echo": True, "n": 2}
        whole = await ask(make(), request, Endpoint.COMPLETIONS)
        assert all(choice["text"].startswith("Once upon") for choice in whole["choices"])
        assert whole["usage"]["completion_tokens"] == 32
        events = await events_of(make(), request, Endpoint.COMPLETIONS)
        texts = ["", ""]
        for event in events:
            texts[event["choices"][0]["index"]] += event["choices"][0]["text"]
        assert texts == [choice["text"] for choice in whole["choices"]]

    async def test_embeddings_are_unit_vectors_of_the_text_alone(self) -> None:
        """A text has one vector, in a list or alone; `dimensions` shortens it; both encodings say the same."""
        upstream = make(embedding_dimensions=8)
        body = {"model": "e", "input": ["a", "b"]}
        rows = (await ask(upstream, body, Endpoint.EMBEDDINGS))["data"]
        alone = (await ask(upstream, {**body, "input": "b"}, Endpoint.EMBEDDINGS))["data"]
        packed = (await ask(upstream, {**body, "encoding_format": "base64"}, Endpoint.EMBEDDINGS))["data"]
        vector = np.array(rows[1]["embedding"], dtype=np.float32)
        assert alone[0]["embedding"] == rows[1]["embedding"]
        assert abs(np.linalg.norm(vector) - 1) < 1e-6
        assert (np.frombuffer(b64decode(packed[1]["embedding"]), dtype="<f4") == vector).all()
        short = await ask(upstream, {**body, "dimensions": 3}, Endpoint.EMBEDDINGS)
        assert len(short["data"][0]["embedding"]) == 3
        numbers = await ask(upstream, {**body, "input": [[1, 2], [3]]}, Endpoint.EMBEDDINGS)
        assert numbers["usage"] == {"prompt_tokens": 3, "total_tokens": 3}

    async def test_models_on_offer_are_listed_and_others_refused(self) -> None:
        """With a list, other names get 404 `model_not_found`; without one, any name is answered."""
        upstream = make(models=(SimulatedModel("model-a"),))
        assert [model["id"] for model in await upstream.models(None)] == ["model-a"]
        with pytest.raises(UpstreamFailure) as caught:
            await upstream.open(call({**chat(), "model": "other"}))
        assert (caught.value.status, caught.value.code) == (404, "model_not_found")
        assert caught.value.sharing is Sharing.FATAL
        assert (await make().models(None))[0]["object"] == "model"


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


class TestAnswersFile:
    def test_both_forms_of_a_line_are_read(self, tmp_path: Path) -> None:
        """One question or several per line; empty lines are skipped."""
        path = tmp_path / "answers.jsonl"
        path.write_text('{"question": "a", "answer": "1"}\n\n{"questions": ["b", "c"], "answer": "2"}\n')
        assert read_answers(path) == {"a": "1", "b": "2", "c": "2"}

    @pytest.mark.parametrize("line", ["{", "[]", '{"question": "a"}', '{"questions": [], "answer": "1"}'])
    def test_a_bad_line_is_named(self, tmp_path: Path, line: str) -> None:
        """The error says which line."""
        path = tmp_path / "answers.jsonl"
        path.write_text(f'{{"question": "a", "answer": "1"}}\n{line}\n')
        with pytest.raises(ValueError, match="line 2"):
            read_answers(path)


class TestWords:
    @given(st.text())
    def test_tokens_join_to_the_text(self, text: str) -> None:
        """No character is lost or added by tokenising."""
        assert "".join(tokenise(text)) == text

    @given(st.text(min_size=1), st.integers(1, 50), st.none() | st.integers(1, 50))
    def test_a_length_is_met_exactly(self, text: str, length: int, bound: int | None) -> None:
        """A directed length is met whatever the text, up to the request's bound."""
        piece = limit(text, (), bound, length)
        assert len(piece.tokens) == min(length, bound or length)
        assert piece.finish_reason == ("length" if bound is not None and bound < length else "stop")

    @given(st.integers())
    def test_a_recursive_schema_comes_to_an_end(self, seed: int) -> None:
        """A tree of nodes is finite, and each node has what it needs."""
        node = {
            "type": "object",
            "properties": {
                "name": {"type": "string", "maxLength": 5},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["name", "children", "next"],
        }
        made = instance({"$ref": "#/$defs/node", "$defs": {"node": node}}, Dice(seed))
        assert set(made) == {"name", "children", "next"}
        assert len(made["name"]) <= 5

    @given(st.integers(), st.integers(-50, 50), st.integers(0, 50))
    def test_numbers_lie_in_range(self, seed: int, low: int, width: int) -> None:
        """Integers and numbers heed both bounds, also where only one value is left."""
        for kind in ("integer", "number"):
            made = instance({"type": kind, "minimum": low, "maximum": low + width}, Dice(seed))
            assert low <= made <= low + width

    @pytest.mark.parametrize("schema", [{"type": "object", "required": 5}, {"enum": 3}, {"anyOf": {"a": 1}}])
    def test_a_schema_that_is_none_is_refused(self, schema: Json) -> None:
        """Nonsense is an invalid request, not a crash."""
        with pytest.raises(UpstreamFailure, match="schema"):
            instance(schema, Dice(0))

"""What the simulated upstream answers: reproducible, and in OpenAI's shapes."""

from __future__ import annotations

from base64 import b64decode

import numpy as np
import orjson
import pytest

from askonce.errors import Sharing, UpstreamFailure
from askonce.model import Endpoint
from askonce.upstreams.simulated import (
    SimulatedModel,
)
from askonce.upstreams.simulated.text import tokenise
from upstreams.asking import Json, ask, call, chat, events_of, make, outcome, said


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

"""The official OpenAI SDK can't tell the gateway from a provider."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import BaseModel

if TYPE_CHECKING:
    from servers import CallCounter, Server

MODEL = "sim-small"
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city", "days"],
            },
        },
    }
]


def user(text: Any) -> Any:
    return [{"role": "user", "content": text}]


def direct(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="sk-test", max_retries=0)


def without_mark(answer: Any) -> dict[str, Any]:
    """The answer less what is each copy's own."""
    dumped: dict[str, Any] = answer.model_dump()
    return {key: value for key, value in dumped.items() if key not in {"id", "created"}}


def asking(kind: str, question: str) -> dict[str, Any]:
    """A request of one kind."""
    content: Any = question
    if kind == "image":
        url = "data:image/png;base64,iVBORw0KGgo=" + "A" * 5000
        content = [
            {"type": "text", "text": question + " \u00e9\u4e2d\U0001f600"},
            {"type": "image_url", "image_url": {"url": url}},
        ]
    return {"model": MODEL, "messages": user(content), **REQUESTS[kind]}


def streamed_text(chunks: list[Any]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


REQUESTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "n": {"n": 3},
    "logprobs": {"logprobs": True, "top_logprobs": 2},
    "tools": {"tools": TOOLS, "tool_choice": "required"},
    "max_tokens": {"max_tokens": 3},
    "unknown field": {"extra_body": {"repetition_penalty": 1.1, "x_simulate": {"tokens": 7}}},
    "image": {},
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_answers_are_the_providers_own(
    kind: str, client: openai.OpenAI, provider: Server, question: str, calls: CallCounter
) -> None:
    """Asked first, asked again, and asked past the gateway, a request gets the same answer but for id and time."""
    request = asking(kind, question)
    fresh = client.chat.completions.create(**request)
    again = client.chat.completions.create(**request)
    assert calls.new == 1
    with direct(provider) as past:
        expected = past.chat.completions.create(**request)
    assert without_mark(fresh) == without_mark(again) == without_mark(expected)
    assert fresh.id != again.id


@pytest.mark.parametrize("kind", sorted(set(REQUESTS) - {"max_tokens"}))  # the SDK itself raises at the limit
def test_streams_carry_the_same_answer(
    kind: str, client: openai.OpenAI, provider: Server, question: str, calls: CallCounter
) -> None:
    """Streamed first, then again from the cache: the SDK's own accumulation comes to the provider's answer."""
    request = asking(kind, question)
    with direct(provider) as past:
        expected = past.chat.completions.create(**request)
    before = calls.total
    for _ in range(2):
        with client.chat.completions.stream(**request) as stream:
            final = stream.get_final_completion()
        for got, wanted in zip(final.choices, expected.choices, strict=True):
            assert got.message.content == wanted.message.content
            assert got.finish_reason == wanted.finish_reason
            got_calls, wanted_calls = got.message.tool_calls or [], wanted.message.tool_calls or []
            assert [call.function.arguments for call in got_calls] == [
                c.function.arguments for c in wanted_calls
            ]
            assert (got.logprobs and got.logprobs.model_dump()) == (
                wanted.logprobs and wanted.logprobs.model_dump()
            )
    assert calls.total - before == 1


def test_stream_and_plain_share_one_answer(client: openai.OpenAI, question: str, calls: CallCounter) -> None:
    """A plain request after a streamed one, and the other way round, costs nothing."""
    streamed = streamed_text(
        list(client.chat.completions.create(model=MODEL, messages=user(question), stream=True))
    )
    plain = client.chat.completions.create(model=MODEL, messages=user(question))
    assert plain.choices[0].message.content == streamed
    assert calls.new == 1
    other = question + " Really?"
    plain = client.chat.completions.create(model=MODEL, messages=user(other))
    chunks = list(client.chat.completions.create(model=MODEL, messages=user(other), stream=True))
    assert streamed_text(chunks) == plain.choices[0].message.content
    assert calls.new == 2


@pytest.mark.parametrize("cached", [False, True])
def test_usage_comes_only_to_those_that_asked(client: openai.OpenAI, question: str, *, cached: bool) -> None:
    """`include_usage` adds one last event without choices; without it there is none, whoever asked first."""
    if cached:
        client.chat.completions.create(model=MODEL, messages=user(question))
    silent = list(client.chat.completions.create(model=MODEL, messages=user(question), stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in silent)
    told = list(
        client.chat.completions.create(
            model=MODEL, messages=user(question), stream=True, stream_options={"include_usage": True}
        )
    )
    assert told[-1].usage is not None
    assert told[-1].usage.completion_tokens > 0
    assert not told[-1].choices
    assert all(chunk.usage is None for chunk in told[:-1])


def test_with_raw_response(client: openai.OpenAI, question: str) -> None:
    """Headers say where an answer came from, and every answer has a request id."""
    fresh = client.chat.completions.with_raw_response.create(model=MODEL, messages=user(question))
    again = client.chat.completions.with_raw_response.create(model=MODEL, messages=user(question))
    assert fresh.headers["x-askonce-outcome"] == "fresh"
    assert fresh.headers["cache-status"] == "askonce; fwd=miss; detail=fresh"
    assert again.headers["x-askonce-outcome"] == "exact"
    assert again.headers["cache-status"].startswith("askonce; hit; ttl=")
    assert int(again.headers["age"]) >= 0
    assert float(again.headers["x-askonce-saved-usd"]) > 0
    assert len(again.headers["x-askonce-entry"]) == 64
    assert fresh.headers["x-request-id"] != again.headers["x-request-id"]


def test_the_callers_request_id_is_kept(client: openai.OpenAI, question: str) -> None:
    """A sane `X-Request-Id` comes back; one that isn't is replaced."""
    create = client.chat.completions.with_raw_response.create
    raw = create(model=MODEL, messages=user(question), extra_headers={"X-Request-Id": "abc-1"})
    assert raw.headers["x-request-id"] == "abc-1"
    raw = create(model=MODEL, messages=user(question), extra_headers={"X-Request-Id": "a b;c"})
    assert raw.headers["x-request-id"].startswith("req_")


class Fact(BaseModel):
    """What structured output is parsed into."""

    name: str
    year: int
    tags: list[str]


def test_parse(client: openai.OpenAI, question: str, calls: CallCounter) -> None:
    """Structured output is parsed by the SDK, from the provider and from the cache."""
    first = client.chat.completions.parse(model=MODEL, messages=user(question), response_format=Fact)
    again = client.chat.completions.parse(model=MODEL, messages=user(question), response_format=Fact)
    assert isinstance(first.choices[0].message.parsed, Fact)
    assert first.choices[0].message.parsed == again.choices[0].message.parsed
    assert calls.new == 1


async def test_async_client(aclient: openai.AsyncOpenAI, question: str) -> None:
    """The asynchronous client, plain and streamed."""
    answer = await aclient.chat.completions.create(model=MODEL, messages=user(question))
    stream = await aclient.chat.completions.create(model=MODEL, messages=user(question), stream=True)
    assert streamed_text([chunk async for chunk in stream]) == answer.choices[0].message.content


def test_tool_arguments_survive(client: openai.OpenAI, question: str) -> None:
    """A tool call's arguments are JSON text that arrives as it was written."""
    request: dict[str, Any] = {
        "model": MODEL,
        "messages": user(question),
        "tools": TOOLS,
        "tool_choice": "required",
    }
    for _ in range(2):
        answer = client.chat.completions.create(**request)
        call = (answer.choices[0].message.tool_calls or [])[0]
        assert call.type == "function"
        assert set(json.loads(call.function.arguments)) == {"city", "days"}


def test_completions(client: openai.OpenAI, question: str, calls: CallCounter) -> None:
    """`/v1/completions`: a prompt, a list of prompts, streamed, and from the cache."""
    one = client.completions.create(model=MODEL, prompt=question)
    assert client.completions.create(model=MODEL, prompt=question).choices[0].text == one.choices[0].text
    many = client.completions.create(model=MODEL, prompt=[question, question + "!"])
    assert [choice.index for choice in many.choices] == [0, 1]
    parts = client.completions.create(model=MODEL, prompt=question, stream=True)
    assert "".join(choice.text for part in parts for choice in part.choices) == one.choices[0].text
    assert calls.new == 2


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings(client: openai.OpenAI, question: str, calls: CallCounter, encoding: Any) -> None:
    """`/v1/embeddings`: vectors are the provider's, also from the cache, in either encoding."""
    create = client.embeddings.create
    first = create(model=MODEL, input=[question, "other"], encoding_format=encoding)
    again = create(model=MODEL, input=[question, "other"], encoding_format=encoding)
    assert first.data == again.data
    assert len(first.data) == 2
    assert first.usage.prompt_tokens > 0
    assert calls.new == 1


def test_models(client: openai.OpenAI) -> None:
    """`/v1/models` lists the provider's models and the configuration's aliases; one can be retrieved."""
    listed = {model.id for model in client.models.list()}
    assert "cheap" in listed
    assert client.models.retrieve("cheap").id == "cheap"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("there-is-none")


def test_alias_is_what_the_caller_sees(client: openai.OpenAI, question: str, calls: CallCounter) -> None:
    """An alias and the model behind it share an answer; each caller sees the name that it asked for."""
    aliased = client.chat.completions.create(model="cheap", messages=user(question))
    plain = client.chat.completions.create(model=MODEL, messages=user(question))
    assert calls.new == 1
    assert aliased.model == "cheap"
    assert plain.model == MODEL
    chunks = list(client.chat.completions.create(model="cheap", messages=user(question), stream=True))
    assert {chunk.model for chunk in chunks} == {"cheap"}

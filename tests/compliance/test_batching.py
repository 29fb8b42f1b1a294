"""Batching as callers see it: the official SDK, a gateway, and a provider that works on one call at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import pytest

from servers import CallCounter, Server, gateway, simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CONFIG = """\
upstreams:
  - {{name: engine, type: python, function: "upstreams.engines:echo", models: [engine-1]}}
  - name: provider
    base_url: "{upstream}"
    batching: {{completions: on, chat: vllm}}
defaults: {{semantic: "off"}}
"""
TESTS = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("engine")
    with simulator(folder, "--ttft", "0", "--tps", "100000", "--slots", "1", "--call-ms", "50") as server:
        yield server


@pytest.fixture(scope="module")
def batching(tmp_path_factory: pytest.TempPathFactory, engine: Server) -> Iterator[Server]:
    config = CONFIG.format(upstream=engine.base_url)
    folder, environment = tmp_path_factory.mktemp("batching"), {"PYTHONPATH": str(TESTS)}
    with gateway(folder, config, environment) as server:
        yield server


@pytest.fixture
async def asker(batching: Server) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=batching.base_url, api_key="sk-test", max_retries=0) as client:
        yield client


async def test_inputs_of_many_callers_are_one_call(asker: openai.AsyncOpenAI, engine: Server) -> None:
    """Forty callers with inputs of all kinds get the vectors, order and usage that each would have got alone."""
    inputs: list[Any] = [f"text {n}" if n % 2 else [f"text {n}", f"more {n}"] for n in range(40)]
    calls = CallCounter(engine)
    answers = await asyncio.gather(*(asker.embeddings.create(model="m", input=one) for one in inputs))
    assert calls.new < len(inputs) / 4
    async with openai.AsyncOpenAI(base_url=engine.base_url, api_key="sk-test") as direct:
        for asked, answer in zip(inputs, answers, strict=True):
            alone = await direct.embeddings.create(model="m", input=asked)
            assert [one.embedding for one in answer.data] == [one.embedding for one in alone.data]
            assert [one.index for one in answer.data] == list(range(len(answer.data)))
            assert answer.usage.total_tokens > 0


async def test_identical_inputs_are_one_item(asker: openai.AsyncOpenAI, engine: Server) -> None:
    """Identical requests share a flight before anything is batched: the upstream sees each text once."""
    before = engine.json("/stats")["inputs"]
    await asyncio.gather(*(asker.embeddings.create(model="m", input=f"the same {n % 4}") for n in range(40)))
    assert engine.json("/stats")["inputs"] - before == 4


async def test_one_bad_input_fails_nobody_else(asker: openai.AsyncOpenAI) -> None:
    """The caller at fault is told what is wrong with its input; the others have their vectors."""
    inputs: list[str | list[str]] = [*(f"fine {n}" for n in range(12)), ["good", ""]]
    answers = await asyncio.gather(
        *(asker.embeddings.create(model="m", input=one) for one in inputs), return_exceptions=True
    )
    refused = answers.pop()
    assert isinstance(refused, openai.BadRequestError)
    assert "input" in str(refused)
    assert not any(isinstance(answer, BaseException) for answer in answers)


async def test_prompts_of_many_callers_are_one_call(asker: openai.AsyncOpenAI, engine: Server) -> None:
    """Completions with several choices each come back to whoever asked."""
    calls = CallCounter(engine)
    answers = await asyncio.gather(
        *(asker.completions.create(model="m", prompt=f"prompt {n}", n=2, echo=True) for n in range(20))
    )
    assert calls.new < 10
    for number, answer in enumerate(answers):
        assert [choice.index for choice in answer.choices] == [0, 1]
        assert all(choice.text.startswith(f"prompt {number}") for choice in answer.choices)
    assert len({answer.id for answer in answers}) == len(answers)


async def test_chats_of_many_callers_are_one_call(asker: openai.AsyncOpenAI, engine: Server) -> None:
    """Where the upstream is said to be vLLM, plain chats go together; a stream among them goes alone."""
    calls = CallCounter(engine)

    async def chat(text: str) -> str:
        answer = await asker.chat.completions.create(
            model="m", messages=[{"role": "user", "content": text}], max_tokens=8
        )
        assert answer.usage is not None
        assert answer.usage.completion_tokens > 0
        return answer.choices[0].message.content or ""

    texts = await asyncio.gather(*(chat(f"chat {n}") for n in range(20)))
    assert calls.new < 10
    assert all(texts)
    stream = await asker.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "streamed"}], stream=True
    )
    assert [chunk async for chunk in stream]


async def test_a_function_answers_plain_and_streaming_callers(asker: openai.AsyncOpenAI) -> None:
    """An engine in the gateway's process is asked for many at a time; who wants events gets the answer as events."""

    async def plain(text: str) -> str | None:
        answer = await asker.chat.completions.create(
            model="engine-1", messages=[{"role": "user", "content": text}]
        )
        return answer.choices[0].message.content

    async def streamed(text: str) -> str:
        stream = await asker.chat.completions.create(
            model="engine-1",
            messages=[{"role": "user", "content": text}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.total_tokens == 7
        return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)

    asked = [(plain if n % 2 else streamed)(f"number {n}") for n in range(20)]
    assert await asyncio.gather(*asked) == [f"You said: number {n}" for n in range(20)]
    with pytest.raises(openai.UnprocessableEntityError, match="isn't for me"):
        await plain("refuse")
    assert "engine-1" in [model.id async for model in asker.models.list()]

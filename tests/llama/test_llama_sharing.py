"""What sharing and leaving mean to a real LLM server: tokens that it generates, or doesn't."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from servers import PATIENCE_S, until

if TYPE_CHECKING:
    import openai

    from llama.llama_server import LlamaServer

pytestmark = pytest.mark.llama
MODEL = "tiny"
MANY = 16_000
"""Tokens that take many times as long to generate as a test waits."""
_numbers = itertools.count()


def chat(max_tokens: int) -> dict[str, Any]:
    """A question that no other test asks."""
    messages = [{"role": "user", "content": f"Who was first in the year {next(_numbers)}?"}]
    return {"model": MODEL, "messages": messages, "max_tokens": max_tokens}


async def stream_text(client: openai.AsyncOpenAI, request: dict[str, Any]) -> tuple[str, str]:
    raw = await client.chat.completions.with_raw_response.create(stream=True, **request)
    text = ""
    async for chunk in raw.parse():
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
    return raw.headers["x-askonce-outcome"], text


async def test_twenty_identical_streams_are_one_generation(
    aclient: openai.AsyncOpenAI, llama: LlamaServer
) -> None:
    """Twenty callers read the same 400 words; the server generated 400 tokens, not 8,000."""
    request, before = chat(400), llama.work
    answers = await asyncio.gather(*(stream_text(aclient, request) for _ in range(20)))
    assert sorted(outcome for outcome, _ in answers) == ["fresh"] + ["joined"] * 19
    assert len({text for _, text in answers}) == 1
    assert len(answers[0][1].split()) == 400
    llama.rest(PATIENCE_S)
    assert llama.work.predicted == before.predicted + 400


async def test_a_kept_answer_costs_the_server_nothing(
    aclient: openai.AsyncOpenAI, llama: LlamaServer
) -> None:
    """Asked again, streamed or plain: the same words, and no token read or generated."""
    request = chat(50)
    _, text = await stream_text(aclient, request)
    llama.rest(PATIENCE_S)
    before = llama.work
    assert await stream_text(aclient, request) == ("exact", text)
    whole = await aclient.chat.completions.create(**request)
    assert whole.choices[0].message.content == text
    assert llama.work == before


@pytest.mark.parametrize("stream", [True, False])
async def test_the_last_caller_to_leave_stops_the_generation(
    aclient: openai.AsyncOpenAI,
    llama: LlamaServer,
    stream: bool,  # noqa: FBT001 - a case
) -> None:
    """Three callers of one answer leave one by one: it goes on for the second and third, and ends with them, long before its end."""
    request, before = chat(MANY), llama.work

    async def ask() -> None:
        if stream:
            await stream_text(aclient, request)
        else:
            await aclient.chat.completions.create(**request)

    callers = [asyncio.create_task(ask()) for _ in range(3)]
    await asyncio.to_thread(until, lambda: llama.busy_slots == 1, "the server generates")
    for caller in callers[:2]:
        caller.cancel()
    await asyncio.sleep(0.3)
    assert await asyncio.to_thread(lambda: llama.busy_slots) == 1
    callers[2].cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    await asyncio.to_thread(llama.rest, PATIENCE_S)
    assert llama.work.predicted - before.predicted < MANY / 2


async def test_callers_of_other_answers_are_left_alone(
    aclient: openai.AsyncOpenAI, llama: LlamaServer
) -> None:
    """One generation is stopped while another runs beside it; that one comes to its own end."""
    before = llama.work
    leaving = asyncio.create_task(stream_text(aclient, chat(MANY)))
    staying = asyncio.create_task(stream_text(aclient, chat(1_000)))
    await asyncio.to_thread(until, lambda: llama.busy_slots == 2, "the server generates both")
    leaving.cancel()
    _, text = await staying
    assert len(text.split()) == 1_000
    await asyncio.to_thread(llama.rest, PATIENCE_S)
    assert llama.work.predicted - before.predicted < MANY / 2


async def test_a_generation_outlives_its_first_caller(
    aclient: openai.AsyncOpenAI, llama: LlamaServer
) -> None:
    """The caller that began it leaves; one that joined gets all of it, from the first word, and the server never began again."""
    request, before = chat(1_000), llama.work
    first = asyncio.create_task(stream_text(aclient, request))
    await asyncio.to_thread(until, lambda: llama.busy_slots == 1, "the server generates")
    second = asyncio.create_task(stream_text(aclient, request))
    await asyncio.sleep(0.2)
    first.cancel()
    outcome, text = await second
    assert outcome == "joined"
    assert len(text.split()) == 1_000
    llama.rest(PATIENCE_S)
    assert llama.work.predicted == before.predicted + 1_000

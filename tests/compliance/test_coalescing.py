"""In-flight coalescing over real sockets, with the official SDK: DESIGN's promises as a caller sees them."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import openai
import pytest

from servers import PATIENCE_S, gateway, until

if TYPE_CHECKING:
    from pathlib import Path

    from servers import CallCounter, Server


def chat(text: str, directive: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    body = {"x_simulate": directive} if directive else {}
    return {
        "model": "sim-small",
        "messages": [{"role": "user", "content": text}],
        "extra_body": body,
        **fields,
    }


async def plain_text(client: openai.AsyncOpenAI, **request: Any) -> tuple[str, str]:
    raw = await client.chat.completions.with_raw_response.create(**request)
    return raw.headers["x-askonce-outcome"], raw.parse().choices[0].message.content or ""


async def stream_text(client: openai.AsyncOpenAI, **request: Any) -> tuple[str, str]:
    raw = await client.chat.completions.with_raw_response.create(stream=True, **request)
    text = ""
    async for chunk in raw.parse():
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
    return raw.headers["x-askonce-outcome"], text


@pytest.mark.parametrize("leads", ["plain", "stream"])
async def test_fifty_identical_requests_are_one_upstream_call(
    aclient: openai.AsyncOpenAI, question: str, calls: CallCounter, leads: str
) -> None:
    """Half streamed, half not, whoever comes first: one call, one fresh outcome, one text for all."""
    request = chat(question, {"ttft_ms": 500})
    first, second = (plain_text, stream_text) if leads == "plain" else (stream_text, plain_text)
    tasks = [asyncio.create_task((first if n % 2 == 0 else second)(aclient, **request)) for n in range(50)]
    answers = await asyncio.gather(*tasks)
    assert calls.new == 1
    assert sorted(outcome for outcome, _ in answers) == ["fresh"] + ["joined"] * 49
    assert len({text for _, text in answers}) == 1
    assert answers[0][1]


async def test_every_copy_has_its_own_id(aclient: openai.AsyncOpenAI, question: str) -> None:
    """Envelopes aren't shared: fifty callers, fifty ids."""
    request = chat(question, {"ttft_ms": 300})
    answers = await asyncio.gather(*(aclient.chat.completions.create(**request) for _ in range(50)))
    assert len({answer.id for answer in answers}) == 50
    assert all(answer.id.startswith("chatcmpl-") for answer in answers)


async def test_a_late_joiner_gets_the_whole_stream(
    aclient: openai.AsyncOpenAI, question: str, calls: CallCounter
) -> None:
    """Joining in the middle of a stream replays it from its first event."""
    request = chat(question, {"tokens": 60, "ttft_ms": 50})
    stream = await aclient.chat.completions.create(stream=True, **request)
    early = ""
    late: asyncio.Task[tuple[str, str]] | None = None
    async for chunk in stream:
        early += chunk.choices[0].delta.content or ""
        if late is None and early:
            late = asyncio.create_task(stream_text(aclient, **request))
    assert late is not None
    _, text = await late
    assert text == early
    assert calls.new == 1


async def aboard(server: Server, callers: int) -> None:
    """Waits until so many callers are on flights."""
    seen = partial(server.metric, "askonce_flight_callers")
    await asyncio.to_thread(until, lambda: seen() == callers, f"{callers} callers aboard")


@pytest.mark.parametrize("after_s", [0.0, 0.4, 0.7])
async def test_a_leader_that_leaves_costs_its_followers_nothing(
    plain: Server, aclient: openai.AsyncOpenAI, question: str, calls: CallCounter, after_s: float
) -> None:
    """The first caller disconnects before, during or late in the answer; the others get all of it, from one call."""
    request = chat(question, {"ttft_ms": 400, "tokens": 200})
    leader = asyncio.create_task(stream_text(aclient, **request))
    await aboard(plain, 1)
    followers = [asyncio.create_task(stream_text(aclient, **request)) for _ in range(5)]
    followers += [asyncio.create_task(plain_text(aclient, **request)) for _ in range(5)]
    await aboard(plain, 11)
    await asyncio.sleep(after_s)
    leader.cancel()
    answers = await asyncio.gather(*followers)
    assert calls.new == 1
    assert len({text for _, text in answers}) == 1
    assert {outcome for outcome, _ in answers} == {"joined"}


async def test_a_fatal_error_goes_to_all(
    aclient: openai.AsyncOpenAI, question: str, calls: CallCounter
) -> None:
    """The request itself is at fault: one call, and everybody hears of it."""
    request = chat(question, {"ttft_ms": 300, "status": 400})
    answers = await asyncio.gather(
        *(plain_text(aclient, **request) for _ in range(10)), return_exceptions=True
    )
    assert all(isinstance(answer, openai.BadRequestError) for answer in answers)
    assert calls.new == 1


async def test_a_transient_error_hands_the_lead_on_once(
    aclient: openai.AsyncOpenAI, question: str, calls: CallCounter
) -> None:
    """The first call fails with 500: its leader is told, one of the others asks again, and all others are served."""
    request = chat(question, {"ttft_ms": 300, "status": 500, "attempts": 1})
    answers = await asyncio.gather(
        *(plain_text(aclient, **request) for _ in range(10)), return_exceptions=True
    )
    failed = [answer for answer in answers if isinstance(answer, BaseException)]
    served = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert [type(failure) for failure in failed] == [openai.InternalServerError]
    assert len({text for _, text in served}) == 1
    assert calls.new == 2


async def test_a_second_transient_error_goes_to_all(
    aclient: openai.AsyncOpenAI, question: str, calls: CallCounter
) -> None:
    """Two failures are the upstream's trouble, not the leader's: no third call, everybody is told."""
    request = chat(question, {"ttft_ms": 300, "status": 500})
    answers = await asyncio.gather(
        *(plain_text(aclient, **request) for _ in range(10)), return_exceptions=True
    )
    assert all(isinstance(answer, openai.InternalServerError) for answer in answers)
    assert calls.new == 2


async def test_each_caller_has_its_own_deadline(
    aclient: openai.AsyncOpenAI, question: str, calls: CallCounter
) -> None:
    """An impatient leader gets a 504 of its own; the patient follower gets the answer of the same call."""
    request = chat(question, {"ttft_ms": 800})
    impatient = asyncio.create_task(
        plain_text(aclient, **request, extra_headers={"X-Askonce-Timeout": "0.2"})
    )
    await asyncio.sleep(0.05)
    patient = asyncio.create_task(plain_text(aclient, **request))
    with pytest.raises(openai.InternalServerError) as caught:
        await impatient
    assert caught.value.status_code == 504
    assert caught.value.code == "deadline_exceeded"
    assert (await patient)[0] == "joined"
    assert calls.new == 1


async def test_a_slow_reader_slows_nobody(aclient: openai.AsyncOpenAI, question: str, plain: Server) -> None:
    """One caller reads nothing while the answer (larger than its socket's buffers) streams by; the others finish."""
    request = chat(question, {"ttft_ms": 200, "tokens": 20_000})
    body = json.dumps(
        {**{k: v for k, v in request.items() if k != "extra_body"}, **request["extra_body"], "stream": True}
    )
    port = int(plain.root.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-test\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body.encode())
    )
    await asyncio.sleep(0.1)
    answers = await asyncio.gather(*(stream_text(aclient, **request) for _ in range(3)))
    assert {outcome for outcome, _ in answers} == {"joined"}
    assert len({text for _, text in answers}) == 1
    received = await reader.read(1_000)
    while part := await reader.read(65_536):
        received += part
        if b"[DONE]" in received[-100:]:
            break
    assert b"[DONE]" in received
    writer.close()


async def test_uncacheable_answers_do_not_queue_callers(
    aclient: openai.AsyncOpenAI, question: str, calls: CallCounter
) -> None:
    """`no-store` from the upstream: nothing is kept, and the next callers go each on their own at once."""
    request = chat(question, {"no_store": True, "ttft_ms": 100})
    assert (await plain_text(aclient, **request))[0] == "fresh"
    answers = await asyncio.gather(*(plain_text(aclient, **request) for _ in range(3)))
    assert [outcome for outcome, _ in answers] == ["fresh"] * 3
    assert calls.new == 4


async def test_high_temperature_is_not_shared_but_by_retries(
    aclient: openai.AsyncOpenAI, question: str, calls: CallCounter
) -> None:
    """Above the policy's temperature each caller gets its own sample; a retry of the same caller joins its first try."""
    request = chat(question, {"ttft_ms": 400}, temperature=1.5)
    retry = {**request, "extra_headers": {"x-stainless-retry-count": "1"}}
    first = [asyncio.create_task(plain_text(aclient, **request)) for _ in range(2)]
    await asyncio.sleep(0.1)
    assert (await plain_text(aclient, **retry))[0] == "joined"
    await asyncio.gather(*first)
    assert calls.new == 2


def test_shutdown_drains_flights(tmp_path: Path, provider: Server, question: str) -> None:
    """SIGTERM while an answer is under way: its caller still gets all of it, then the process ends with 0."""
    config = f"upstreams: [{{name: p, base_url: '{provider.base_url}'}}]\ndefaults: {{semantic: 'off'}}\n"
    with (
        gateway(tmp_path, config) as server,
        openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client,
    ):
        stream = client.chat.completions.create(
            stream=True, **chat(question, {"ttft_ms": 100, "tokens": 400})
        )
        text = next(iter(stream)).choices[0].delta.content or ""
        server.process.terminate()
        text += "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)
        assert len(text.split()) > 100
        assert server.process.wait(PATIENCE_S) == 0


def test_the_last_caller_leaving_lets_the_answer_finish_when_told_so(
    tmp_path: Path, provider: Server, question: str
) -> None:
    """`linger: finish`: the abandoned answer completes, is stored, and serves the next caller."""
    config = f"upstreams: [{{name: p, base_url: '{provider.base_url}'}}]\ndefaults: {{linger: finish, semantic: 'off'}}\n"
    with (
        gateway(tmp_path, config) as server,
        openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client,
    ):
        with pytest.raises(openai.APITimeoutError):
            client.with_options(timeout=0.2).chat.completions.create(**chat(question, {"ttft_ms": 700}))
        until(lambda: server.json("/healthz")["flights"] == {"running": 0, "callers": 0}, "the flight lands")
        raw = client.chat.completions.with_raw_response.create(**chat(question, {"ttft_ms": 700}))
        assert raw.headers["x-askonce-outcome"] == "exact"

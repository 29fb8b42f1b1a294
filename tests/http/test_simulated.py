"""The simulated provider over a real socket, as the official SDK and a bare client see it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from base64 import b64decode
from dataclasses import dataclass
from http.client import HTTPConnection, IncompleteRead
from typing import TYPE_CHECKING, Any, Literal

import openai
import pytest
import uvicorn
from pydantic import BaseModel, Field

from askonce.http.simulated import KeyRule, SimulatedApp, SimulatedProtocol
from askonce.upstreams.simulated import RateLimits, SimulatedModel, SimulatedUpstream, Simulation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

Json = dict[str, Any]
MESSAGES: Any = [{"role": "user", "content": "How do I reset my password?"}]
OUR_MODEL = "model-a"


class Clock:
    def now(self) -> float:
        return 1_700_000_000.0


@dataclass(frozen=True)
class Server:
    """A running simulated provider."""

    port: int
    upstream: SimulatedUpstream

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def request(
        self, method: str, path: str, body: Json | None = None, key: str = "any"
    ) -> tuple[int, Any, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def chat(self, **fields: Any) -> tuple[int, Any, bytes]:
        return self.request(
            "POST", "/v1/chat/completions", {"model": OUR_MODEL, "messages": MESSAGES, **fields}
        )


def serve(key_rule: KeyRule, rate_limits: RateLimits | None = None) -> Iterator[Server]:
    """Runs the app in a thread on a free port."""
    simulation = Simulation(models=(SimulatedModel(OUR_MODEL),), rate_limits=rate_limits or RateLimits())
    upstream = SimulatedUpstream(simulation, Clock())
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        SimulatedApp(upstream, key_rule),
        loop="uvloop",
        http=SimulatedProtocol,
        lifespan="off",
        log_level="critical",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield Server(listener.getsockname()[1], upstream)
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    yield from serve(KeyRule())


@pytest.fixture
def server(running: Server) -> Server:
    """The module's server with its counters at zero."""
    running.upstream.counters.reset()
    return running


@pytest.fixture(scope="module")
def client(running: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="any", base_url=running.base_url, max_retries=0, timeout=10) as client:
        yield client


@pytest.fixture
async def async_client(running: Server) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        api_key="any", base_url=running.base_url, max_retries=0, timeout=10
    ) as client:
        yield client


def until(condition: Any) -> None:
    """Waits for what another thread is about to do."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "what was waited for didn't come"
        time.sleep(0.005)


class TestSdk:
    def test_plain_chat(self, client: openai.OpenAI) -> None:
        """The SDK reads a plain answer, its usage and the request id."""
        answer = client.chat.completions.create(model=OUR_MODEL, messages=MESSAGES)
        assert "How do I reset my password?" in (answer.choices[0].message.content or "")
        assert answer.usage is not None
        assert answer.usage.prompt_tokens_details is not None
        assert (answer._request_id or "").startswith("req_")

    def test_streamed_chat_says_the_same(self, client: openai.OpenAI) -> None:
        """The stream's pieces join to the plain answer; the last chunk carries the usage alone."""
        plain = client.chat.completions.create(model=OUR_MODEL, messages=MESSAGES)
        with client.chat.completions.create(
            model=OUR_MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        ) as stream:
            chunks = list(stream)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
        assert text == plain.choices[0].message.content
        assert chunks[-1].choices == []
        assert chunks[-1].usage == plain.usage

    async def test_asynchronous_chat(self, async_client: openai.AsyncOpenAI) -> None:
        """The asynchronous client gets the same, streamed and plain, many at once."""
        create = async_client.chat.completions.create
        answers = await asyncio.gather(*(create(model=OUR_MODEL, messages=MESSAGES) for _ in range(10)))
        assert len({answer.choices[0].message.content for answer in answers}) == 1
        text = ""
        async for chunk in await create(model=OUR_MODEL, messages=MESSAGES, stream=True):
            text += chunk.choices[0].delta.content or ""
        assert text == answers[0].choices[0].message.content

    def test_a_pydantic_model_is_parsed(self, client: openai.OpenAI) -> None:
        """`.parse` fills a nested model with references, choices and lists, plain and streamed."""

        class Step(BaseModel):
            kind: Literal["look", "act"]
            minutes: float

        class Plan(BaseModel):
            title: str
            size: int = Field(ge=1, le=5)
            steps: list[Step]
            done: bool
            note: str | None

        answer = client.chat.completions.parse(model=OUR_MODEL, messages=MESSAGES, response_format=Plan)
        plan = answer.choices[0].message.parsed
        assert isinstance(plan, Plan)
        assert plan.steps
        with client.chat.completions.stream(
            model=OUR_MODEL, messages=MESSAGES, response_format=Plan
        ) as stream:
            assert stream.get_final_completion().choices[0].message.parsed == plan

    def test_tool_calls_stream_in_pieces(self, client: openai.OpenAI) -> None:
        """The SDK's accumulator joins the pieces to the arguments that the plain answer has."""
        parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
        tools: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": parameters}}]
        plain = client.chat.completions.create(
            model=OUR_MODEL, messages=MESSAGES, tools=tools, tool_choice="required"
        )
        calls: Any = plain.choices[0].message.tool_calls
        with client.chat.completions.stream(
            model=OUR_MODEL, messages=MESSAGES, tools=tools, tool_choice="required"
        ) as stream:
            kinds = [event.type for event in stream]
            final: Any = stream.get_final_completion().choices[0]
        assert kinds.count("tool_calls.function.arguments.delta") > 2
        assert final.finish_reason == "tool_calls"
        assert final.message.tool_calls[0].function.arguments == calls[0].function.arguments
        assert final.message.tool_calls[0].id == calls[0].id

    def test_logprobs(self, client: openai.OpenAI) -> None:
        """Chat and completions give log-probabilities in their own shapes."""
        chat = client.chat.completions.create(
            model=OUR_MODEL, messages=MESSAGES, logprobs=True, top_logprobs=2, max_tokens=4
        )
        assert chat.choices[0].logprobs is not None
        assert [len(entry.top_logprobs) for entry in chat.choices[0].logprobs.content or []] == [2] * 4
        text = client.completions.create(model=OUR_MODEL, prompt="Once", logprobs=2, max_tokens=3)
        assert text.choices[0].logprobs is not None
        assert "".join(text.choices[0].logprobs.tokens or []) == text.choices[0].text

    def test_completions_of_several_prompts(self, client: openai.OpenAI) -> None:
        """A list of prompts is answered in order, streamed as well."""
        whole = client.completions.create(model=OUR_MODEL, prompt=["a", "b"], max_tokens=5)
        texts = ["", ""]
        for chunk in client.completions.create(model=OUR_MODEL, prompt=["a", "b"], max_tokens=5, stream=True):
            texts[chunk.choices[0].index] += chunk.choices[0].text
        assert texts == [choice.text for choice in whole.choices]

    def test_embeddings_in_both_encodings(self, client: openai.OpenAI) -> None:
        """The SDK's default (base64) and explicit floats are the same unit vector."""
        packed = client.embeddings.create(model=OUR_MODEL, input=["a", "b"], dimensions=16)
        floats = client.embeddings.create(
            model=OUR_MODEL, input=["a", "b"], dimensions=16, encoding_format="float"
        )
        assert [len(row.embedding) for row in packed.data] == [16, 16]
        assert packed.data[1].embedding == pytest.approx(floats.data[1].embedding, abs=1e-6)
        raw: Any = client.embeddings.with_raw_response.create(
            model=OUR_MODEL, input="a", dimensions=16, encoding_format="base64"
        )
        assert len(b64decode(json.loads(raw.content)["data"][0]["embedding"])) == 64

    def test_models(self, client: openai.OpenAI) -> None:
        """The list and one model by name; another name isn't found."""
        assert [model.id for model in client.models.list()] == [OUR_MODEL]
        assert client.models.retrieve(OUR_MODEL).id == OUR_MODEL
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("other")

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, openai.BadRequestError),
            (401, openai.AuthenticationError),
            (403, openai.PermissionDeniedError),
            (404, openai.NotFoundError),
            (422, openai.UnprocessableEntityError),
            (429, openai.RateLimitError),
            (500, openai.InternalServerError),
            (503, openai.InternalServerError),
        ],
    )
    def test_errors_become_the_sdks_classes(
        self, client: openai.OpenAI, status: int, error: type[openai.APIStatusError]
    ) -> None:
        """Each status raises the class that SDK users catch, with the code in its place."""
        with pytest.raises(error) as caught:
            client.chat.completions.create(
                model=OUR_MODEL, messages=MESSAGES, extra_body={"x_simulate": {"status": status}}
            )
        assert caught.value.status_code == status
        assert isinstance(caught.value.code, str)
        assert caught.value.request_id

    def test_a_retrying_client_gets_through(self, server: Server, client: openai.OpenAI) -> None:
        """The SDK's own retry succeeds after the ordered failure, waiting as `Retry-After` says."""
        answer = client.with_options(max_retries=1).chat.completions.create(
            model=OUR_MODEL,
            messages=MESSAGES,
            extra_body={"x_simulate": {"status": 429, "retry_after_s": 0.01, "attempts": 1}},
        )
        assert answer.choices
        assert server.upstream.counters.by_outcome == {"429": 1, "ok": 1}


class TestWire:
    def test_a_stream_ends_with_the_end_mark(self, server: Server) -> None:
        """Events are `data:` lines apart by empty ones, the last `[DONE]`."""
        status, headers, body = server.chat(stream=True)
        events = body.decode().split("\n\n")
        assert status == 200
        assert headers["content-type"].startswith("text/event-stream")
        assert events[-2:] == ["data: [DONE]", ""]
        assert all(json.loads(event.removeprefix("data: "))["choices"] for event in events[:-2])

    @pytest.mark.parametrize("stream", [True, False])
    def test_half_an_answer_ends_with_the_connection(self, server: Server, stream: bool) -> None:  # noqa: FBT001 - a case
        """The body never completes: neither the last chunk nor the promised length comes."""
        with pytest.raises(IncompleteRead) as caught:
            server.chat(stream=stream, x_simulate={"break_after_events": 2})
        assert caught.value.partial
        assert b"[DONE]" not in caught.value.partial
        assert server.upstream.counters.by_outcome == {"half": 1}

    def test_garbage_is_garbage(self, server: Server) -> None:
        """A broken event between whole ones, and a plain body that is no JSON."""
        _, _, body = server.chat(stream=True, x_simulate={"garbage": True})
        third = body.split(b"\n\n")[2].removeprefix(b"data: ")
        _, _, plain = server.chat(x_simulate={"garbage": True})
        for broken in (third, plain):
            with pytest.raises(json.JSONDecodeError):
                json.loads(broken)
        assert body.endswith(b"data: [DONE]\n\n")

    @pytest.mark.parametrize(("order", "status"), [({}, 200), ({"status": 502}, 502)])
    @pytest.mark.parametrize("stream", [True, False])
    def test_html_says_that_it_is(self, server: Server, order: Json, status: int, stream: bool) -> None:  # noqa: FBT001 - a case
        """A page of HTML under 200 or the ordered status, as a misconfigured proxy sends it."""
        got, headers, body = server.chat(stream=stream, x_simulate={"html": True, **order})
        assert got == status
        assert headers["content-type"].startswith("text/html")
        assert b"<html" in body

    def test_headers_carry_what_was_directed(self, server: Server) -> None:
        """`Retry-After` on failures, `Cache-Control` on answers."""
        assert server.chat(x_simulate={"status": 429, "retry_after_s": 3})[1]["retry-after"] == "3"
        assert server.chat(x_simulate={"no_store": True})[1]["cache-control"] == "no-store"
        assert server.chat(x_simulate={"max_age_s": 5})[1]["cache-control"] == "max-age=5"

    @pytest.mark.parametrize("stream", [True, False])
    def test_a_caller_that_leaves_cancels_its_answer(self, server: Server, stream: bool) -> None:  # noqa: FBT001 - a case
        """Closing the connection while the first token is awaited ends the call."""
        body = {"model": OUR_MODEL, "messages": MESSAGES, "stream": stream, "x_simulate": {"ttft_ms": 60_000}}
        connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
        headers = {"Authorization": "Bearer any"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        counters = server.upstream.counters
        until(lambda: counters.running == 1)
        connection.close()
        until(lambda: counters.running == 0)
        assert counters.by_outcome == {"cancelled": 1}

    def test_stats_are_told_and_reset(self, server: Server) -> None:
        """The counters as JSON, without a key; reset starts from zero."""
        server.chat()
        _, _, body = server.request("GET", "/stats", key="")
        assert json.loads(body)["calls"] == 1
        server.request("POST", "/stats/reset", key="")
        assert server.upstream.counters.calls == 0

    @pytest.mark.parametrize("stream", [True, False])
    def test_a_dead_server_resets_connections(self, server: Server, stream: bool) -> None:  # noqa: FBT001 - a case
        """Who asks it meanwhile reads a reset and no byte; `/stats` and `/v1/models` answer; an order ends it."""
        status, _, _ = server.request("POST", "/outage", {"kind": "refuse", "seconds": 60}, key="")
        try:
            assert status == 200
            for _ in range(3):
                with pytest.raises(ConnectionResetError):
                    server.chat(stream=stream)
            assert json.loads(server.request("GET", "/stats")[2])["in_outage"] == 3
            assert server.request("GET", "/v1/models")[0] == 200
        finally:
            server.request("POST", "/outage", {"kind": "refuse", "seconds": 0}, key="")
        assert server.chat(stream=stream)[0] == 200
        assert server.upstream.counters.by_outcome == {"severed": 3, "ok": 1}

    def test_a_reset_ends_a_running_stream(self, server: Server) -> None:
        """What was sent arrives, the end mark doesn't."""
        connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
        body = {"model": OUR_MODEL, "messages": MESSAGES, "stream": True, "x_simulate": {"ttft_ms": 300}}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": "Bearer any"})
        until(lambda: server.upstream.counters.running == 1)
        server.request("POST", "/outage", {"kind": "reset", "seconds": 0.01}, key="")
        with pytest.raises(ConnectionResetError):
            connection.getresponse()
        connection.close()
        assert server.upstream.counters.by_outcome == {"severed": 1}

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"kind": "fire", "seconds": 1},
            {"kind": "hang", "seconds": -1},
            {"kind": "hang", "seconds": "x"},
        ],
    )
    def test_a_senseless_outage_is_refused(self, server: Server, body: Json) -> None:
        """400, and the server lives on."""
        status, _, said = server.request("POST", "/outage", body)
        assert status == 400
        assert json.loads(said)["error"]["message"].startswith("Invalid outage")
        assert server.chat()[0] == 200

    def test_limits_are_told_in_headers(self) -> None:
        """An answer says what is left, a 429 when to come again."""
        for server in serve(KeyRule(), RateLimits(requests_per_minute=2)):
            answers = [server.chat() for _ in range(3)]
            assert [status for status, _, _ in answers] == [200, 200, 429]
            assert [headers["x-ratelimit-remaining-requests"] for _, headers, _ in answers] == ["1", "0", "0"]
            refusal = answers[2][1]
            assert 0 < float(refusal["retry-after"]) <= 30
            assert refusal["x-ratelimit-limit-requests"] == "2"
            assert "retry-after" not in answers[1][1]

    def test_unknown_paths_and_methods_are_refused_in_shape(self, server: Server) -> None:
        """404 with an error object."""
        for method, path in (("GET", "/v1/chat/completions"), ("POST", "/v1/other"), ("GET", "/")):
            status, _, body = server.request(method, path)
            assert status == 404
            assert json.loads(body)["error"]["code"] == "unknown_url"


class TestKeys:
    def test_a_missing_key_is_refused(self, server: Server) -> None:
        """Without a key a provider says 401, and counts no call."""
        status, _, body = server.request("POST", "/v1/chat/completions", {"model": OUR_MODEL}, key="")
        assert status == 401
        assert json.loads(body)["error"]["code"] == "invalid_api_key"
        assert server.upstream.counters.calls == 0

    def test_rules(self) -> None:
        """Any key, one key, or none at all."""
        assert KeyRule().accepts("x")
        assert not KeyRule().accepts("")
        assert not KeyRule(key="a").accepts("b")
        assert KeyRule(key="a").accepts("a")
        assert KeyRule(required=False).accepts(None)


def test_the_books_know_each_call_by_the_id_that_it_came_with(client: openai.OpenAI, server: Server) -> None:
    """Whole answers, refused ones and repeated ids are told apart, with the tokens that their usage says."""
    asked = {"model": OUR_MODEL, "messages": MESSAGES, "extra_headers": {"X-Client-Request-Id": "call-one"}}
    usage = client.chat.completions.create(**asked).usage
    client.chat.completions.create(**asked)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(
            model=OUR_MODEL, messages=[], extra_headers={"X-Client-Request-Id": "call-two"}
        )
    books = json.loads(server.request("GET", "/books")[2])
    assert usage is not None
    assert books["call-one"] == {
        "calls": 2,
        "state": "ok",
        "prompt_tokens": 2 * usage.prompt_tokens,
        "completion_tokens": 2 * usage.completion_tokens,
    }
    assert books["call-two"] == {"calls": 1, "state": "400", "prompt_tokens": 0, "completion_tokens": 0}

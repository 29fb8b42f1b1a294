"""Bad input and bad upstreams: a clear error in the SDK's own class, with a request id; nothing stored, nothing hangs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pytest

from servers import gateway, until

if TYPE_CHECKING:
    from pathlib import Path

    from servers import CallCounter, Server

AUTH = {"Authorization": "Bearer sk-test"}
CHAT = "/v1/chat/completions"


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "sim-small", "messages": [{"role": "user", "content": text}], **fields}


BODIES: dict[str, bytes] = {
    "not JSON": b'{"model": "sim-small", "messages": [',
    "empty": b"",
    "not an object": b"[1, 2]",
    "invalid UTF-8": b'{"model": "sim-small", "messages": [{"role": "user", "content": "\xff\xfe"}]}',
    "no model": b'{"messages": [{"role": "user", "content": "hi"}]}',
    "model's name too long": b'{"model": "%s", "messages": [{"role": "user", "content": "hi"}]}'
    % (b"m" * 300),
    "model not a string": b'{"model": 7, "messages": [{"role": "user", "content": "hi"}]}',
    "no messages": b'{"model": "sim-small"}',
    "messages not a list": b'{"model": "sim-small", "messages": "hi"}',
    "messages empty": b'{"model": "sim-small", "messages": []}',
    "message not an object": b'{"model": "sim-small", "messages": ["hi"]}',
    "stream not a boolean": b'{"model": "sim-small", "messages": [{"role": "user", "content": "hi"}], "stream": "yes"}',
    "nested too deep": b'{"model": "sim-small", "messages": ' + b"[" * 5000 + b"]" * 5000 + b"}",
}


@pytest.mark.parametrize("kind", BODIES)
def test_malformed_bodies_get_400(kind: str, plain: Server, calls: CallCounter) -> None:
    """400 in OpenAI's shape, with a sentence and the request id, and the upstream isn't asked."""
    status, headers, body = plain.post(CHAT, BODIES[kind], AUTH)
    error = json.loads(body)["error"]
    assert status == 400
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert error["request_id"] == headers["x-request-id"]
    assert calls.new == 0


def test_unknown_model_is_a_404(tmp_path: Path, provider: Server) -> None:
    """A model that no upstream serves: NotFoundError, and the sentence says where to look."""
    config = f"upstreams: [{{name: p, base_url: '{provider.base_url}', models: [sim-*]}}]\n"
    with (
        gateway(tmp_path, config) as server,
        openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client,
        pytest.raises(openai.NotFoundError, match="GET /v1/models") as caught,
    ):
        client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "hi"}])
    assert caught.value.code == "model_not_found"
    assert caught.value.request_id


def test_oversized_body_is_a_413(plain: Server, calls: CallCounter) -> None:
    """Over 10 MiB: 413, also where the length isn't announced; just under it works."""
    status, _, body = plain.post(CHAT, chat("x" * 11 * 2**20), AUTH)
    assert status == 413
    assert json.loads(body)["error"]["code"] == "request_too_large"
    assert calls.new == 0


def test_an_8_mb_body_works(client: openai.OpenAI, question: str) -> None:
    """Large requests are answered and cached like small ones."""
    messages: Any = [{"role": "user", "content": question + " x" * 4 * 2**20}]
    first = client.chat.completions.with_raw_response.create(model="sim-small", messages=messages)
    again = client.chat.completions.with_raw_response.create(model="sim-small", messages=messages)
    assert (first.headers["x-askonce-outcome"], again.headers["x-askonce-outcome"]) == ("fresh", "exact")


def test_unknown_paths_and_methods(plain: Server) -> None:
    """404 and 405 in OpenAI's shape."""
    status, _, body = plain.post("/v1/nonsense", {}, AUTH)
    assert (status, json.loads(body)["error"]["code"]) == (404, "unknown_url")
    status, _, body = plain.post("/metrics", {}, AUTH)
    assert (status, json.loads(body)["error"]["code"]) == (405, "method_not_allowed")


def test_compressed_bodies_are_refused(plain: Server) -> None:
    """415 with a sentence, rather than a confusing JSON error."""
    status, _, body = plain.post(CHAT, b"\x1f\x8b...", {**AUTH, "Content-Encoding": "gzip"})
    assert (status, json.loads(body)["error"]["code"]) == (415, "unsupported_encoding")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("directive", "error", "status"),
    [
        ({"status": 400}, openai.BadRequestError, 400),
        ({"status": 422}, openai.UnprocessableEntityError, 422),
        ({"status": 429, "retry_after_s": 1}, openai.RateLimitError, 429),
        ({"status": 500}, openai.InternalServerError, 500),
        ({"status": 503}, openai.InternalServerError, 503),
        ({"html": True}, openai.InternalServerError, 502),
        ({"html": True, "status": 502}, openai.InternalServerError, 502),
        ({"status": 401}, openai.AuthenticationError, 401),
    ],
)
def test_upstream_errors_are_mapped_honestly(
    client: openai.OpenAI, question: str, directive: dict[str, Any], error: type[openai.APIStatusError],
    status: int, calls: CallCounter, *, stream: bool,
) -> None:  # fmt: skip
    """Each upstream failure becomes the SDK's exception of that status, with the request id; nothing is stored."""
    request: dict[str, Any] = chat(question, stream=stream, extra_body={"x_simulate": directive})
    for _ in range(2):
        with pytest.raises(error) as caught:
            client.chat.completions.create(**request)
        assert caught.value.status_code == status
        assert caught.value.request_id
        if "retry_after_s" in directive:
            assert caught.value.response.headers["retry-after"] == "1"
    assert calls.new == 2


def test_garbage_from_the_upstream(client: openai.OpenAI, question: str, calls: CallCounter) -> None:
    """200 with broken JSON: 502, and the next try asks again."""
    request: dict[str, Any] = chat(question, extra_body={"x_simulate": {"garbage": True, "attempts": 1}})
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(**request)
    assert caught.value.code == "upstream_garbage"
    assert client.chat.completions.create(**request).choices[0].message.content
    assert calls.new == 2


@pytest.mark.parametrize("directive", [{"garbage": True}, {"break_after_events": 3}])
def test_a_stream_that_breaks_off_ends_with_an_error_event(
    client: openai.OpenAI, question: str, directive: dict[str, Any], calls: CallCounter
) -> None:
    """Half a stream raises the SDK's APIError after what came, never ends as if it were whole, and isn't stored."""
    request: dict[str, Any] = chat(
        question, stream=True, extra_body={"x_simulate": {**directive, "attempts": 1}}
    )
    chunks = []
    with pytest.raises(openai.APIError):  # noqa: PT012 - the stream has to be read
        for chunk in client.chat.completions.create(**request):
            chunks.append(chunk)
    assert not any(choice.finish_reason for chunk in chunks for choice in chunk.choices)
    whole = list(client.chat.completions.create(**request))
    assert whole[-1].choices[0].finish_reason == "stop"
    assert calls.new == 2


def test_a_plain_answer_that_breaks_off(client: openai.OpenAI, question: str) -> None:
    """Half a body is an error, not an answer."""
    request: dict[str, Any] = chat(question, extra_body={"x_simulate": {"break_after_events": 1}})
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(**request)


def test_an_unreachable_upstream(tmp_path: Path) -> None:
    """Connection refused: 502 in the SDK's class, and the sentence names the upstream."""
    with (
        gateway(tmp_path, "upstreams: [{name: nowhere, base_url: 'http://127.0.0.1:9/v1'}]\n") as server,
        openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client,
        pytest.raises(openai.InternalServerError, match="nowhere") as caught,
    ):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert caught.value.code == "upstream_unreachable"


def test_an_abandoned_stream_is_cancelled_upstream(tmp_path: Path, provider: Server, question: str) -> None:
    """A client that leaves: after the linger time the upstream's generation stops, and nothing hangs."""
    config = f"upstreams: [{{name: p, base_url: '{provider.base_url}'}}]\ndefaults: {{linger: 100ms, semantic: 'off'}}\n"
    before = provider.json("/stats")["cancelled"]
    with (
        gateway(tmp_path, config) as server,
        openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client,
    ):
        with pytest.raises(openai.APITimeoutError):
            client.with_options(timeout=0.3).chat.completions.create(
                **chat(question, stream=True, extra_body={"x_simulate": {"ttft_ms": 20_000}})
            )
        until(lambda: provider.json("/stats")["cancelled"] == before + 1, "the upstream call is cancelled")
        until(lambda: server.json("/healthz")["flights"]["running"] == 0, "no flight is left")

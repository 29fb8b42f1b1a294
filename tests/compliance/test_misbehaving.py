"""Upstreams that misbehave on the wire: what can be understood is answered, the rest is a clear error, never stored."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import openai
import pytest

from compliance.misbehaving import BEHAVIOURS, CONTENT, MODELS, Misbehaving, misbehaving
from servers import Server, gateway, until

if TYPE_CHECKING:
    from collections.abc import Iterator

AUTH = {"Authorization": "Bearer sk-secret-of-caller"}
CHAT = "/v1/chat/completions"
RETRIES = ("date", "past", "infinite", "nonsense")
CONFIG = """\
upstreams:
  - name: odd
    base_url: "{upstream}"
    first_byte_timeout: 300ms
    idle_timeout: 300ms
    retries: {{attempts: 0}}
    breaker: {{failures: 1000, least_calls: 1000}}
defaults: {{semantic: "off"}}
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Misbehaving]:
    with misbehaving() as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, upstream: Misbehaving) -> Iterator[Server]:
    with gateway(tmp_path_factory.mktemp("odd"), CONFIG.format(upstream=upstream.base_url)) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="sk-secret-of-caller", max_retries=0) as client:
        yield client


def ask(behaviour: str, **fields: Any) -> dict[str, Any]:
    return {"model": behaviour, "messages": [{"role": "user", "content": "hi"}], **fields}


def streamed(client: openai.OpenAI, behaviour: str) -> str:
    chunks = client.chat.completions.create(**ask(behaviour, stream=True))
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


@pytest.mark.parametrize(
    "behaviour",
    [
        "after-done", "bom", "byte-by-byte", "crlf", "gzip-stream", "multi-line", "no-done", "no-last-empty-line",
        "no-space",
    ],
)  # fmt: skip
def test_streams_in_any_spelling(client: openai.OpenAI, upstream: Misbehaving, behaviour: str) -> None:
    """Whatever the event stream format allows, and what servers make of it, is the whole answer, and is stored."""
    before = upstream.calls
    assert streamed(client, behaviour) == CONTENT
    assert streamed(client, behaviour) == CONTENT
    assert upstream.calls == before + 1


def test_an_event_of_8_megabytes(client: openai.OpenAI) -> None:
    """Size alone is no fault."""
    assert len(streamed(client, "huge-event")) == 8 * 2**20


@pytest.mark.parametrize(
    "behaviour",
    [
        "cr", "empty-stream", "error-in-stream", "hang-in-stream", "invalid-utf8-stream", "no-finish-no-done",
        "only-done",
    ],
)  # fmt: skip
def test_broken_streams(client: openai.OpenAI, upstream: Misbehaving, behaviour: str) -> None:
    """Less than a whole answer ends with the SDK's APIError, and is asked for again."""
    before = upstream.calls
    for _ in range(2):
        with pytest.raises(openai.APIError):
            streamed(client, behaviour)
    assert upstream.calls == before + 2


@pytest.mark.parametrize(
    "behaviour",
    [
        "enormous-usage", "gzip", "latin-headers", "long-header", "negative-usage", "odd-usage", "plain",
        "usage-list",
    ],
)  # fmt: skip
def test_answers_with_odd_trimmings(client: openai.OpenAI, upstream: Misbehaving, behaviour: str) -> None:
    """Headers and token counts that make no sense don't cost anybody the answer, nor the gateway its metrics."""
    before = upstream.calls
    for _ in range(2):
        answer = client.chat.completions.create(**ask(behaviour))
        assert answer.choices[0].message.content == CONTENT
    assert upstream.calls == before + 1


@pytest.mark.parametrize(
    ("behaviour", "status", "code", "sentence"),
    [
        ("choices-null", 502, "upstream_garbage", ""),
        ("gone", 410, "model_gone", "That model is gone."),
        ("gzip-broken", 502, "upstream_broke_off", "odd"),
        ("hang", 504, "upstream_timeout", "odd did not answer"),
        ("hang-after-head", 504, "upstream_timeout", "odd fell silent"),
        ("hang-in-body", 504, "upstream_timeout", "odd fell silent"),
        ("html", 502, "upstream_garbage", "text/html"),
        ("invalid-utf8", 502, "upstream_garbage", ""),
        ("legal", 451, "upstream_451", "Not in your country."),
        ("list-body", 502, "upstream_garbage", ""),
        ("listed-code", 400, "upstream_400", ""),
        ("detail", 404, "upstream_404", "Not Found"),
        ("no-content", 502, "upstream_garbage", "204"),
        ("no-http", 502, "upstream_garbage", "odd answered with broken HTTP"),
        ("odd-code", 400, "upstream_400", "No."),
        ("redirect", 502, "upstream_garbage", "302"),
        ("retry-infinite", 429, "upstream_429", "Later."),
        ("retry-nonsense", 429, "upstream_429", "Later."),
        ("status-999", 502, "upstream_garbage", "999"),
        ("text", 502, "upstream_garbage", "text/plain"),
        ("unknown-encoding", 502, "upstream_garbage", ""),
    ],
)
def test_what_is_no_answer(server: Server, behaviour: str, status: int, code: str, sentence: str) -> None:
    """Callers of both kinds hear a status, a code that is fit for a header and a metric, and the upstream's words."""
    whole = BEHAVIOURS[behaviour]
    alike_for_streams = isinstance(whole, bytes) and b" 200 OK" not in whole
    for stream in (False, True) if alike_for_streams else (False,):
        got, headers, body = server.post(CHAT, ask(behaviour, stream=stream), AUTH)
        error = json.loads(body)["error"]
        assert (got, headers["x-askonce-reason"]) == (status, code)
        assert error["request_id"] == headers["x-request-id"]
        assert sentence in str(error["message"])
        assert "sk-secret" not in body.decode()


def test_an_error_that_says_200(server: Server) -> None:
    """JSON with an error instead of the events that were asked for: its words are passed on."""
    status, _, body = server.post(CHAT, ask("error-in-200", stream=True), AUTH)
    assert status == 502
    assert "No credits left." in json.loads(body)["error"]["message"]


def test_retry_after(server: Server) -> None:
    """A date becomes seconds, one that has passed becomes 0, and what is neither is left out."""
    given = {name: server.post(CHAT, ask(f"retry-{name}"), AUTH)[1].get("retry-after") for name in RETRIES}
    assert 0 < int(given["date"] or 0) < 10**9
    assert {**given, "date": ""} == {"date": "", "past": "0", "infinite": None, "nonsense": None}


def test_models_beyond_one_read(server: Server) -> None:
    """A long list of models is read to its end."""
    request = urllib.request.Request(server.base_url + "/models", headers=AUTH)
    with urllib.request.urlopen(request, timeout=10) as response:
        assert len(json.load(response)["data"]) == MODELS


def test_nothing_is_left(server: Server) -> None:
    """After all that: no flight, no log, no lost write, no exception nobody expected, and no key in the logs."""
    until(lambda: not server.metric("askonce_flights_running"), "flights end")
    assert server.metric("askonce_log_bytes") == 0
    log = server.log.read_text()
    assert "Traceback" not in log
    assert "sk-secret" not in log

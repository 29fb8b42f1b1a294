"""Sending well through the front door: outages, refusals, several keys and lanes, with the official SDK."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import openai
import pytest

from servers import Server, gateway, simulator, until

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count()
FALLBACK = """\
upstreams:
  - name: main
    base_url: "{main}"
    api_key: sk-main
    models: [sim-small]
    first_byte_timeout: 1s
    breaker: {{failures: 3, probe_interval: 1s}}
    retries: {{base: 20ms}}
  - {{name: spare, base_url: "{spare}", api_key: sk-spare, models: ["sim-large"]}}
  - name: alone
    base_url: "{main}"
    api_key: sk-main
    aliases: {{alone: sim-small}}
    models: [alone]
    breaker: {{failures: 3, probe_interval: 1s}}
    retries: {{attempts: 1, base: 20ms}}
  - {{name: paused, base_url: "{main}", api_key: sk-main, models: [paused, paused-alone]}}
  - {{name: keyed, base_url: "{keyed}", api_keys: [sk-old, sk-good, sk-older], models: [keyed]}}
  - {{name: unkeyed, base_url: "{keyed}", api_keys: [sk-old, sk-older], models: [unkeyed]}}
  - {{name: narrow, base_url: "{main}", api_key: k, models: [narrow], limits: {{max_concurrency: 1, min_concurrency: 1}}}}
  - name: dead
    base_url: "http://127.0.0.1:9/v1"
    api_key: k
    models: ["dead-*"]
    breaker: {{failures: 2, probe_interval: 1m}}
    retries: {{attempts: 0}}
fallbacks:
  sim-small: [{{upstream: spare, model: sim-large}}]
  paused: [{{upstream: spare, model: sim-large}}]
admin: {{keys: ["sha256:{admin}"]}}
defaults: {{semantic: "off"}}
"""
ADMIN = "8c6976e5b5410415bde908bd4dee15dfb167a9c873fc4bb8a81f6f2ab448a918"
"""SHA-256 of "admin"."""


def question(**simulate: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "model": "sim-small",
        "messages": [{"role": "user", "content": f"What is number {next(_numbers)} good for?"}],
    }
    return {**asked, "extra_body": {"x_simulate": simulate}} if simulate else asked


@contextlib.contextmanager
def sdk(server: Server, retries: int = 0) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="sk-test", max_retries=retries) as client:
        yield client


def told(client: openai.OpenAI, **asked: Any) -> tuple[str, str, Any]:
    """How a request was answered, why, and the answer."""
    raw = client.chat.completions.with_raw_response.create(**asked)
    return raw.headers["x-askonce-outcome"], raw.headers["x-askonce-reason"], raw


@pytest.fixture(scope="module")
def main(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with simulator(tmp_path_factory.mktemp("main"), "--ttft", "5", "--tps", "5000") as server:
        yield server


@pytest.fixture(scope="module")
def spare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with simulator(tmp_path_factory.mktemp("spare"), "--ttft", "5", "--tps", "5000") as server:
        yield server


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with simulator(tmp_path_factory.mktemp("keyed"), "--ttft", "5", "--api-key", "sk-good") as server:
        yield server


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, main: Server, spare: Server, keyed: Server
) -> Iterator[Server]:
    config = FALLBACK.format(main=main.base_url, spare=spare.base_url, keyed=keyed.base_url, admin=ADMIN)
    with gateway(tmp_path_factory.mktemp("sending"), config) as server:
        yield server


def spend(provider: Server, asked: dict[str, Any], model: str) -> None:
    """Asks a provider itself, so that what is simulated for the first attempt alone is over there."""
    body = {**asked, **asked["extra_body"], "model": model}
    del body["extra_body"]
    assert provider.post("/v1/chat/completions", body, {"Authorization": "Bearer sk-test"})[0] >= 400


def calls(provider: Server) -> int:
    number: int = provider.json("/stats")["calls"]
    return number


@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_that_passes_is_invisible(server: Server, main: Server, stream: bool) -> None:  # noqa: FBT001
    """The first call fails, the second one answers; the caller sees one answer, and is told why it took longer."""
    before = calls(main)
    with sdk(server) as client:
        outcome, reason, raw = told(client, stream=stream, **question(status=500, attempts=1))
        if stream:
            assert len(list(raw.parse())) > 1
        assert (outcome, reason) == ("fresh", "miss-retried")
        assert int(raw.headers["x-askonce-waited-ms"]) > 0
    assert calls(main) == before + 2
    assert server.metric("askonce_upstream_retries_total", upstream="main", cause="server-error") >= 1


def test_a_stream_that_breaks_before_its_first_word_begins_again(server: Server, main: Server) -> None:
    """What callers haven't seen needs no apology."""
    before = calls(main)
    with sdk(server) as client:
        outcome, reason, raw = told(client, stream=True, **question(break_after_events=1, attempts=1))
        assert len(list(raw.parse())) > 1
        assert (outcome, reason) == ("fresh", "miss-retried")
    assert calls(main) == before + 2


def test_nothing_is_sent_again_after_the_first_word(server: Server, main: Server, spare: Server) -> None:
    """A stream that breaks in the middle is an error, once."""
    before = calls(main), calls(spare)
    with sdk(server) as client:
        chunks = client.chat.completions.create(stream=True, **question(break_after_events=4, tokens=50))
        with pytest.raises(openai.APIError):
            list(chunks)
    assert (calls(main), calls(spare)) == (before[0] + 1, before[1])


def test_retry_after_is_honoured(server: Server) -> None:
    """After a 429 the request waits as long as it was told to, and is answered."""
    with sdk(server) as client:
        began = time.monotonic()
        outcome, reason, _ = told(client, **question(status=429, retry_after_s=1, attempts=1))
        assert time.monotonic() - began >= 1
        assert (outcome, reason) == ("fresh", "miss-rate-limited")


def test_a_long_retry_after_sends_requests_on_or_is_told_at_once(server: Server, spare: Server) -> None:
    """Nobody waits in vain: neither the one who hears of it, nor those who come while it lasts."""
    with sdk(server) as client:
        began = time.monotonic()
        asked = {**question(status=503, retry_after_s=120, attempts=1), "model": "paused"}
        spend(spare, asked, "sim-large")
        outcome, reason, raw = told(client, **asked)
        assert (outcome, reason, raw.parse().model) == ("fresh", "miss-fallback", "sim-large")
        assert told(client, **{**question(), "model": "paused"})[:2] == ("fresh", "miss-fallback")
        asked = {**question(status=503, retry_after_s=120, attempts=1), "model": "paused-alone"}
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(**asked, extra_headers={"X-Askonce-Timeout": "30"})
        assert caught.value.response.headers["retry-after"] == "120"
        assert time.monotonic() - began < 10


def test_an_answer_of_a_stand_in_is_its_own_models(server: Server, spare: Server) -> None:
    """It is found under the stand-in's name, and never under the asked model's."""
    asked = question(status=500, attempts=3)
    for _ in range(3):
        spend(spare, asked, "sim-large")
    with sdk(server) as client:
        outcome, reason, raw = told(client, **asked)
        assert (outcome, reason, raw.parse().model) == ("fresh", "miss-fallback", "sim-large")
        before = calls(spare)
        outcome, _, raw = told(client, **{**asked, "model": "sim-large"})
        assert (outcome, raw.parse().model) == ("exact", "sim-large")
        assert calls(spare) == before
    settle(server)
    with sdk(server) as client:
        outcome, _, raw = told(client, **asked)
        assert (outcome, raw.parse().model) == ("fresh", "sim-small")


def admin(server: Server) -> Any:
    status, _, body = server.send("GET", "/admin/upstreams", None, {"Authorization": "Bearer admin"})
    assert status == 200
    return json.loads(body)["upstreams"]


def settle(server: Server) -> None:
    """Waits until every breaker is closed again, as each test finds it."""
    with sdk(server) as client:

        def closed() -> bool:
            with contextlib.suppress(openai.APIError):
                client.chat.completions.create(**question())
                client.chat.completions.create(**{**question(), "model": "alone"})
            state = {name: up for name, up in admin(server).items() if name in {"main", "alone"}}
            models = [one.get("breaker") for up in state.values() for one in up["models"].values()]
            return all(
                one["state"] == "closed"
                for one in [*(up["breaker"] for up in state.values()), *models]
                if one
            )

        until(closed, "closed again")


@pytest.mark.parametrize(
    "kind",
    [
        "refuse",
        pytest.param("500", marks=pytest.mark.slow),
        pytest.param("reset", marks=pytest.mark.slow),
        pytest.param("hang", marks=pytest.mark.slow),
    ],
)
def test_an_outage_with_a_stand_in_fails_nobody(
    server: Server, main: Server, spare: Server, kind: str
) -> None:
    """Dead for a while: every request is answered, the dead one is only probed, and is back within an interval."""
    settle(server)
    seconds = 5.0 if kind == "hang" else 2.0
    assert main.post("/outage", {"kind": kind, "seconds": seconds})[0] == 200
    began, answered, back = time.monotonic(), [], 0.0
    with sdk(server) as client:
        while time.monotonic() - began < seconds + 3:
            asked_at = time.monotonic() - began
            _, reason, raw = told(client, **question())
            answered.append((time.monotonic() - began, raw.parse().model, reason))
            if raw.parse().model == "sim-small" and asked_at > 0.5:
                back = time.monotonic() - began
                break
            time.sleep(0.05)
    assert back, "it never came back"
    # One interval of 1 s, one request's time-out of 1 s where it hangs, and the pause between two requests.
    assert back <= seconds + 1 + (1.2 if kind == "hang" else 0.3)
    assert {model for at, model, _ in answered if 0.5 < at < seconds - 0.2} == {"sim-large"}
    assert server.metric("askonce_fallbacks_total", upstream="main", to="spare") > 10
    opened = sum(
        server.metric("askonce_breaker_transitions_total", upstream="main", of=of, to="open")
        for of in ("upstream", "model")
    )
    assert opened >= 1
    assert calls(spare) > 0


def test_without_a_stand_in_an_open_breaker_tells_at_once(server: Server, main: Server) -> None:
    """503 with a Retry-After, no wait and no call; the SDK's own retries get through when the upstream is back."""
    settle(server)
    assert main.post("/outage", {"kind": "500", "seconds": 1.5})[0] == 200
    alone = {"model": "alone"}
    with sdk(server) as client:
        codes = []
        for _ in range(6):
            with pytest.raises(openai.InternalServerError) as caught:
                client.chat.completions.create(**{**question(), **alone})
            codes.append(caught.value.code)
        assert codes[-1] == "upstream_unavailable"
        assert 1 <= int(caught.value.response.headers["retry-after"]) <= 2
        began, before = time.monotonic(), calls(main)
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(**{**question(), **alone})
        assert time.monotonic() - began < 0.5
        assert calls(main) - before <= 1
        assert admin(server)["alone"]["models"]["sim-small"]["breaker"]["opened"] >= 1
    with sdk(server, retries=5) as patient:
        assert patient.chat.completions.create(**{**question(), **alone}).model == "alone"


def test_a_dead_server_is_left_alone_and_healthz_says_so(server: Server) -> None:
    """Nothing listens there: the upstream's own breaker opens, for all of its models."""
    with sdk(server) as client:
        codes = []
        for model in ("dead-one", "dead-two", "dead-three"):
            with pytest.raises(openai.InternalServerError) as caught:
                client.chat.completions.create(**{**question(), "model": model})
            codes.append(caught.value.code)
    assert codes == ["upstream_unreachable", "upstream_unreachable", "upstream_unavailable"]
    assert server.json("/healthz")["upstreams"]["dead"] == "open"
    assert server.metric("askonce_breaker_state", upstream="dead") == 2


def test_a_refused_key_is_set_aside_and_the_others_go_on(server: Server) -> None:
    """The provider knows one of three keys: callers notice nothing, and the other two are shown to it but once."""
    with sdk(server) as client:
        for _ in range(10):
            assert told(client, **{**question(), "model": "keyed"})[0] == "fresh"
    refused = server.metric("askonce_upstream_calls_total", upstream="keyed", status="upstream_credential")
    assert 0 < refused <= 2


def test_where_no_key_is_known_callers_are_told_whose_fault_it_is(server: Server) -> None:
    """502, at once, without a key in the words; the next one too."""
    with sdk(server) as client:
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(openai.InternalServerError) as caught:
                client.chat.completions.create(**{**question(), "model": "unkeyed"})
            assert (caught.value.code, caught.value.status_code) == ("upstream_credential", 502)
            assert "sk-" not in caught.value.message
            assert time.monotonic() - began < 5


async def test_the_urgent_go_first(server: Server) -> None:
    """One call at a time, ten relaxed ones wait: who comes last but in a hurry is answered next."""
    done: list[str] = []
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="sk-test", max_retries=0) as client:

        async def ask(lane: str) -> str:
            asked = {**question(ttft_ms=50, tokens=3), "model": "narrow"}
            raw = await client.chat.completions.with_raw_response.create(
                **asked, extra_headers={"X-Askonce-Lane": lane}
            )
            done.append(lane)
            reason: str = raw.headers["x-askonce-reason"]
            return reason

        relaxed = [asyncio.create_task(ask("relaxed")) for _ in range(12)]
        await asyncio.sleep(0.1)
        assert await ask("interactive") == "miss-queued"
        assert done.index("interactive") <= 8
        reasons = await asyncio.gather(*relaxed)
    assert reasons.count("miss-queued") >= 10
    assert server.metric("askonce_queue_wait_seconds_count", upstream="narrow", lane="relaxed") >= 10

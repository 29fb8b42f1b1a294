"""OpenTelemetry through the front door: a real gateway, a real upstream's headers, a collector that reads protobuf."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from askonce.trace import read_trace
from collector import Collector, collector, points, values
from servers import Server, gateway, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from askonce.trace import Trace

SERVER, CLIENT = 2, 3
"""`SpanKind` on the wire."""
FAILED: Final = 2
"""`StatusCode` on the wire."""
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
KEY = {"Authorization": "Bearer sk-secret-of-a-caller"}
FAST = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_METRIC_EXPORT_INTERVAL": "200"}
CONFIG = """\
upstreams:
  - name: provider
    base_url: "{upstream}/v1"
    aliases: {{cheap: sim-small}}
    retries: {{attempts: 1, base: 1ms}}
prices: {{"sim-*": {{input: 1, output: 2, cached_input: 0.5}}}}
features: {{discreet: {{retain_text: none}}}}
defaults: {{semantic: "off"}}
telemetry: {{traces: on, metrics: on, endpoint: "{collector}", headers: {{x-collector-key: k-1}}, {more}}}
"""


class Upstream:
    """Answers by what is asked: `fail` first fails, `slow` waits for `release`."""

    def __init__(self) -> None:
        self.address = ""
        self.traces: list[Trace | None] = []
        self.asked: list[str] = []
        self.release = threading.Event()

    def answer(self, path: str, headers: dict[bytes, bytes], body: dict[str, Any]) -> tuple[int, bytes, str]:
        self.traces.append(read_trace(headers))
        text = str(body.get("input") or body["messages"][-1]["content"])
        self.asked.append(text)
        if text.startswith("fail") and self.asked.count(text) == 1:
            return 500, b'{"error": {"message": "no"}}', "application/json"
        if text.startswith("slow"):
            self.release.wait(10)
        usage: dict[str, Any] = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
        if path.endswith("embeddings"):
            asked = body["input"] if isinstance(body["input"], list) else [body["input"]]
            data = [
                {"object": "embedding", "index": index, "embedding": [0.5]} for index in range(len(asked))
            ]
            told = {
                "object": "list",
                "data": data,
                "model": body["model"],
                "usage": {"prompt_tokens": 3, "total_tokens": 3},
            }
            return 200, json.dumps(told).encode(), "application/json"
        usage["prompt_tokens_details"] = {"cached_tokens": 8}
        common = {"id": "chatcmpl-1", "created": 1, "model": "sim-small-2026-01-31"}
        if body.get("stream"):
            delta = {
                **common,
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": {"content": "hi"}}],
            }
            end = {**common, "object": "chat.completion.chunk", "choices": [], "usage": usage}
            events = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in (delta, end))
            return 200, events + b"data: [DONE]\n\n", "text/event-stream"
        message = {"role": "assistant", "content": "An answer that nobody else may read."}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        told = {**common, "object": "chat.completion", "choices": choices, "usage": usage}
        return 200, json.dumps(told).encode(), "application/json"


@contextlib.contextmanager
def serving() -> Iterator[Upstream]:
    upstream = Upstream()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            headers = {name.lower().encode(): value.encode() for name, value in self.headers.items()}
            status, data, kind = upstream.answer(self.path, headers, body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's own
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    upstream.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield upstream
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Scene:
    """A gateway between an upstream and a collector, both of which remember."""

    def __init__(self, server: Server, upstream: Upstream, told: Collector) -> None:
        self.server, self.upstream, self.told = server, upstream, told

    def ask(self, name: str, text: str, **said: Any) -> tuple[int, dict[str, str]]:
        """Sends a chat as the request of that name; `headers` and further fields as given."""
        headers = {**KEY, "X-Request-Id": name, **said.pop("headers", {})}
        body = {"model": "cheap", "messages": [{"role": "user", "content": text}], **said}
        status, got, _ = self.server.post("/v1/chat/completions", body, headers)
        return status, got

    def span(self, name: str) -> Span:
        """The span of the request of that name, as soon as it has arrived."""
        until(lambda: [one for one in self.told.spans if self._is(one, name)], f"a span of {name}")
        return self.told.of(name)

    def _is(self, span: Span, name: str) -> bool:
        return values(span.attributes).get("askonce.request_id") == name


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("telemetry")
    with collector() as told, serving() as upstream:
        config = CONFIG.format(upstream=upstream.address, collector=told.address, more="service_name: shared")
        with gateway(folder, config, FAST) as server:
            yield Scene(server, upstream, told)


def test_a_request_is_the_callers_child_and_its_call_the_requests(scene: Scene) -> None:
    """One trace from the caller through the gateway to the upstream, which is told the call's own span."""
    scene.ask(
        "whole", "whole one", headers={"traceparent": f"00-{TRACE_ID}-{CALLER}-01", "tracestate": "v=1"}
    )
    request = scene.span("whole")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE_ID, CALLER)
    assert (request.name, request.kind) == ("chat cheap", SERVER)
    [call] = scene.told.children(request)
    assert (call.trace_id, call.name, call.kind) == (request.trace_id, "chat sim-small", CLIENT)
    assert request.start_time_unix_nano <= call.start_time_unix_nano
    assert call.end_time_unix_nano <= request.end_time_unix_nano
    seen = scene.upstream.traces[scene.upstream.asked.index("whole one")]
    assert seen is not None
    assert (f"{seen.trace_id:032x}", f"{seen.span_id:016x}") == (TRACE_ID, call.span_id.hex())
    assert (seen.sampled, seen.state) == (True, "v=1")


def test_spans_say_what_the_conventions_ask_for(scene: Scene) -> None:
    """Operation, provider, models, tokens with the prompt cache's among the input's, and our own namespaced."""
    scene.ask("said", "what is said")
    request = scene.span("said")
    told = values(request.attributes)
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.provider.name"] == "provider"
    assert told["gen_ai.request.model"] == "cheap"
    assert told["gen_ai.response.model"] == "sim-small-2026-01-31"
    assert told["gen_ai.usage.input_tokens"] == 12
    assert told["gen_ai.usage.cache_read.input_tokens"] == 8
    assert told["gen_ai.usage.output_tokens"] == 5
    assert (told["askonce.outcome"], told["askonce.reason"]) == ("fresh", "miss")
    assert (told["askonce.tenant"], told["askonce.feature"]) == ("pass-through", "default")
    assert told["askonce.spent_usd"] == pytest.approx((4 * 1 + 8 * 0.5 + 5 * 2) / 1e6)
    assert told["http.response.status_code"] == 200
    assert told["server.address"] == "127.0.0.1"
    [call] = scene.told.children(request)
    asked = values(call.attributes)
    assert asked["gen_ai.request.model"] == "sim-small"
    assert asked["gen_ai.usage.input_tokens"] == 12
    assert asked["server.address"] == "127.0.0.1"
    assert asked["server.port"] == int(scene.upstream.address.rpartition(":")[2])
    assert (asked["askonce.upstream"], asked["askonce.batch.size"]) == ("provider", 1)
    assert asked["askonce.queue.wait"] >= 0
    assert "error.type" not in told | asked
    assert scene.told.resources[-1]["service.name"] == "shared"
    assert scene.told.headers[-1]["x-collector-key"] == "k-1"


def test_a_trace_is_no_part_of_a_question(scene: Scene) -> None:
    """The same question from another trace is answered from the cache, by a span without a call."""
    scene.ask("first", "asked in two traces", headers={"traceparent": f"00-{'1' * 32}-{CALLER}-01"})
    _, headers = scene.ask(
        "second", "asked in two traces", headers={"traceparent": f"00-{'2' * 32}-{CALLER}-01"}
    )
    assert headers["x-askonce-outcome"] == "exact"
    second = scene.span("second")
    assert second.trace_id.hex() == "2" * 32
    assert scene.told.children(second) == []
    told = values(second.attributes)
    assert told["askonce.entry"] == headers["x-askonce-entry"]
    assert told["askonce.saved_usd"] > 0


def test_who_joins_a_call_is_linked_to_it(scene: Scene) -> None:
    """Two callers, one call: it is the first one's child, and the second one's span has a link to it."""
    with ThreadPoolExecutor(2) as callers:
        first = callers.submit(scene.ask, "leads", "slow to answer")
        until(lambda: "slow to answer" in scene.upstream.asked, "the call")
        second = callers.submit(scene.ask, "joins", "slow to answer")
        until(lambda: scene.server.metric("askonce_flight_callers") == 2, "both on board")
        scene.upstream.release.set()
        assert (first.result()[1]["x-askonce-outcome"], second.result()[1]["x-askonce-outcome"]) == (
            "fresh",
            "joined",
        )
    leads, joins = scene.span("leads"), scene.span("joins")
    [call] = scene.told.children(leads)
    assert leads.trace_id != joins.trace_id
    assert not leads.links
    [link] = joins.links
    assert (link.trace_id, link.span_id) == (call.trace_id, call.span_id)


def test_each_attempt_has_a_span(scene: Scene) -> None:
    """A call that failed and the one that was sent again: both are the request's children, the first with its status."""
    status, _ = scene.ask("again", "fail at first")
    assert status == 200
    request = scene.span("again")
    failed, answered = scene.told.children(request)
    assert failed.status.code == FAILED
    assert values(failed.attributes)["error.type"] == "500"
    assert values(failed.attributes)["http.response.status_code"] == 500
    assert answered.status.code != FAILED
    assert values(request.attributes)["askonce.reason"] == "miss-retried"
    told = [
        trace.span_id
        for trace, text in zip(scene.upstream.traces, scene.upstream.asked, strict=True)
        if trace and text == "fail at first"
    ]
    assert [f"{span_id:016x}" for span_id in told] == [failed.span_id.hex(), answered.span_id.hex()]


def test_calls_that_go_together_have_a_span_each(scene: Scene) -> None:
    """Two that wait behind a slow one share one call: each request has its share below it, and the first is named."""
    scene.upstream.release.clear()

    def embed(name: str) -> int:
        body = {"model": "sim-embed", "input": f"{name} embedding"}
        return scene.server.post("/v1/embeddings", body, {**KEY, "X-Request-Id": name})[0]

    with ThreadPoolExecutor(3) as callers:
        first = callers.submit(embed, "slow")
        until(lambda: "slow embedding" in scene.upstream.asked, "the first call")
        others = [callers.submit(embed, name) for name in ("waits", "waits-too")]
        until(lambda: scene.server.metric("askonce_queue_depth", upstream="provider") == 2, "two that wait")
        scene.upstream.release.set()
        assert [one.result() for one in (first, *others)] == [200, 200, 200]
    shares = [scene.told.children(scene.span(name)) for name in ("waits", "waits-too")]
    assert [[values(one.attributes)["askonce.batch.size"] for one in share] for share in shares] == [[2], [2]]
    assert all(values(share[0].attributes)["askonce.queue.wait"] > 0 for share in shares)
    seen = scene.upstream.traces[-1]
    assert seen is not None
    assert f"{seen.span_id:016x}" in {share[0].span_id.hex() for share in shares}


def test_refusals_are_told_by_their_code(scene: Scene) -> None:
    """What couldn't be understood has a span too: without model, with the error's code, no failure of the gateway's."""
    scene.server.post("/v1/chat/completions", b"{", {**KEY, "X-Request-Id": "broken"})
    request = scene.span("broken")
    told = values(request.attributes)
    assert request.name == "chat/completions"
    assert (told["error.type"], told["askonce.outcome"]) == ("invalid_json", "refused")
    assert request.status.code != FAILED
    assert "gen_ai.request.model" not in told


def test_streams_say_when_they_began(scene: Scene) -> None:
    """The call's span has the time to its first event, within its own duration."""
    scene.ask("streamed", "as a stream", stream=True)
    [call] = scene.told.children(scene.span("streamed"))
    told = values(call.attributes)
    took_s = (call.end_time_unix_nano - call.start_time_unix_nano) / 1e9
    assert told["gen_ai.request.stream"] is True
    assert 0 < told["gen_ai.response.time_to_first_chunk"] <= took_s
    assert told["gen_ai.usage.output_tokens"] == 5


def test_traces_that_callers_dont_record_are_passed_on_unrecorded(scene: Scene) -> None:
    """No span leaves, and the upstream is told not to record either."""
    scene.ask("unrecorded", "not to be recorded", headers={"traceparent": f"00-{'3' * 32}-{CALLER}-00"})
    scene.ask("later", "after that one")
    scene.span("later")
    assert not [one for one in scene.told.spans if one.trace_id.hex() == "3" * 32]
    seen = scene.upstream.traces[scene.upstream.asked.index("not to be recorded")]
    assert seen is not None
    assert (f"{seen.trace_id:032x}", seen.sampled) == ("3" * 32, False)


def test_metrics_come_by_both_generations_of_names(scene: Scene) -> None:
    """Calls, tokens and requests, under the names of 1.41 and the newer ones, and our own."""
    scene.ask("measured", "to be measured")
    body = {"model": "sim-embed", "input": "to be embedded"}
    scene.server.post("/v1/embeddings", body, KEY)
    wanted = {
        "gen_ai.client.operation.duration", "gen_ai.client.token.usage", "gen_ai.client.inference.duration",
        "gen_ai.client.inference.usage.input_tokens", "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.client.inference.usage.cache_read.input_tokens", "gen_ai.client.inference.operation.input_tokens",
        "gen_ai.client.embeddings.duration", "gen_ai.client.embeddings.operation.input_tokens",
        "gen_ai.server.request.duration", "gen_ai.server.time_to_first_token",
        "askonce.requests", "askonce.spent", "askonce.queue.wait",
    }  # fmt: skip
    until(lambda: wanted <= set(scene.told.metrics), "all metrics")
    told = scene.told.metrics
    [duration] = [
        one
        for one in points(told["gen_ai.client.inference.duration"])
        if "error.type" not in values(one.attributes)
    ]
    labels = values(duration.attributes)
    assert labels["gen_ai.operation.name"] == "chat"
    assert labels["gen_ai.request.model"] == "sim-small"
    assert list(duration.explicit_bounds)[:3] == [0.01, 0.02, 0.04]
    used = points(told["gen_ai.client.inference.usage.input_tokens"])[0]
    cached = points(told["gen_ai.client.inference.usage.cache_read.input_tokens"])[0]
    assert used.as_int / cached.as_int == 12 / 8
    types = {values(one.attributes)["gen_ai.token.type"] for one in points(told["gen_ai.client.token.usage"])}
    assert types == {"input", "output"}


def test_a_latency_leads_to_a_trace(scene: Scene) -> None:
    """Whoever scrapes OpenMetrics gets the trace of a recent request with each bucket that has one."""
    scene.ask("example", "for example", headers={"traceparent": f"00-{'7' * 32}-{CALLER}-01"})
    asked = {"Accept": "application/openmetrics-text; version=1.0.0"}
    _, _, told = scene.server.send("GET", "/metrics", None, asked)
    [family] = [
        one
        for one in text_string_to_metric_families(told.decode())  # type: ignore[no-untyped-call]
        if one.name == "askonce_request_duration_seconds"
    ]
    examples = [sample.exemplar for sample in family.samples if sample.exemplar]
    assert "7" * 32 in {example.labels["trace_id"] for example in examples}
    assert "trace_id" not in scene.server.get("/metrics")


def test_nothing_that_was_asked_or_answered_leaves(scene: Scene) -> None:
    """The bytes that the collector got hold no prompt, no answer and no key."""
    scene.ask("secret", "a prompt with the word Zanzibar")
    scene.span("secret")
    sent = b"".join(scene.told.bodies)
    for text in (b"Zanzibar", b"that nobody else may read", b"sk-secret-of-a-caller"):
        assert text not in sent


def test_a_feature_that_keeps_no_text_tells_no_entry(scene: Scene) -> None:
    """An entry is named by a hash of what was asked, which somebody could guess."""
    for name in ("discreet", "discreet-too"):
        scene.ask(name, "asked in confidence", headers={"X-Askonce-Feature": "discreet"})
    told = values(scene.span("discreet-too").attributes)
    assert (told["askonce.outcome"], told["askonce.feature"]) == ("exact", "discreet")
    assert "askonce.entry" not in told


@pytest.mark.slow
def test_what_is_left_is_sent_at_the_end(tmp_path: Path) -> None:
    """A gateway that is told to stop sends what it has not sent yet."""
    with collector() as told, serving() as upstream:
        config = CONFIG.format(upstream=upstream.address, collector=told.address, more="sample_ratio: 100%")
        with gateway(tmp_path, config) as server:  # the SDK's own intervals: 5 s and 60 s
            Scene(server, upstream, told).ask("last", "one more")
            assert told.spans == []
            server.stop()
        assert told.of("last").name == "chat cheap"
        assert "gen_ai.client.operation.duration" in told.metrics


@pytest.mark.slow
def test_a_dead_collector_costs_a_warning(tmp_path: Path) -> None:
    """Requests are answered as ever, the log says why nothing arrives, and the gateway ends in the time it has."""
    with serving() as upstream:
        config = CONFIG.format(upstream=upstream.address, collector="http://127.0.0.1:9", more="")
        with gateway(tmp_path, config + "limits: {drain_timeout: 2s}\n", FAST) as server:
            scene = Scene(server, upstream, Collector(""))
            assert [scene.ask(f"{n}", f"question {n}")[0] for n in range(20)] == [200] * 20
            until(lambda: "exporting spans batch" in server.log.read_text(), "a warning")
            began = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - began < 5
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert {line["level"] for line in lines} <= {"info", "warning"}
    complaints = [line["event"].partition(" encountered")[0] for line in lines if "batch" in line["event"]]
    assert 1 <= len(complaints) <= 6
    assert max(Counter(complaints).values()) <= 2  # of spans and of metrics


@pytest.mark.slow
def test_off_by_default(tmp_path: Path) -> None:
    """A gateway that isn't told to doesn't even import OpenTelemetry, and passes no trace on."""
    with serving() as upstream:
        config = (
            f"upstreams: [{{name: p, base_url: '{upstream.address}/v1'}}]\ndefaults: {{semantic: 'off'}}\n"
        )
        with gateway(tmp_path, config, {"PYTHONPROFILEIMPORTTIME": "1"}) as server:
            Scene(server, upstream, Collector("")).ask(
                "x", "a question", headers={"traceparent": f"00-{TRACE_ID}-{CALLER}-01"}
            )
            server.stop()
        imported = server.log.read_text()
        assert "askonce.wiring" in imported
        assert "opentelemetry" not in imported
        assert upstream.traces == [None]

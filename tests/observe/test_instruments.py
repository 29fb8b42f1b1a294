"""askonce.observe.instruments and wiring.telemetry: names of both generations, bounded labels, a missing extra."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from askonce.config import loads
from askonce.model import Answer, Endpoint, Exact, Fresh, Route, Usage
from askonce.observe.conventions import Known, Peer, provider_of
from askonce.observe.instruments import Instruments
from askonce.pipeline.prices import Prices
from askonce.ports import Charge, Record, Share, UpstreamCall
from askonce.wiring.telemetry import open_telemetry
from fakes import request

KNOWN = Known(
    peers={"up": Peer("openai", "api.openai.com", 443)},
    own=Peer("", "127.0.0.1", 8080),
    models=frozenset({"gpt-4o", "gpt-4.1"}),
)
ANSWER = Answer(b"", b"", "gpt-4o-2024-08-06", "chatcmpl-", Usage(100, 20, 60), 5)


def asked(model: str = "gpt-4o", endpoint: Endpoint = Endpoint.CHAT) -> Any:
    """A request to `up`."""
    one = request()
    return one._replace(ask=one.ask._replace(endpoint=endpoint, model=model, route=Route("up", model)))


def call(model: str = "gpt-4o", endpoint: Endpoint = Endpoint.CHAT, **said: Any) -> UpstreamCall:
    given: dict[str, Any] = {
        "upstream": "up", "request": asked(model, endpoint), "status": "ok", "duration_s": 1.0, "queued_s": 0.0,
        "first_s": None, "counts": True, "batched": 1, "answer": ANSWER, "trace": None,
    }  # fmt: skip
    return UpstreamCall(**{**given, **said})


def record(model: str = "gpt-4o", **said: Any) -> Record:
    given: dict[str, Any] = {
        "request_id": "r", "endpoint": "chat/completions", "tenant": "acme", "feature": "default", "model": model,
        "outcome": Fresh("miss"), "status": 200, "code": "", "duration_s": 1.0, "first_byte_s": 0.5, "overhead_s": 0.1,
        "usage": ANSWER.usage, "spent_nanousd": 5, "saved_nanousd": 0, "request": asked(model),
        "answer_model": ANSWER.model,
    }  # fmt: skip
    return Record(**{**given, **said})


def charge(share: Share) -> Charge:
    return Charge("c", 0.0, "up", "m", Usage(1, 1), Usage(), 7, 0, 0, (share,))


class Meters:
    """Instruments, and what a collector would be told of them."""

    def __init__(self, names: str = "both") -> None:
        self._reader = InMemoryMetricReader()
        self._provider = MeterProvider([self._reader], shutdown_on_exit=False)
        self.instruments = Instruments(self._provider, names, KNOWN)

    def told(self) -> dict[str, list[Any]]:
        data = self._reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


OLD = {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
NEW = {
    "gen_ai.client.inference.duration", "gen_ai.client.inference.operation.input_tokens",
    "gen_ai.client.inference.operation.output_tokens", "gen_ai.client.inference.usage.input_tokens",
    "gen_ai.client.inference.usage.output_tokens", "gen_ai.client.inference.usage.cache_read.input_tokens",
}  # fmt: skip


@pytest.mark.parametrize(("names", "wanted"), [("old", OLD), ("new", NEW), ("both", OLD | NEW)])
def test_calls_have_the_names_that_were_chosen(names: str, wanted: set[str]) -> None:
    """And no others."""
    meters = Meters(names)
    meters.instruments.call(call())
    assert {name for name in meters.told() if name.startswith("gen_ai.")} == wanted


def test_embeddings_have_newer_names_of_their_own() -> None:
    """They are no inferences any more; they have no output tokens and no counters."""
    meters = Meters("new")
    meters.instruments.call(call(endpoint=Endpoint.EMBEDDINGS))
    assert {name for name in meters.told() if name.startswith("gen_ai.")} == {
        "gen_ai.client.embeddings.duration",
        "gen_ai.client.embeddings.operation.input_tokens",
    }


@pytest.mark.parametrize("names", ["old", "new", "both"])
def test_a_servers_metrics_are_told_once(names: str) -> None:
    """Both generations call them the same."""
    meters = Meters(names)
    meters.instruments.request(record())
    [duration] = meters.told()["gen_ai.server.request.duration"]
    [first] = meters.told()["gen_ai.server.time_to_first_token"]
    assert (duration.count, duration.sum, first.sum) == (1, 1.0, 0.5)


def test_a_shared_call_counts_once_and_its_tokens_all() -> None:
    """Three requests that went together: one duration, three requests' tokens."""
    meters = Meters("new")
    for counts in (True, False, False):
        meters.instruments.call(call(counts=counts, batched=3))
    told = meters.told()
    assert told["gen_ai.client.inference.duration"][0].count == 1
    assert told["gen_ai.client.inference.usage.input_tokens"][0].value == 300


def test_names_that_callers_choose_are_no_labels() -> None:
    """Thousands of models and accounts make one label value each; snapshots count as their family."""
    meters = Meters()
    for number in range(2_000):
        meters.instruments.request(record(f"model-{number}", answer_model=f"m-{number}"))
        meters.instruments.call(call(f"model-{number}", answer=ANSWER))
        meters.instruments.charged(charge(Share(f"key:{number:012x}", "default", "fresh", 7, "pass-through")))
    meters.instruments.charged(charge(Share("acme", "f", "fresh", 7, "acme")))
    meters.instruments.charged(charge(Share("acme", "lost", "fresh", 7, "acme"))._replace(usage=None))
    told = meters.told()
    assert max(len(points) for points in told.values()) == 2
    labels = {
        str(value) for points in told.values() for point in points for value in point.attributes.values()
    }
    assert {"other", "gpt-4o", "pass-through", "acme"} <= labels
    assert "lost" not in labels
    assert not [label for label in labels if "model-" in label or "key:" in label]


def test_an_upstreams_own_codes_are_no_endless_labels() -> None:
    """The first few hundred are told by name, however many an ill upstream makes up."""
    meters = Meters()
    for number in range(1_000):
        meters.instruments.request(record(outcome=None, status=400, code=f"code_{number}"))
    points = meters.told()["gen_ai.server.request.duration"]
    kinds = {str(point.attributes["error.type"]): point.count for point in points}
    assert kinds["code_7"] == 1
    assert len(kinds) == 201
    assert kinds["_OTHER"] == 800


def test_hits_and_refusals_are_told_apart() -> None:
    """By outcome; what was saved is dollars, and what was refused has its code."""
    meters = Meters()
    meters.instruments.request(record(outcome=Exact(b"e", 1.0, 2.0), saved_nanousd=2_000_000_000))
    meters.instruments.request(record(outcome=None, status=429, code="queue_full", request=None))
    told = meters.told()
    assert {point.attributes["askonce.outcome"] for point in told["askonce.requests"]} == {"exact", "refused"}
    assert [point.value for point in told["askonce.saved"]] == [2.0]


def test_providers_are_named_as_the_conventions_name_them() -> None:
    """By their address; others by what the configuration calls them."""
    assert provider_of("mine", "https://api.openai.com/v1") == Peer("openai", "api.openai.com", 443)
    assert provider_of("mine", "https://x.openai.azure.com/openai/v1").provider == "azure.ai.openai"
    assert provider_of("mine", "http://127.0.0.1:8000/v1") == Peer("mine", "127.0.0.1", 8000)


def test_telemetry_without_its_packages_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interface alone, which other packages bring along, isn't enough."""
    settings = loads("upstreams: [{name: s, type: simulated}]\ntelemetry: {traces: on}\n", "test", {})
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "opentelemetry.sdk" else found(name)
    )
    with pytest.raises(ValueError, match=r"pip install 'askonce\[otel\]'"):
        open_telemetry(settings, Prices({}))


def test_nothing_is_sent_unless_it_is_turned_on() -> None:
    """An address alone turns nothing on."""
    settings = loads(
        "upstreams: [{name: s, type: simulated}]\ntelemetry: {endpoint: 'http://c:4318'}\n", "test", {}
    )
    assert open_telemetry(settings, Prices({})) is None

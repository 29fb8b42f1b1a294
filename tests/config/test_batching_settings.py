"""What of an upstream's requests goes together, as the configuration says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.config import PythonUpstream, loads
from askonce.model import Endpoint, Lane
from askonce.sending.batches.bodies import Bodies
from askonce.wiring.batching import batching_rules

if TYPE_CHECKING:
    from askonce.config import UpstreamSettings

BASE = "upstreams:\n- name: a\n  base_url: http://a\n"


def upstream(text: str = BASE) -> UpstreamSettings:
    return loads(text, "askonce.yaml", {}).upstreams[0]


def test_embeddings_alone_go_together_by_default() -> None:
    """Prompts and chats do only where the operator knows that the server takes them."""
    found = batching_rules(upstream())
    assert found is not None
    assert set(found.forms) == {Endpoint.EMBEDDINGS}
    assert (found.most.items, found.most.tokens, found.most.size_bytes) == (64, 100_000, 2**20)
    assert (found.in_flight, found.target_s, found.max_waiting) == (4, 1.0, 1_000)
    assert found.linger_s == {Lane.RELAXED: 0.05, Lane.BATCH: 0.05}
    assert found.linger_items == 16


def test_what_is_declared_goes_together() -> None:
    """Each endpoint has its own switch; caps and windows are as they are written."""
    found = batching_rules(
        upstream(
            BASE + "  limits: {max_queue: 7}\n"
            "  batching:\n    embeddings: off\n    completions: on\n    chat: vllm\n    max_items: 8\n"
            "    max_bytes: 10KiB\n    linger: {interactive: 5ms, relaxed: 0s, batch: 1s, items: 5}\n"
        )
    )
    assert found is not None
    assert set(found.forms) == {Endpoint.COMPLETIONS, Endpoint.CHAT}
    assert (found.most.items, found.most.size_bytes, found.max_waiting) == (8, 10_240, 7)
    assert found.linger_s == {Lane.INTERACTIVE: 0.005, Lane.BATCH: 1.0}
    assert found.linger_items == 5


def test_nothing_goes_together_where_it_is_turned_off() -> None:
    """Without an endpoint, or with one item at a time, there are no batches at all."""
    for batching in ("embeddings: off", "max_items: 1"):
        assert batching_rules(upstream(f"{BASE}  batching: {{{batching}}}\n")) is None


def test_a_function_is_given_calls_of_every_endpoint() -> None:
    """An engine in the gateway's process takes whole calls, whatever they ask."""
    engine = upstream("upstreams: [{type: python, name: engine, function: 'a.b:c.d'}]")
    assert isinstance(engine, PythonUpstream)
    assert (engine.function, engine.timeout_s, engine.presents_own_key) == ("a.b:c.d", 600.0, True)
    found = batching_rules(engine)
    assert found is not None
    assert {endpoint: type(form) for endpoint, form in found.forms.items()} == dict.fromkeys(Endpoint, Bodies)

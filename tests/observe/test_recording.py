"""askonce.observe.telemetry: who decides what is recorded and under which name, and how long an end may take."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import TYPE_CHECKING

import pytest

from askonce.observe.conventions import Known, Peer
from askonce.observe.telemetry import Target, Telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CALLER = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-"


@contextlib.asynccontextmanager
async def telemetry(
    ratio: float | None = None, name: str | None = None, endpoint: str | None = "http://127.0.0.1:9"
) -> AsyncIterator[Telemetry]:
    """Traces to a collector that isn't there."""
    target = Target(
        traces=True,
        metrics=False,
        endpoint=endpoint,
        headers={},
        service_name=name,
        sample_ratio=ratio,
        names="both",
    )
    opened = Telemetry(target, Known({}, Peer("", "127.0.0.1", 8080), frozenset()))
    try:
        yield opened
    finally:
        await opened.close(5)


def recorded(opened: Telemetry, traceparent: bytes = b"") -> bool:
    assert opened.begin is not None
    return opened.begin({b"traceparent": traceparent} if traceparent else {}).sampled


@pytest.mark.parametrize(
    ("ratio", "sampler", "wanted"),
    [
        (None, "", True),
        (None, "always_off", False),
        (None, "parentbased_always_off", False),
        (0.0, "", False),
        (1.0, "always_off", True),
    ],
)
async def test_a_trace_that_begins_here_is_recorded_as_configured(
    monkeypatch: pytest.MonkeyPatch,
    ratio: float | None,
    sampler: str,
    wanted: bool,  # noqa: FBT001
) -> None:
    """By the configuration, or else by OpenTelemetry's own variable, or else always."""
    if sampler:
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    async with telemetry(ratio) as opened:
        assert recorded(opened) is wanted


@pytest.mark.parametrize("ratio", [None, 0.0, 1.0])
async def test_a_callers_trace_is_recorded_as_the_caller_says(ratio: float | None) -> None:
    """Whatever share of the gateway's own ones is."""
    async with telemetry(ratio) as opened:
        assert recorded(opened, CALLER + b"01")
        assert not recorded(opened, CALLER + b"00")


async def test_a_share_of_the_traces_is_about_that_share() -> None:
    """Half of them: 2,000 coins fall on one side 850 to 1,150 times but once in 10 billion."""
    async with telemetry(0.5) as opened:
        assert 850 <= sum(recorded(opened) for _ in range(2_000)) <= 1_150


@pytest.mark.parametrize(
    ("configured", "environment", "wanted"),
    [(None, "", "askonce"), (None, "gateway-eu", "gateway-eu"), ("mine", "gateway-eu", "mine")],
)
async def test_a_service_is_named(
    monkeypatch: pytest.MonkeyPatch, configured: str | None, environment: str, wanted: str
) -> None:
    """By the configuration, or else by the environment, or else by the program."""
    if environment:
        monkeypatch.setenv("OTEL_SERVICE_NAME", environment)
    async with telemetry(name=configured) as opened:
        assert opened._spans is not None
        resource = opened._spans._tracer.resource  # type: ignore[attr-defined]
        assert resource.attributes["service.name"] == wanted
        assert resource.attributes["service.instance.id"]


async def test_an_end_waits_no_longer_than_it_may() -> None:
    """A collector that takes connections and says nothing: the end comes in time all the same."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with telemetry(endpoint=address) as opened:
            assert opened._spans is not None
            assert opened.begin is not None
            span = opened._spans._tracer.start_span("x")
            span.end()
            began = time.monotonic()
            async with asyncio.timeout(5):
                await opened.close(0.1)
            assert time.monotonic() - began < 2

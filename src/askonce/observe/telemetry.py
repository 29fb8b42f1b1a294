"""OpenTelemetry, where it is turned on: an observer that makes spans and metrics of what it is told.

The SDK sends both over OTLP/HTTP in threads of its own, from queues of bounded length: a collector that is slow or gone
costs what it would have been told, and a warning. Nothing else imports OpenTelemetry.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from askonce import __version__
from askonce.observe.instruments import Instruments
from askonce.observe.spans import ChosenIds, Spans
from askonce.ports import Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from askonce.observe.conventions import Known
    from askonce.ports import Charge, Record, UpstreamCall
    from askonce.trace import Trace

__all__ = ["Target", "Telemetry"]

_UNNAMED: Final = "unknown_service"
"""What the SDK calls a service that nobody has named."""
_QUIET_S: Final = 300.0
_COMPLAINING: Final = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.sdk._shared_internal",
    "opentelemetry.sdk.metrics._internal.export",
)
"""The SDK's loggers that speak of each batch that couldn't be sent."""
_RETRIES_END_S: Final = 0.5
"""How long an export that is told to stop may take to do so."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is sent where; `None` leaves a matter to OpenTelemetry's environment variables.

    Attributes:
        traces: Whether spans are sent.
        metrics: Whether metrics are sent.
        endpoint: The collector's address, without a signal's path.
        headers: What it wants beside.
        service_name: How the gateway calls itself.
        sample_ratio: The share of own traces that are recorded.
        names: Which generation of names metrics have: `old`, `new`, `both`.
    """

    traces: bool
    metrics: bool
    endpoint: str | None
    headers: Mapping[str, str]
    service_name: str | None
    sample_ratio: float | None
    names: str


class Telemetry(Observer):
    """Tells a collector. Attributes: `begin` makes a request's span of its headers; None without traces."""

    def __init__(self, target: Target, known: Known) -> None:
        for name in _COMPLAINING:
            logging.getLogger(name).addFilter(_Seldom())
        resource = _resource(target.service_name)
        self.begin: Callable[[Mapping[bytes, bytes]], Trace] | None = None
        self._spans: Spans | None = None
        self._instruments: Instruments | None = None
        self._ends: list[tuple[Callable[[], None], Callable[[], None]]] = []
        if target.traces:
            self._spans = self._trace(target, known, resource)
            self.begin = self._spans.begin
        if target.metrics:
            self._instruments = self._measure(target, known, resource)

    def request(self, record: Record) -> None:
        """A request has ended."""
        if self._spans is not None:
            self._spans.request(record)
        if self._instruments is not None:
            self._instruments.request(record)

    def charged(self, charge: Charge) -> None:
        """An upstream call is paid for."""
        if self._instruments is not None:
            self._instruments.charged(charge)

    def upstream_call(self, call: UpstreamCall) -> None:
        """An upstream call has ended."""
        if self._spans is not None:
            self._spans.call(call)
        if self._instruments is not None:
            self._instruments.call(call)

    async def close(self, timeout_s: float) -> None:
        """Sends what is left, for so long at most."""
        await asyncio.gather(*(_end(flush, stop, timeout_s) for flush, stop in self._ends))

    def _trace(self, target: Target, known: Known, resource: Resource) -> Spans:
        ids = ChosenIds()
        ratio = target.sample_ratio
        provider = TracerProvider(
            sampler=None if ratio is None else ParentBased(TraceIdRatioBased(ratio)),
            resource=resource,
            shutdown_on_exit=False,
            id_generator=ids,
        )
        exporter = OTLPSpanExporter(_address(target, "traces"), headers=dict(target.headers) or None)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        self._ends.append((provider.shutdown, exporter.shutdown))
        return Spans(provider, ids, known)

    def _measure(self, target: Target, known: Known, resource: Resource) -> Instruments:
        exporter = OTLPMetricExporter(_address(target, "metrics"), headers=dict(target.headers) or None)
        reader = PeriodicExportingMetricReader(exporter)
        provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self._ends.append((provider.shutdown, exporter.shutdown))
        return Instruments(provider, target.names, known)


class _Seldom(logging.Filter):
    """Lets the same complaint through once in five minutes, as a warning: a collector that is gone fails no request."""

    def __init__(self) -> None:
        super().__init__()
        self._until: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        said, now = str(record.msg), time.monotonic()  # without its arguments: one of a few sentences
        if now < self._until.get(said, 0.0):
            return False
        self._until[said] = now + _QUIET_S
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


async def _end(flush: Callable[[], None], stop: Callable[[], None], timeout_s: float) -> None:
    """Flushes in a thread that nobody has to wait for: the SDK's own time limits are longer than a shutdown's."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def run() -> None:
        flush()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, name="telemetry-end", daemon=True).start()
    for end_s in (timeout_s, _RETRIES_END_S):
        try:
            async with asyncio.timeout(end_s):
                await done.wait()
        except TimeoutError:
            stop()
        else:
            return


def _address(target: Target, signal: str) -> str | None:
    """A signal's whole address, which the SDK takes as it is; None leaves it to the environment."""
    return None if target.endpoint is None else f"{target.endpoint.rstrip('/')}/v1/{signal}"


def _resource(service_name: str | None) -> Resource:
    """Who speaks: what the environment says (`OTEL_RESOURCE_ATTRIBUTES`), and the configuration over it."""
    named = {SERVICE_NAME: service_name} if service_name is not None else {}
    said = Resource.create({SERVICE_VERSION: __version__, **named})
    fallback = {SERVICE_INSTANCE_ID: f"{uuid.uuid4()}"}
    resource = Resource(fallback).merge(said)
    if str(resource.attributes[SERVICE_NAME]).startswith(_UNNAMED):
        resource = resource.merge(Resource({SERVICE_NAME: "askonce"}))
    return resource

"""Prometheus metrics, prefix `askonce_`: base units, `_total` on counters, labels of bounded number.

Tenant labels are configured names (`pass-through` for all that aren't); models and keys are never labels.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder

from askonce import __version__
from askonce.observe.tally import Kind, Tallies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from askonce.ports import Charge, Record, UpstreamCall

__all__ = ["Family", "Metrics", "Reading"]

_BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SERVER_ERROR: Final = 500
_WANTED: Final = "not_cached"
"""The one such status that a caller asked for, with `only-if-cached`: it is no failure."""


class Family(NamedTuple):
    """Values that are read when scraped: name without prefix and `_total`, `gauge` or `counter`, help, labels' names."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...] = ()


class Reading(NamedTuple):
    """One value of a family: its name, the value, and the labels' values in the family's order."""

    family: str
    value: float
    labels: tuple[str, ...] = ()


class Metrics:
    """Counts requests and upstream calls, and reads the rest where it is kept."""

    def __init__(self, *, log_requests: bool) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # a series more for each, of which nobody asks
        registry = self._registry = CollectorRegistry()
        self._tallies = Tallies()
        registry.register(self._tallies)
        self._process = _Process()
        registry.register(self._process)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        Info("askonce_build", "Which version runs.", registry=registry).info({"version": __version__})
        self._log = structlog.get_logger("askonce.requests")
        self.log_requests = log_requests
        self._calls = Counter(
            "askonce_upstream_calls",
            "Upstream calls by how they ended.",
            ("upstream", "status"),
            registry=registry,
        )
        self._call_duration = Histogram(
            "askonce_upstream_duration_seconds",
            "Upstream calls, to their end.",
            ("upstream",),
            registry=registry,
            buckets=_BUCKETS_S,
        )
        self._waits = Histogram(
            "askonce_queue_wait_seconds",
            "How long requests waited for their turn, those that waited.",
            ("upstream", "lane", "reason"),
            registry=registry,
            buckets=_BUCKETS_S,
        )
        self._batches = Histogram(
            "askonce_batch_size",
            "Requests that one upstream call answered.",
            ("upstream",),
            registry=registry,
            buckets=_BATCH_SIZES,
        )
        self._retries = Counter(
            "askonce_upstream_retries",
            "Requests whose call failed and was sent again, by what went wrong.",
            ("upstream", "cause"),
            registry=registry,
        )
        self._fallbacks = Counter(
            "askonce_fallbacks",
            "Requests that went on from one upstream to another, by what went wrong.",
            ("upstream", "to", "cause"),
            registry=registry,
        )
        self._decisions = Counter(
            "askonce_semantic_decisions",
            "What the semantic tier decided, and why.",
            ("feature", "mode", "reason"),
            registry=registry,
        )
        self._audits = Counter(
            "askonce_audits",
            "Audits of semantic hits by their verdict.",
            ("feature", "source", "verdict", "judge"),
            registry=registry,
        )
        self._webhooks = Counter(
            "askonce_job_webhook_attempts",
            "Attempts at jobs' webhooks by how they ended.",
            ("result",),
            registry=registry,
        )
        self._dropped = Counter(
            "askonce_audits_dropped",
            "Audits that brought no verdict, and why.",
            ("reason",),
            registry=registry,
        )

        # What every upstream call tells: looking labels up takes longer than counting.
        self._calls_of = cache(self._calls.labels)
        self._durations_of = cache(self._call_duration.labels)
        self._batches_of = cache(self._batches.labels)

    def read(self, families: Sequence[Family], readings: Callable[[], Iterable[Reading]]) -> None:
        """Adds values that are read when scraped; families without any are there by name."""
        self._registry.register(_Readings(families, readings))

    async def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """All values and their content type: OpenMetrics where `accept` asks for it, else Prometheus' text format.

        Values are taken in one breath; what is long is writing them, which a thread does.
        """
        await asyncio.to_thread(self._process.read)
        encode, content_type = choose_encoder(accept)
        return await asyncio.to_thread(encode, _Taken(self._registry.collect())), content_type

    def request(self, record: Record) -> None:
        """A request has ended."""
        outcome = record.outcome
        name, reason = ("refused", record.code) if outcome is None else (outcome.name, outcome.reason)
        kind = Kind(record.endpoint, record.tenant, record.feature, name, reason, record.status)
        self._tallies.count(kind, record)
        failed = record.status >= _SERVER_ERROR and record.code != _WANTED
        if failed or self.log_requests:
            self._write(record, name, reason, failed=failed)

    def charged(self, charge: Charge) -> None:
        """An upstream call is paid for."""
        self._tallies.charged(charge)

    def upstream_call(self, call: UpstreamCall) -> None:
        """An upstream call has ended."""
        if call.counts:
            self._calls_of(call.upstream, call.status).inc()
            self._durations_of(call.upstream).observe(call.duration_s)

    def waited(self, upstream: str, lane: str, reason: str, wait_s: float) -> None:
        """A request has waited for its turn."""
        self._waits.labels(upstream, lane, reason).observe(wait_s)

    def batch(self, upstream: str, size: int) -> None:
        """An upstream call has been accepted."""
        self._batches_of(upstream).observe(size)

    def retry(self, upstream: str, cause: str) -> None:
        """A failed call is sent again."""
        self._retries.labels(upstream, cause).inc()

    def fallback(self, upstream: str, stand_in: str, cause: str) -> None:
        """A request goes on from one upstream to another."""
        self._fallbacks.labels(upstream, stand_in, cause).inc()

    def semantic(self, feature: str, mode: str, reason: str) -> None:
        """The semantic tier has decided."""
        self._decisions.labels(feature, mode, reason).inc()

    def audit(self, feature: str, source: str, verdict: str, judge: str) -> None:
        """An audit has ended."""
        self._audits.labels(feature, source, verdict, judge).inc()

    def webhook(self, result: str) -> None:
        """An attempt at a webhook has ended."""
        self._webhooks.labels(result).inc()

    def audit_dropped(self, reason: str) -> None:
        """An audit has ended before its verdict."""
        self._dropped.labels(reason).inc()

    def _write(self, record: Record, outcome: str, reason: str, *, failed: bool) -> None:
        """One line; failures that aren't the caller's always get theirs. Messages stay out: they may quote a prompt."""
        write = self._log.warning if failed else self._log.info
        write(
            "request",
            request_id=record.request_id,
            endpoint=record.endpoint,
            tenant=record.tenant,
            feature=record.feature,
            model=record.model,
            outcome=outcome,
            reason=reason,
            status=record.status,
            duration_ms=round(record.duration_s * 1000, 3),
        )


class _Taken:
    """Values as they were when they were taken: what the encoders know of a registry."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class _Process:
    """Memory, CPU time and open files: the kernel tells them through files, which a thread reads."""

    def __init__(self) -> None:
        self._collector = ProcessCollector(registry=None)
        self._metrics: list[Metric] = []

    def read(self) -> None:
        self._metrics = list(self._collector.collect())

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class _Readings:
    """prometheus_client's collector protocol over a function that reads."""

    def __init__(self, families: Sequence[Family], readings: Callable[[], Iterable[Reading]]) -> None:
        self._families = families
        self._read = readings

    def collect(self) -> Iterator[Metric]:
        told = {one.name: _empty(one) for one in self._families}
        for reading in self._read():
            told[reading.family].add_metric(reading.labels, reading.value)
        yield from told.values()

    def describe(self) -> Iterator[Metric]:
        """The families without values: what registering needs to know."""
        yield from map(_empty, self._families)


def _empty(family: Family) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    return kind(f"askonce_{family.name}", family.text, labels=family.labels)

"""Prometheus metrics, prefix `askonce_`: base units, `_total` on counters, labels of bounded number.

Tenant labels are configured names (`pass-through` for all that aren't); models and keys are never labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.metrics_core import Metric

    from askonce.ports import Record

__all__ = ["Metrics", "Reading"]

_BUCKETS_S: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300,
)  # fmt: skip
_NANO: Final = 1e-9
_SERVER_ERROR: Final = 500
Reading = tuple[str, str, str, float]
"""A value read when scraped: name without prefix, help, `gauge` or `counter`, value."""


@dataclass(frozen=True, slots=True)
class _Children:
    """The labelled metrics of one kind of request."""

    requests: Counter
    duration: Histogram
    first_byte: Histogram
    overhead: Histogram
    input_tokens: Counter
    output_tokens: Counter
    spent: Counter
    saved: Counter


class Metrics:
    """Counts requests and upstream calls, and reads the rest where it is kept."""

    def __init__(self, *, log_requests: bool) -> None:
        registry = self._registry = CollectorRegistry()
        self._log = structlog.get_logger("askonce.requests")
        self._log_requests = log_requests
        self._requests = Counter(
            "askonce_requests",
            "Requests by how they were answered (`refused` with the error's code as reason).",
            ("endpoint", "tenant", "feature", "outcome", "reason"),
            registry=registry,
        )
        self._duration = _histogram("request_duration", "To the answer's last byte.", ("outcome",), registry)
        self._first_byte = _histogram("first_byte", "To the answer's first byte.", ("outcome",), registry)
        self._overhead = _histogram(
            "overhead", "First byte, less the upstream's own.", ("outcome",), registry
        )
        self._tokens = Counter(
            "askonce_tokens",
            "Tokens of answers; those of shared answers count once per caller.",
            ("tenant", "feature", "outcome", "kind"),
            registry=registry,
        )
        spend = ("tenant", "feature", "outcome")
        self._spent = Counter(
            "askonce_spent_usd", "Dollars that upstream calls cost.", spend, registry=registry
        )
        self._saved = Counter("askonce_saved_usd", "Dollars not spent, by outcome.", spend, registry=registry)
        self._unpriced = Counter(
            "askonce_unpriced_requests", "Answers of models whose price isn't known.", registry=registry
        )
        self._calls = Counter(
            "askonce_upstream_calls",
            "Upstream calls by how they ended.",
            ("upstream", "status"),
            registry=registry,
        )
        self._call_duration = _histogram(
            "upstream_duration", "Upstream calls, whole.", ("upstream",), registry
        )
        self._decisions = Counter(
            "askonce_semantic_decisions",
            "What the semantic tier decided, and why.",
            ("feature", "mode", "reason"),
            registry=registry,
        )
        self._children: dict[tuple[str, ...], _Children] = {}

    def read(self, readings: Callable[[], Iterable[Reading]]) -> None:
        """Adds values that are read when scraped."""
        self._registry.register(_Readings(readings))

    def exposition(self) -> bytes:
        """The text format."""
        return generate_latest(self._registry)

    def request(self, record: Record) -> None:
        """A request has ended."""
        outcome = record.outcome
        name, reason = ("refused", record.code) if outcome is None else (outcome.name, outcome.reason)
        key = (record.endpoint, record.tenant, record.feature, name, reason)
        children = self._children.get(key)
        if children is None:
            children = self._children[key] = self._bear(key)
        children.requests.inc()
        children.duration.observe(record.duration_s)
        if outcome is not None:
            children.first_byte.observe(record.first_byte_s)
            if record.overhead_s is not None:
                children.overhead.observe(record.overhead_s)
            self._account(record, children)
        if self._log_requests or record.status >= _SERVER_ERROR:
            self._write(record, name, reason)

    def upstream_call(self, upstream: str, status: str, duration_s: float) -> None:
        """An upstream call has ended."""
        self._calls.labels(upstream, status).inc()
        self._call_duration.labels(upstream).observe(duration_s)

    def semantic(self, feature: str, mode: str, reason: str) -> None:
        """The semantic tier has decided."""
        self._decisions.labels(feature, mode, reason).inc()

    def _bear(self, key: tuple[str, str, str, str, str]) -> _Children:
        """The labelled metrics of one kind of request, looked up once."""
        _, tenant, feature, outcome, _ = key
        whose = (tenant, feature, outcome)
        return _Children(
            requests=self._requests.labels(*key),
            duration=self._duration.labels(outcome),
            first_byte=self._first_byte.labels(outcome),
            overhead=self._overhead.labels(outcome),
            input_tokens=self._tokens.labels(*whose, "input"),
            output_tokens=self._tokens.labels(*whose, "output"),
            spent=self._spent.labels(*whose),
            saved=self._saved.labels(*whose),
        )

    def _account(self, record: Record, children: _Children) -> None:
        usage = record.usage
        if usage is None:
            return
        children.input_tokens.inc(usage.prompt_tokens)
        children.output_tokens.inc(usage.completion_tokens)
        if record.spent_nanousd is None or record.saved_nanousd is None:
            self._unpriced.inc()
            return
        if record.spent_nanousd:
            children.spent.inc(record.spent_nanousd * _NANO)
        if record.saved_nanousd:
            children.saved.inc(record.saved_nanousd * _NANO)

    def _write(self, record: Record, outcome: str, reason: str) -> None:
        """One line; failures that aren't the caller's always get theirs. Messages stay out: they may quote a prompt."""
        write = self._log.warning if record.status >= _SERVER_ERROR else self._log.info
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


def _histogram(name: str, text: str, labels: tuple[str, ...], registry: CollectorRegistry) -> Histogram:
    return Histogram(f"askonce_{name}_seconds", text, labels, registry=registry, buckets=_BUCKETS_S)


class _Readings:
    """prometheus_client's collector protocol over a function that reads."""

    def __init__(self, readings: Callable[[], Iterable[Reading]]) -> None:
        self._read = readings

    def collect(self) -> Iterator[Metric]:
        for name, text, kind, value in self._read():
            family = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
            yield family(f"askonce_{name}", text, value=value)

"""What the metrics read when they are scraped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.observe.metrics import Reading
from askonce.ports import EmbedderState
from askonce.stores.memory import MemoryStore
from askonce.wiring.upstreams import upstream_readings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.gateway import Gateway
    from askonce.job import JobTotals
    from askonce.pipeline.allowances import Allowances
    from askonce.pipeline.budgets import Standing
    from askonce.wiring.adapters import Adapters
    from askonce.wiring.jobs import Jobs
    from askonce.wiring.semantics import Semantics

__all__ = ["readings"]

_USD: Final = 1e-9


def readings(gateway: Gateway, adapters: Adapters, semantics: Semantics, jobs: Jobs) -> Iterator[Reading]:
    """Values that the metrics read when they are scraped."""
    flights, store = gateway.flights, adapters.store.health()
    yield from _of_limits(adapters.allowances)
    yield Reading("flights_running", flights.running)
    yield Reading("flight_callers", flights.waiting)
    yield Reading("flights", flights.started)
    yield Reading("joiners", flights.joined)
    yield Reading("log_bytes", flights.memory.used_bytes)
    yield Reading("store_durable", store.durable or isinstance(adapters.store, MemoryStore))
    yield Reading("store_entries", store.entries)
    yield Reading("store_memory_bytes", store.memory_bytes)
    yield Reading("store_disk_bytes", store.disk_bytes)
    yield Reading("store_pending_writes", store.pending_writes)
    yield Reading("store_evictions", store.evictions)
    yield Reading("store_lost_writes", store.lost_writes)
    yield Reading("store_rows_to_encrypt", store.rows_to_seal or 0)
    yield Reading("store_unreadable", store.unreadable)
    ledger = adapters.ledger.health()
    yield Reading("ledger_durable", ledger.durable)
    yield Reading("ledger_pending_calls", ledger.pending_calls)
    yield Reading("ledger_unsettled_calls", ledger.unsettled_calls)
    yield Reading("ledger_missed_records", ledger.missed_records)
    index, semantic = adapters.index, semantics.tier
    yield Reading("index_rows", index.rows)
    yield Reading("index_bytes", index.size_bytes)
    yield Reading("semantic_backlog", semantic.backlog)
    embedder = adapters.embedder
    if embedder is not None:
        yield Reading("embedder_ready", embedder.state is EmbedderState.READY)
        yield Reading("embedder_failed", embedder.state is EmbedderState.FAILED)
        yield Reading("embedder_runs", embedder.runs)
        yield Reading("embedder_memo_hits", embedder.memo_hits)
        yield Reading("embedder_rejected", embedder.rejected)
        yield Reading("embedder_queued", embedder.queued)
        yield Reading("embedder_busy_seconds", embedder.seconds)
    yield Reading("audits_waiting", semantics.auditor.waiting)
    spent_usd = semantics.purse.total_nanousd * _USD
    yield Reading("audit_spent_usd", spent_usd)
    for standing in semantics.budgets.standings():
        yield from _of_budget(standing)
    for outlet in adapters.dispatcher.outlets:
        yield from upstream_readings(outlet)
    totals = jobs.engine.totals
    if totals is not None:
        yield from _of_jobs(totals, gateway.parts.clock.now())


def _of_jobs(totals: JobTotals, now: float) -> Iterator[Reading]:
    """The batch lane, some seconds old."""
    for name, counts in (
        ("jobs", totals.jobs),
        ("job_lines", totals.lines),
        ("job_batches", totals.batches),
        ("job_webhooks", totals.deliveries),
    ):
        for state, count in counts.items():
            yield Reading(name, count, (state,))
    age_s = 0.0 if totals.oldest_at is None else max(0.0, now - totals.oldest_at)
    yield Reading("job_oldest_seconds", age_s)
    yield Reading("job_bytes", totals.size_bytes)


def _of_limits(allowances: Allowances) -> Iterator[Reading]:
    """How much of limits is used: of all credentials the one that has used most."""
    for labels, ratio in allowances.ratios():
        yield Reading("limit_used_ratio", ratio, labels)
    for crossing in allowances.crossings:
        labels = (crossing.tenant, crossing.feature, crossing.limit)
        yield Reading("limit_exceeded", crossing.exceeded, labels)
        yield Reading("limit_warnings", crossing.warned, labels)


def _of_budget(standing: Standing) -> Iterator[Reading]:
    """A feature's promise, and how it is kept."""
    feature, setting = (standing.feature,), standing.setting
    for of, rate in (("hits", setting.among_hits), ("requests", setting.among_all)):
        for bound, value in (("estimate", rate.estimate), ("lower", rate.low), ("upper", rate.high)):
            yield Reading("semantic_false_hit_ratio", value, (*feature, of, bound))
    promised = standing.budget.error_rate
    yield Reading("error_budget_ratio", promised, feature)
    breached = standing.breached_at is not None
    yield Reading("error_budget_breached", breached, feature)
    yield Reading("serving_threshold_ratio", setting.threshold, feature)
    yield Reading("budget_labels", setting.labels, feature)

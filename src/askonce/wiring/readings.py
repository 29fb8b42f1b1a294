"""What the metrics read when they are scraped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.observe.metrics import Reading
from askonce.wiring.upstreams import upstream_readings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.gateway import Gateway
    from askonce.job import JobTotals
    from askonce.pipeline.budgets import Standing
    from askonce.wiring.adapters import Adapters
    from askonce.wiring.jobs import Jobs
    from askonce.wiring.semantics import Semantics

__all__ = ["readings"]

_USD: Final = 1e-9


def readings(gateway: Gateway, adapters: Adapters, semantics: Semantics, jobs: Jobs) -> Iterator[Reading]:
    """Values that the metrics read when they are scraped."""
    flights, store = gateway.flights, adapters.store.health()
    yield Reading("flights_running", "Flights in the air.", "gauge", flights.running)
    yield Reading("flight_callers", "Callers on board of flights.", "gauge", flights.waiting)
    yield Reading("flights", "Flights started.", "counter", flights.started)
    yield Reading("joiners", "Callers that joined a running flight.", "counter", flights.joined)
    yield Reading("log_bytes", "Bytes held by flights' logs.", "gauge", flights.memory.used_bytes)
    yield Reading(
        "store_durable",
        "1 while answers reach the disk (or none is configured).",
        "gauge",
        store.durable,
    )
    yield Reading("store_entries", "Entries known to the store.", "gauge", store.entries)
    yield Reading("store_memory_bytes", "Bytes of answers in memory.", "gauge", store.memory_bytes)
    yield Reading("store_disk_bytes", "Bytes of the store's file.", "gauge", store.disk_bytes)
    yield Reading(
        "store_pending_writes", "Writes that wait for the next commit.", "gauge", store.pending_writes
    )
    yield Reading("store_evictions", "Entries evicted for room.", "counter", store.evictions)
    yield Reading("store_lost_writes", "Writes that never reached the disk.", "counter", store.lost_writes)
    index, semantic = adapters.index, semantics.tier
    yield Reading("index_rows", "Questions that can be found.", "gauge", index.rows)
    yield Reading("index_bytes", "Memory of the vector index.", "gauge", index.size_bytes)
    yield Reading("semantic_backlog", "Questions that wait for their vector.", "gauge", semantic.backlog)
    embedder = adapters.embedder
    if embedder is not None:
        yield Reading("embedder_ready", "1 once the embedder is loaded.", "gauge", embedder.state == "ready")
        yield Reading("embedder_runs", "Texts embedded.", "counter", embedder.runs)
        yield Reading("embedder_memo_hits", "Texts whose vector was known.", "counter", embedder.memo_hits)
        yield Reading(
            "embedder_rejected",
            "Texts refused for a full queue or their length.",
            "counter",
            embedder.rejected,
        )
        yield Reading("embedder_queued", "Texts that wait.", "gauge", embedder.queued)
        yield Reading("embedder_busy_seconds", "Time spent on embedding.", "counter", embedder.seconds)
    yield Reading("audits_waiting", "Audits that wait.", "gauge", semantics.auditor.waiting)
    spent_usd = semantics.purse.total_nanousd * _USD
    yield Reading("audit_spend_usd", "Dollars that audits cost.", "counter", spent_usd)
    for standing in semantics.budgets.standings():
        yield from _of_budget(standing)
    for outlet in adapters.dispatcher.outlets:
        yield from upstream_readings(outlet)
    totals = jobs.engine.totals
    if totals is not None:
        yield from _of_jobs(totals, gateway.parts.clock.now())


def _of_jobs(totals: JobTotals, now: float) -> Iterator[Reading]:
    """The batch lane, some seconds old."""
    for name, text, counts in (
        ("jobs", "Jobs by state.", totals.jobs),
        ("job_lines", "What jobs ask, identical ones counted once, by state.", totals.lines),
        ("job_batches", "Providers' batches under way, by state.", totals.batches),
        ("job_webhooks", "Webhooks by state.", totals.deliveries),
    ):
        for state, count in counts.items():
            yield Reading(name, text, "gauge", count, (("state", state),))
    age_s = 0.0 if totals.oldest_at is None else max(0.0, now - totals.oldest_at)
    yield Reading("job_oldest_seconds", "Age of the oldest open job.", "gauge", age_s)
    yield Reading("job_bytes", "What jobs and their results take in the store.", "gauge", totals.size_bytes)


def _of_budget(standing: Standing) -> Iterator[Reading]:
    """A feature's promise, and how it is kept."""
    feature, setting = (("feature", standing.feature),), standing.setting
    for of, rate in (("hits", setting.among_hits), ("requests", setting.among_all)):
        for bound, value in (("estimate", rate.estimate), ("lower", rate.low), ("upper", rate.high)):
            labels = (*feature, ("of", of), ("bound", bound))
            text = "Share of wrong answers among served semantic hits, and among all requests that were looked up."
            yield Reading("semantic_false_hit_rate", text, "gauge", value, labels)
    promised = standing.budget.error_rate
    yield Reading("error_budget", "Share of semantic hits that may be wrong.", "gauge", promised, feature)
    breached = standing.breached_at is not None
    text = "1 while semantic serving is off because too many hits were wrong."
    yield Reading("error_budget_breached", text, "gauge", breached, feature)
    text = "Probability from which semantic hits are served; above 1: none."
    yield Reading("serving_threshold", text, "gauge", setting.threshold, feature)
    text = "Labels that the threshold rests on."
    yield Reading("budget_labels", text, "gauge", setting.labels, feature)

"""What the metrics read when they are scraped, by name: each is there from the start, with or without a value."""

from __future__ import annotations

from typing import Final

from askonce.observe.metrics import Family

__all__ = ["FAMILIES"]

_UPSTREAM: Final = ("upstream",)
_FEATURE: Final = ("feature",)
_STATE: Final = ("state",)
_LIMIT: Final = ("tenant", "feature", "limit")

_SHARING: Final = (
    Family("flights_running", "gauge", "Flights in the air."),
    Family("flight_callers", "gauge", "Callers on board of flights."),
    Family("flights", "counter", "Flights started."),
    Family("joiners", "counter", "Callers that joined a running flight."),
    Family("log_bytes", "gauge", "Bytes held by flights' logs."),
)
_STORE: Final = (
    Family("store_durable", "gauge", "1 while answers reach the disk (or none is configured)."),
    Family("store_entries", "gauge", "Entries known to the store."),
    Family("store_memory_bytes", "gauge", "Bytes of answers in memory."),
    Family("store_disk_bytes", "gauge", "Bytes of the store's file."),
    Family("store_pending_writes", "gauge", "Writes that wait for the next commit."),
    Family("store_evictions", "counter", "Entries evicted for room."),
    Family("store_lost_writes", "counter", "Writes that never reached the disk."),
    Family(
        "store_rows_to_encrypt",
        "gauge",
        "Rows of the store's file that may not be encrypted with the first key yet.",
    ),
    Family("store_unreadable", "counter", "Encrypted rows met that no key opens."),
)
_LEDGER: Final = (
    Family("ledger_durable", "gauge", "1 while what was spent and saved outlives a kill; 0 also in memory."),
    Family(
        "ledger_pending_calls", "gauge", "Upstream calls that the ledger's journal has and its file hasn't."
    ),
    Family("ledger_unsettled_calls", "counter", "Upstream calls of which nobody said what they took."),
    Family("ledger_missed_records", "counter", "Calls that the ledger's journal couldn't take."),
)
_MATCHING: Final = (
    Family("index_rows", "gauge", "Questions that can be found."),
    Family("index_bytes", "gauge", "Memory of the vector index."),
    Family("semantic_backlog", "gauge", "Questions that wait for their vector."),
    Family("embedder_ready", "gauge", "1 once the embedder is loaded."),
    Family(
        "embedder_failed", "gauge", "1 where the embedder can't be loaded: nothing is matched by meaning."
    ),
    Family("embedder_runs", "counter", "Texts embedded."),
    Family("embedder_memo_hits", "counter", "Texts whose vector was known."),
    Family("embedder_rejected", "counter", "Texts refused for a full queue or their length."),
    Family("embedder_queued", "gauge", "Texts that wait."),
    Family("embedder_busy_seconds", "counter", "Time spent on embedding."),
)
_PROMISE: Final = (
    Family("audits_waiting", "gauge", "Audits that wait."),
    Family("audit_spent_usd", "counter", "Dollars that audits cost."),
    Family(
        "semantic_false_hit_ratio",
        "gauge",
        "Share of wrong answers among served semantic hits, and among all requests that were looked up.",
        ("feature", "of", "bound"),
    ),
    Family("error_budget_ratio", "gauge", "Share of semantic hits that may be wrong.", _FEATURE),
    Family(
        "error_budget_breached",
        "gauge",
        "1 while semantic serving is off because too many hits were wrong.",
        _FEATURE,
    ),
    Family(
        "serving_threshold_ratio",
        "gauge",
        "Probability from which semantic hits are served; above 1: none.",
        _FEATURE,
    ),
    Family("budget_labels", "gauge", "Labels that the threshold rests on.", _FEATURE),
)
_JOBS: Final = (
    Family("jobs", "gauge", "Jobs by state.", _STATE),
    Family("job_lines", "gauge", "What jobs ask, identical ones counted once, by state.", _STATE),
    Family("job_batches", "gauge", "Providers' batches under way, by state.", _STATE),
    Family("job_webhooks", "gauge", "Webhooks by state.", _STATE),
    Family("job_oldest_seconds", "gauge", "Age of the oldest open job."),
    Family("job_bytes", "gauge", "What jobs and their results take in the store."),
)
_LIMITS: Final = (
    Family(
        "limit_used_ratio",
        "gauge",
        "Part of a tenant's or feature's limit that is used: the hard one, or else the soft one.",
        _LIMIT,
    ),
    Family(
        "limit_exceeded",
        "counter",
        "Requests above a hard limit: refused, unless the store had the answer.",
        _LIMIT,
    ),
    Family(
        "limit_warnings", "counter", "Answers that carried a warning, since a soft limit was crossed.", _LIMIT
    ),
)
_SENDING: Final = (
    Family(
        "breaker_state",
        "gauge",
        "An upstream's circuit breaker: 0 closed, 1 half open, 2 open.",
        _UPSTREAM,
    ),
    Family(
        "breaker_open_models",
        "gauge",
        "Models of an upstream whose own circuit breaker isn't closed.",
        _UPSTREAM,
    ),
    Family(
        "breaker_transitions",
        "counter",
        "Circuit breakers that opened, and closed again.",
        ("upstream", "of", "to"),
    ),
    Family("retry_budget", "gauge", "Retries that an upstream's budget allows now.", _UPSTREAM),
    Family("queue_depth", "gauge", "Requests that wait for their turn.", ("upstream", "lane")),
    Family(
        "queue_refusals",
        "counter",
        "Requests that were told at once that waiting is of no use.",
        ("upstream", "code"),
    ),
    Family(
        "concurrency_limit",
        "gauge",
        "Calls that may be under way at a time, for all models that were asked for together.",
        _UPSTREAM,
    ),
    Family("calls_in_use", "gauge", "Calls under way.", _UPSTREAM),
    Family("upstream_429", "counter", "Calls that the upstream answered 429.", _UPSTREAM),
    Family(
        "upstream_429_avoided",
        "counter",
        "Calls that waited for a rate limit instead of being answered 429.",
        _UPSTREAM,
    ),
    Family(
        "learned_requests_per_second",
        "gauge",
        "Rate learned from refusals, all models and keys that were refused together; 0: none.",
        _UPSTREAM,
    ),
)
FAMILIES: Final = (*_SHARING, *_STORE, *_LEDGER, *_MATCHING, *_PROMISE, *_JOBS, *_LIMITS, *_SENDING)
"""All of them."""

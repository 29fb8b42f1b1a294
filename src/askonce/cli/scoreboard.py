"""What a burst of traffic came to: counted, and shown as tables that a person understands."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families
from rich.box import SIMPLE_HEAD
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.cli.burst import Observation

__all__ = ["OWN", "Score", "outcome_table", "read_totals", "score", "summary_lines", "wrong_hits"]

_OUTCOMES = ("fresh", "joined", "exact", "semantic", "semantic-joined", "bypass", "failed")
_MEANING = {
    "fresh": "asked upstream",
    "joined": "shared a call",
    "exact": "same words",
    "semantic": "other words",
    "semantic-joined": "both of these",
    "bypass": "not shared",
    "failed": "error",
}
_SHARED = ("semantic", "semantic-joined")
OWN = frozenset({"fresh", "bypass", "failed"})
"""Outcomes that share nothing."""
_WHOLE_FROM_MS = 100.0


@dataclass(frozen=True, slots=True)
class Score:
    """One burst in numbers. Latencies in milliseconds by outcome: (p50, p95, p99)."""

    requests: int
    upstream_calls: int
    outcomes: dict[str, int]
    latency_ms: dict[str, tuple[float, float, float]]
    tokens_spent: int
    tokens_saved: int
    usd_spent: float
    usd_saved: float
    semantic_hits: int
    wrong_hits: int
    seconds: float

    @property
    def shared(self) -> int:
        """Requests that got an answer which was made for another."""
        return sum(count for name, count in self.outcomes.items() if name not in OWN)

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "requests": self.requests,
            "upstream_calls": self.upstream_calls,
            "outcomes": self.outcomes,
            "latency_ms": {
                name: dict(zip(("p50", "p95", "p99"), values, strict=True))
                for name, values in self.latency_ms.items()
            },
            "tokens": {"spent": self.tokens_spent, "saved": self.tokens_saved},
            "usd": {"spent": self.usd_spent, "saved": self.usd_saved},
            "semantic_hits": self.semantic_hits,
            "wrong_hits": self.wrong_hits,
            "seconds": self.seconds,
        }


def read_totals(exposition: str) -> dict[tuple[str, str], float]:
    """Sums of the gateway's counters by (name, outcome label)."""
    totals: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            key = (sample.name, sample.labels.get("outcome", ""))
            totals[key] = totals.get(key, 0.0) + sample.value
    return totals


def score(seen: Sequence[Observation], totals: dict[tuple[str, str], float], seconds: float) -> Score:
    """Counts what the client saw, and takes calls, tokens and dollars from the gateway's own metrics."""
    outcomes = Counter(one.outcome for one in seen)
    spending = {"fresh", "bypass"}

    def total(name: str, *, spent: bool) -> float:
        return sum(
            value
            for (metric, outcome), value in totals.items()
            if metric == name and (outcome in spending) is spent
        )

    return Score(
        requests=len(seen),
        upstream_calls=int(totals.get(("askonce_upstream_calls_total", ""), 0)),
        outcomes={name: outcomes[name] for name in _OUTCOMES if outcomes[name]},
        latency_ms={
            name: _percentiles([one.whole_s * 1000 for one in seen if one.outcome == name])
            for name in _OUTCOMES
            if outcomes[name]
        },
        tokens_spent=int(total("askonce_tokens_total", spent=True)),
        tokens_saved=int(total("askonce_tokens_total", spent=False)),
        usd_spent=total("askonce_spent_usd_total", spent=True),
        usd_saved=total("askonce_saved_usd_total", spent=False),
        semantic_hits=sum(outcomes[name] for name in _SHARED),
        wrong_hits=len(wrong_hits(seen)),
        seconds=seconds,
    )


def wrong_hits(seen: Sequence[Observation]) -> list[Observation]:
    """Shared or stored answers that the question should not have got."""
    return [one for one in seen if one.outcome not in OWN and not one.right]


def outcome_table(result: Score) -> Table:
    """A row per outcome; 80 columns are enough for it."""
    title = "How the requests were answered (ms, as a client on this machine saw it)"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("outcome", no_wrap=True)
    table.add_column("meaning", style="dim", no_wrap=True)
    for heading in ("requests", "share", "p50", "p95", "p99"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, count in result.outcomes.items():
        latencies = [f"{value:,.{1 if value < _WHOLE_FROM_MS else 0}f}" for value in result.latency_ms[name]]
        table.add_row(name, _MEANING[name], str(count), f"{count / result.requests:.0%}", *latencies)
    return table


def summary_lines(result: Score) -> list[str]:
    """The sentences below the table."""
    whole_usd = result.usd_spent + result.usd_saved
    share = result.usd_saved / whole_usd if whole_usd else 0.0
    verdict = "none" if not result.wrong_hits else f"{result.wrong_hits} (!)"
    return [
        f"{result.requests:,} requests, {result.upstream_calls:,} upstream calls, in {result.seconds:.1f} s",
        f"tokens   {result.tokens_spent:>10,} spent   {result.tokens_saved:>10,} saved",
        f"dollars  {result.usd_spent:>10.6f} spent   {result.usd_saved:>10.6f} saved   ({share:.0%} of the bill)",
        f"wrong    {verdict} of {result.shared:,} answers that were made for another request",
        f"         ({result.semantic_hits:,} of them asked in other words; the sample knows the truth)",
    ]


def _percentiles(values: list[float]) -> tuple[float, float, float]:
    """Nearest-rank percentiles 50, 95 and 99."""
    ordered = sorted(values)
    p50, p95, p99 = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.95, 0.99))
    return p50, p95, p99

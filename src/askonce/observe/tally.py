"""What is counted per request: plain integers on the way, Prometheus families when somebody scrapes.

A labelled counter of the client library costs about a microsecond; a request has eight of them, and an exact hit
has no such time to give away.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.samples import Exemplar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from askonce.ports import Charge, Record
    from askonce.trace import Trace

__all__ = ["Kind", "Tallies"]

_BUCKETS_S: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300,
)  # fmt: skip
_MOST_KINDS: Final = 5_000
_USD: Final = 1e-9
_LAYERS: Final = {
    "fresh": "inflight",
    "bypass": "inflight",
    "joined": "inflight",
    "exact": "exact",
    "semantic": "semantic",
    "semantic-joined": "semantic",
}
"""What each outcome saves by; whoever asked, by what those pay who joined it, where costs are split."""


class Kind(NamedTuple):
    """What requests are counted by; every field is bounded in number."""

    endpoint: str
    tenant: str
    feature: str
    outcome: str
    reason: str
    status: int


class _Latency:
    """A histogram of seconds, and of each bucket the last request that is traced."""

    __slots__ = ("counts", "total_s", "traced")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BUCKETS_S) + 1)
        self.total_s = 0.0
        self.traced: dict[int, Exemplar] = {}

    def observe(self, seconds: float, trace: Trace | None = None) -> None:
        place = bisect_left(_BUCKETS_S, seconds)
        self.counts[place] += 1
        self.total_s += seconds
        if trace is not None and trace.sampled:
            self.traced[place] = Exemplar({"trace_id": f"{trace.trace_id:032x}"}, seconds, time.time())

    def cumulated(self) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
        """Prometheus' buckets: upper bound, count up to it, and an example that OpenMetrics shows."""
        told: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
        for place, bound in enumerate([*(str(bound) for bound in _BUCKETS_S), "+Inf"]):
            count, example = float(sum(self.counts[: place + 1])), self.traced.get(place)
            told.append((bound, count) if example is None else (bound, count, example))
        return told


class _Tally:
    """The counts of one kind of request; latencies are shared by all of one outcome."""

    __slots__ = (
        "cached_tokens", "duration", "first_byte", "input_tokens", "output_tokens", "overhead", "requests", "saved_nanousd",
        "unpriced",
    )  # fmt: skip

    def __init__(self, duration: _Latency, first_byte: _Latency, overhead: _Latency) -> None:
        self.duration = duration
        self.first_byte = first_byte
        self.overhead = overhead
        self.requests = self.input_tokens = self.cached_tokens = self.output_tokens = self.unpriced = 0
        self.saved_nanousd = 0

    def count(self, record: Record) -> None:
        self.requests += 1
        self.duration.observe(record.duration_s, record.trace)
        if record.outcome is None:
            return
        self.first_byte.observe(record.first_byte_s)
        if record.overhead_s is not None:
            self.overhead.observe(record.overhead_s)
        if record.usage is None:
            return
        self.input_tokens += record.usage.prompt_tokens
        self.cached_tokens += record.usage.cached_tokens
        self.output_tokens += record.usage.completion_tokens
        if record.saved_nanousd is None:
            self.unpriced += 1
        else:
            self.saved_nanousd += record.saved_nanousd


class Tallies:
    """All kinds; a collector in the client library's sense."""

    def __init__(self) -> None:
        self._tallies: dict[Kind, _Tally] = {}
        self._latencies: dict[tuple[str, str], _Latency] = {}
        self._spent: dict[tuple[str, str, str], int] = {}
        self._saved_by_provider: dict[tuple[str, str, str], int] = {}

    def charged(self, charge: Charge) -> None:
        """What an upstream call cost, by who pays; nothing where nobody said what it took."""
        if charge.usage is None:
            return
        for share in charge.shares:
            whose = (share.label, share.feature, share.outcome)
            self._spent[whose] = self._spent.get(whose, 0) + share.nanousd
        first, sums = charge.shares[0], self._saved_by_provider
        for layer, nanousd in (
            ("prompt_cache", charge.saved_prompt_cache_nanousd),
            ("batch", charge.saved_batch_nanousd),
        ):
            if nanousd:
                place = (first.label, first.feature, layer)
                sums[place] = sums.get(place, 0) + nanousd

    def count(self, kind: Kind, record: Record) -> None:
        """One more request."""
        tally = self._tallies.get(kind)
        if tally is None:
            if len(self._tallies) >= _MOST_KINDS:  # reasons can be an upstream's own error codes
                kind = kind._replace(reason="other")
            names = ("request_duration", "first_byte", "overhead")
            fresh = _Tally(*(self._latency(name, kind.outcome) for name in names))
            tally = self._tallies.setdefault(kind, fresh)
        tally.count(record)

    def collect(self) -> Iterator[Metric]:
        """The families, as they are now."""
        tallies = list(self._tallies.items())
        requests = CounterMetricFamily(
            "askonce_requests",
            "Requests by how they were answered (`refused` with the error's code as reason).",
            labels=Kind._fields,
        )
        for kind, tally in tallies:
            requests.add_metric([str(label) for label in kind], tally.requests)
        yield requests
        yield from self._tokens(tallies)
        yield _money(
            "askonce_spent_usd", "Dollars that upstream calls cost, by who pays for them.", self._spent
        )
        saved = dict(self._saved_by_provider)
        for kind, tally in tallies:
            if (layer := _LAYERS.get(kind.outcome)) is not None:
                whose = (kind.tenant, kind.feature, layer)
                saved[whose] = saved.get(whose, 0) + tally.saved_nanousd
        yield _money("askonce_saved_usd", "Dollars that were not spent, by what saved them.", saved, "layer")
        yield CounterMetricFamily(
            "askonce_unpriced_requests",
            "Answers whose price or tokens aren't known.",
            value=sum(tally.unpriced for _, tally in tallies),
        )
        yield self._histogram("request_duration", "Seconds to the answer's last byte.")
        yield self._histogram("first_byte", "Seconds to the answer's first byte.")
        yield self._histogram("overhead", "Seconds to the first byte, less the upstream's own.")

    def _latency(self, name: str, outcome: str) -> _Latency:
        return self._latencies.setdefault((name, outcome), _Latency())

    def _tokens(self, tallies: list[tuple[Kind, _Tally]]) -> Iterator[Metric]:
        labels = ("tenant", "feature", "outcome")
        tokens = CounterMetricFamily(
            "askonce_tokens",
            "Tokens of answers; those of shared answers count once per caller.",
            labels=(*labels, "kind"),
        )
        cached = CounterMetricFamily(
            "askonce_prompt_cached_tokens",
            "Input tokens of answers that came from the provider's prompt cache; they are among the input tokens.",
            labels=labels,
        )
        sums: dict[tuple[str, str, str], tuple[int, int, int]] = {}
        for kind, tally in tallies:
            whose = (kind.tenant, kind.feature, kind.outcome)
            before = sums.get(whose, (0, 0, 0))
            now = (tally.input_tokens, tally.output_tokens, tally.cached_tokens)
            sums[whose] = (before[0] + now[0], before[1] + now[1], before[2] + now[2])
        for whose, (inputs, outputs, from_cache) in sums.items():
            tokens.add_metric((*whose, "input"), inputs)
            tokens.add_metric((*whose, "output"), outputs)
            cached.add_metric(whose, from_cache)
        yield tokens
        yield cached

    def _histogram(self, name: str, text: str) -> Metric:
        family = HistogramMetricFamily(f"askonce_{name}_seconds", text, labels=("outcome",))
        for (which, outcome), latency in self._latencies.items():
            if which == name:
                family.add_metric((outcome,), latency.cumulated(), latency.total_s)
        return family


def _money(name: str, text: str, sums: Mapping[tuple[str, str, str], int], last: str = "outcome") -> Metric:
    """A family of dollars by tenant, feature and a third label."""
    family = CounterMetricFamily(name, text, labels=("tenant", "feature", last))
    for labels, nanousd in list(sums.items()):
        family.add_metric(labels, nanousd * _USD)
    return family

"""What is counted per request: plain integers on the way, Prometheus families when somebody scrapes.

A labelled counter of the client library costs about a microsecond; a request has eight of them, and an exact hit
has no such time to give away.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from askonce.ports import Charge, Record

__all__ = ["Kind", "Tallies"]

_BUCKETS_S: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300,
)  # fmt: skip
_MOST_KINDS: Final = 5_000
_USD: Final = 1e-9


class Kind(NamedTuple):
    """What requests are counted by; every field is bounded in number."""

    endpoint: str
    tenant: str
    feature: str
    outcome: str
    reason: str


class _Latency:
    """A histogram of seconds."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BUCKETS_S) + 1)
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(_BUCKETS_S, seconds)] += 1
        self.total_s += seconds

    def cumulated(self) -> list[tuple[str, float]]:
        """Prometheus' buckets: upper bound and count up to it."""
        bounds = [*(str(bound) for bound in _BUCKETS_S), "+Inf"]
        return [(bound, float(sum(self.counts[: place + 1]))) for place, bound in enumerate(bounds)]


class _Tally:
    """The counts of one kind of request; latencies are shared by all of one outcome."""

    __slots__ = (
        "duration", "first_byte", "input_tokens", "output_tokens", "overhead", "requests", "saved_nanousd",
        "unpriced",
    )  # fmt: skip

    def __init__(self, duration: _Latency, first_byte: _Latency, overhead: _Latency) -> None:
        self.duration = duration
        self.first_byte = first_byte
        self.overhead = overhead
        self.requests = self.input_tokens = self.output_tokens = self.unpriced = 0
        self.saved_nanousd = 0

    def count(self, record: Record) -> None:
        self.requests += 1
        self.duration.observe(record.duration_s)
        if record.outcome is None:
            return
        self.first_byte.observe(record.first_byte_s)
        if record.overhead_s is not None:
            self.overhead.observe(record.overhead_s)
        if record.usage is None:
            return
        self.input_tokens += record.usage.prompt_tokens
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

    def charged(self, charge: Charge) -> None:
        """What an upstream call cost, by who pays; nothing where nobody said what it took."""
        if charge.usage is None:
            return
        for share in charge.shares:
            whose = (share.label, share.feature, share.outcome)
            self._spent[whose] = self._spent.get(whose, 0) + share.nanousd

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
            requests.add_metric(kind, tally.requests)
        yield requests
        yield self._tokens(tallies)
        yield _money("askonce_spent_usd", "Dollars that upstream calls cost, by who pays for them.", self._spent)
        saved: dict[tuple[str, str, str], int] = {}
        for kind, tally in tallies:
            whose = (kind.tenant, kind.feature, kind.outcome)
            saved[whose] = saved.get(whose, 0) + tally.saved_nanousd
        yield _money("askonce_saved_usd", "Dollars that were not spent.", saved)
        yield CounterMetricFamily(
            "askonce_unpriced_requests",
            "Answers of models whose price isn't known.",
            value=sum(tally.unpriced for _, tally in tallies),
        )
        yield self._histogram("request_duration", "Seconds to the answer's last byte.")
        yield self._histogram("first_byte", "Seconds to the answer's first byte.")
        yield self._histogram("overhead", "Seconds to the first byte, less the upstream's own.")

    def _latency(self, name: str, outcome: str) -> _Latency:
        return self._latencies.setdefault((name, outcome), _Latency())

    def _tokens(self, tallies: list[tuple[Kind, _Tally]]) -> Metric:
        family = CounterMetricFamily(
            "askonce_tokens",
            "Tokens of answers; those of shared answers count once per caller.",
            labels=("tenant", "feature", "outcome", "kind"),
        )
        sums: dict[tuple[str, str, str, str], int] = {}
        for kind, tally in tallies:
            whose = (kind.tenant, kind.feature, kind.outcome)
            sums[*whose, "input"] = sums.get((*whose, "input"), 0) + tally.input_tokens
            sums[*whose, "output"] = sums.get((*whose, "output"), 0) + tally.output_tokens
        for labels, tokens in sums.items():
            family.add_metric(labels, tokens)
        return family

    def _histogram(self, name: str, text: str) -> Metric:
        family = HistogramMetricFamily(f"askonce_{name}_seconds", text, labels=("outcome",))
        for (which, outcome), latency in self._latencies.items():
            if which == name:
                family.add_metric((outcome,), latency.cumulated(), latency.total_s)
        return family


def _money(name: str, text: str, sums: Mapping[tuple[str, str, str], int]) -> Metric:
    """A family of dollars by tenant, feature and outcome."""
    family = CounterMetricFamily(name, text, labels=("tenant", "feature", "outcome"))
    for labels, nanousd in list(sums.items()):
        family.add_metric(labels, nanousd * _USD)
    return family

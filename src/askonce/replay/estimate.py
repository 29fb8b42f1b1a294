"""What playing a log came to: calls, dollars and seconds saved, by layer and by whose they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.matching.budget import audit_share
from askonce.replay.simulation import Served

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from askonce.replay.scenario import FeatureRules
    from askonce.replay.simulation import Played
    from askonce.replay.traffic import Traffic

__all__ = ["EXACT_HIT_S", "SEMANTIC_HIT_S", "Audits", "Beyond", "Hits", "Latency", "Period", "Sums", "Wrong", "audits",
           "beyond", "by_group", "latency", "periods", "sums", "wrong"]  # fmt: skip

EXACT_HIT_S: Final = 0.001
"""What a caller waits for a stored answer; measured, on a connection within one machine."""
SEMANTIC_HIT_S: Final = 0.010
"""The same where its question has to be embedded and compared first."""
_LAYERS: Final = {
    "exact": (Served.EXACT,),
    "inflight": (Served.JOINED,),
    "semantic": (Served.SEMANTIC, Served.SEMANTIC_JOINED),
}
_AVOIDING: Final = np.isin(np.arange(len(Served)), [one for group in _LAYERS.values() for one in group])
_PERIODS: Final = 60
_BLOCKS: Final = 20
_STANDARD_ERRORS: Final = 1.96


class Hits(NamedTuple):
    """What one layer answered: requests, what their calls would have cost, and their tokens."""

    requests: int
    saved_nanousd: int
    tokens: int


class Sums(NamedTuple):
    """Requests of a group.

    Attributes:
        requests: How many.
        cost_nanousd: What they cost where every one is a call.
        unpriced: Those whose price isn't known: they count in no sum of money.
        layers: What each layer answered.
        outcomes: Requests by the gateway's word for how they were answered.
    """

    requests: int
    cost_nanousd: int
    unpriced: int
    layers: dict[str, Hits]
    outcomes: dict[str, int]

    @property
    def calls_avoided(self) -> int:
        """Requests for which no upstream call was made."""
        return sum(hits.requests for hits in self.layers.values())

    @property
    def saved_nanousd(self) -> int:
        """What those would have cost."""
        return sum(hits.saved_nanousd for hits in self.layers.values())

    @property
    def hit_share(self) -> float:
        """Calls avoided among all requests."""
        return self.calls_avoided / max(1, self.requests)


class Latency(NamedTuple):
    """Seconds that callers wait: the median, the 95th percentile, and all together."""

    median_s: float
    p95_s: float
    total_s: float


class Wrong(NamedTuple):
    """Semantic hits whose own answer is in the log, and those of them that got another than that."""

    known: int
    different: int


class Audits(NamedTuple):
    """Calls that the gateway makes to check semantic hits, as expected."""

    calls: float
    cost_nanousd: int


class Period(NamedTuple):
    """A stretch of time: when it begins, and its requests by outcome."""

    at: float
    outcomes: dict[str, int]


class Beyond(NamedTuple):
    """What semantic hits to expect of requests outside the sample; `error` is half of a 95 % interval."""

    requests: int
    hits: float
    error: float


def sums(traffic: Traffic, played: Played, chosen: NDArray[np.bool_] | None = None) -> Sums:
    """Adds up all requests, or the chosen ones, (n,)."""
    served, cost, tokens = played.served, traffic.cost_nanousd, traffic.tokens
    if chosen is not None:
        served, cost, tokens = served[chosen], cost[chosen], tokens[chosen]
    counts = np.bincount(served, minlength=len(Served))
    priced = np.where(cost > 0, cost, 0)
    money = [_exact_sum(priced[served == one]) for one in Served]
    used = np.bincount(served, tokens, minlength=len(Served))
    layers = {
        name: Hits(
            int(counts[list(group)].sum()),
            sum(money[one] for one in group),
            round(float(used[list(group)].sum())),
        )
        for name, group in _LAYERS.items()
    }
    outcomes = {one.word: int(counts[one]) for one in Served}
    return Sums(len(served), sum(money), int((cost < 0).sum()), layers, outcomes)


def _exact_sum(nanousd: NDArray[np.int64]) -> int:
    """Sums of float64 would lose nano-dollars from nine million dollars on, and those of int64 end at nine billion."""
    return (int((nanousd >> 32).sum()) << 32) + int((nanousd & 0xFFFFFFFF).sum())


def by_group(
    traffic: Traffic, played: Played, group: NDArray[np.int32], names: Sequence[str], most: int
) -> dict[str, Sums]:
    """The groups with the most calls avoided, by name; those left out are in none.

    Args:
        traffic: The log.
        played: What became of it.
        group: Index into `names`, (n,).
        names: Of the groups.
        most: Groups to give.
    """
    avoided = np.bincount(group[_AVOIDING[played.served]], minlength=len(names))
    count = np.bincount(group, minlength=len(names))
    order = np.lexsort((-count, -avoided))[:most]
    return {names[one]: sums(traffic, played, group == one) for one in order.tolist() if count[one]}


def latency(traffic: Traffic, played: Played | None) -> Latency:
    """What callers wait; with None: where every request is a call."""
    waits_s = traffic.duration_s
    if played is not None:
        served = played.served
        joined = (served == Served.JOINED) | (served == Served.SEMANTIC_JOINED)
        waits_s = np.where(joined, played.wait_s, waits_s)
        waits_s = np.where(served == Served.EXACT, EXACT_HIT_S, waits_s)
        waits_s = np.where(served == Served.SEMANTIC, SEMANTIC_HIT_S, waits_s)
    median_s, p95_s = np.quantile(waits_s, (0.5, 0.95))
    return Latency(float(median_s), float(p95_s), float(waits_s.sum()))


def wrong(traffic: Traffic, played: Played) -> Wrong:
    """Compares what semantic hits got with what the log says they should have got, by form alone."""
    hits = np.flatnonzero(played.source >= 0)
    own, got = traffic.answer[hits], traffic.answer[played.source[hits]]
    known = (own >= 0) & (got >= 0)
    return Wrong(int(known.sum()), int((own[known] != got[known]).sum()))


def audits(traffic: Traffic, played: Played, rules: Sequence[FeatureRules], total: Sums) -> Audits:
    """A feature's first hits are all audited, then fewer and fewer."""
    features = np.array([kind.feature for kind in traffic.kinds], np.int32)[traffic.kind]
    semantic = np.isin(played.served, _LAYERS["semantic"])
    hits = np.bincount(features[semantic], minlength=len(rules)).tolist()
    calls = sum(
        audit_share(rule.audit_share, hit)
        for rule, served in zip(rules, hits, strict=True)
        for hit in range(1, served + 1)
    )
    layer = total.layers["semantic"]
    return Audits(calls, round(calls * layer.saved_nanousd / max(1, layer.requests)))


def periods(traffic: Traffic, played: Played) -> list[Period]:
    """The log's span in sixty equal stretches, or fewer where it is short."""
    begin, end = float(traffic.at[0]), float(traffic.at[-1])
    width = (end - begin) / _PERIODS or 1.0
    place = np.minimum(((traffic.at - begin) / width).astype(np.int64), _PERIODS - 1)
    counts = np.bincount(place * len(Served) + played.served, minlength=_PERIODS * len(Served))
    rows = counts.reshape(_PERIODS, len(Served)).tolist()
    return [
        Period(begin + number * width, {one.word: row[one] for one in Served})
        for number, row in enumerate(rows)
    ]


def beyond(traffic: Traffic, played: Played) -> Beyond | None:
    """Semantic hits to expect of what the sample leaves out, if the rest is like it; None where nothing is left out.

    A ratio estimate over twenty stretches of the sample in order of time, with their scatter as its error.
    """
    questions = np.array([kind.question for kind in traffic.kinds], np.int64)[traffic.kind]
    outside = np.zeros(max(1, len(traffic.questions)), np.bool_)
    outside[questions[played.unlooked]] = True
    asked = questions >= 0
    out = asked & outside[np.maximum(questions, 0)]
    count = int(out.sum())
    if not count:
        return None
    hits = np.isin(played.served[asked & ~out], _LAYERS["semantic"]).astype(np.float64)
    if len(hits) < _BLOCKS:
        return Beyond(count, 0.0, float(count))
    shares = np.array([block.mean() for block in np.array_split(hits, _BLOCKS)])
    error = float(shares.std(ddof=1)) / np.sqrt(_BLOCKS)
    return Beyond(count, float(hits.mean()) * count, _STANDARD_ERRORS * float(error) * count)

"""A report's figures: drawn up from the books, frozen, without a word or a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from askonce.ports import Sums
from askonce.reporting.terms import span_before, whole_days

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from askonce.ports import Books, Latency, Span, TopQuestion
    from askonce.reporting.quality import Quality
    from askonce.reporting.terms import Terms

__all__ = ["LAYERS", "OUTCOMES", "SAVINGS", "Bucket", "Figures", "Row", "Speed", "Tally", "draw_up"]

_Key = TypeVar("_Key")
LAYERS: Final = {"exact": ("exact",), "inflight": ("joined",), "semantic": ("semantic", "semantic-joined")}
"""The layers that answer without an upstream call, and the outcomes of their requests."""
SAVINGS: Final = ("exact", "inflight", "semantic", "prompt_cache", "batch")
"""What savings are split by: `Sums.saved_<name>_nanousd`."""
OUTCOMES: Final = ("exact", "joined", "semantic", "semantic-joined", "fresh", "bypass", "refused")
"""How requests end."""
_AUDIT: Final = "audit"
_HOURLY_UP_TO: Final = 72
_DAILY_UP_TO: Final = 24 * 92
_DAY: Final = 24
_WEEK: Final = 7 * _DAY


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums of some requests and calls, by outcome.

    Attributes:
        sums: Of all of them.
        outcomes: Sums by outcome, charges' own outcomes (`abandoned`, `audit`, `batch`) included.
    """

    sums: Sums
    outcomes: Mapping[str, Sums]

    @property
    def answered(self) -> int:
        """Requests that weren't refused."""
        return self.sums.requests - self.requests("refused")

    @property
    def hits(self) -> int:
        """Requests answered without an upstream call of their own."""
        return sum(self.requests(*outcomes) for outcomes in LAYERS.values())

    @property
    def audits_nanousd(self) -> int:
        """What was spent on finding out whether semantic hits are right."""
        return self.of(_AUDIT).spent_nanousd

    @property
    def net_nanousd(self) -> int:
        """All savings, less what audits cost."""
        return self.sums.saved_nanousd - self.audits_nanousd

    def saved_by(self, layer: str) -> int:
        """Nano-dollars that one of `SAVINGS` saved."""
        nanousd: int = getattr(self.sums, f"saved_{layer}_nanousd")
        return nanousd

    def of(self, outcome: str) -> Sums:
        """Sums of one outcome."""
        return self.outcomes.get(outcome, _NOTHING)

    def requests(self, *outcomes: str) -> int:
        """Requests that ended in any of some outcomes."""
        return sum(self.of(outcome).requests for outcome in outcomes)

    def hit_rate(self, layer: str | None = None) -> float | None:
        """The share of the answered requests that a layer answered, or all layers; None without any."""
        hits = self.hits if layer is None else self.requests(*LAYERS[layer])
        return hits / self.answered if self.answered else None


_NOTHING: Final = Sums()


class Row(NamedTuple):
    """One combination of what the report is kept by; a `day` counts from 1970."""

    key: tuple[str | int, ...]
    tally: Tally


class Bucket(NamedTuple):
    """What happened from an hour on (since 1970, UTC), as long as `Figures.bucket_hours`."""

    hour: int
    tally: Tally


class Speed(NamedTuple):
    """How long requests of one outcome took, in seconds, each figure within a bucket's width (19 %)."""

    outcome: str
    requests: int
    p50_s: float
    p90_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that a report shows.

    Attributes:
        terms: What was asked for.
        covered: The hours that the books have anything of; None where they are empty.
        whole: All of the span.
        before: As many hours just before; None where the books don't reach back so far.
        rows: By what was asked for: days in order, else what saved most first.
        bucket_hours: Width of `buckets`.
        buckets: The span in order of time, from where the books begin; hours without anything included.
        features: By feature.
        unpriced: Requests and calls without a price, by model.
        speeds: By outcome; empty where it isn't kept (by tenant, by model).
        decisions: What the semantic tier decided: by feature, mode and reason code.
        reasons: Why requests weren't shared: by feature, outcome and reason code.
        repeats: Fresh answers to questions that had one earlier in its whole days, by feature; at least so many.
        questions: Those that saved most.
        qualities: How often semantic hits were wrong, by feature; None where audits weren't read.
    """

    terms: Terms
    covered: Span | None
    whole: Tally
    before: Tally | None
    rows: tuple[Row, ...]
    bucket_hours: int
    buckets: tuple[Bucket, ...]
    features: Mapping[str, Tally]
    unpriced: Mapping[str, int]
    speeds: tuple[Speed, ...]
    decisions: Mapping[tuple[str, str, str], int]
    reasons: Mapping[tuple[str, str, str], int]
    repeats: Mapping[str, int]
    questions: tuple[TopQuestion, ...]
    qualities: tuple[Quality, ...] | None

    @property
    def empty(self) -> bool:
        """Whether nothing happened that a report could be about."""
        return not any(self.whole.sums)


def draw_up(
    books: Books, terms: Terms, qualities: tuple[Quality, ...] | None = None, questions: int = 20
) -> Figures:
    """A report's figures, from the books. Raises what reading them raises.

    Args:
        books: The ledger's.
        terms: What to report.
        qualities: What audits say of each feature.
        questions: The most top questions.
    """
    span, where, covered = terms.span, terms.where, books.covered()
    # Time before the books began is no time without requests.
    shown = span if covered is None else span._replace(since_hour=max(span.since_hour, covered.since_hour))
    width = _bucket_hours(shown)
    unit = "hour" if width == 1 else "day"
    keys = (*dict.fromkeys((*terms.by, unit, "feature", "model")), "outcome")
    # One pass over the books, however many there are; the rest is adding up.
    found = books.sums(span, keys, where)
    rows = _fold(found, lambda key: key[: len(terms.by)])
    features = _fold(found, lambda key: key[keys.index("feature")])
    whole = _tally((key[-1], sums) for key, sums in found.items())
    return Figures(
        terms=terms,
        covered=covered,
        whole=whole,
        before=_before(books, terms, covered),
        rows=_ordered([Row(key, tally) for key, tally in rows.items()], terms.by),
        bucket_hours=width,
        buckets=_buckets(found, keys.index(unit), shown, width),
        features={str(name): features[name] for name in sorted(features, key=str)},
        unpriced=_unpriced((key[keys.index("model")], sums) for key, sums in found.items()),
        speeds=_speeds(books, terms),
        decisions=_of_feature(books.decisions(span), where),
        reasons=_of_feature(books.reasons(span), where),
        repeats=books.repeats(whole_days(span, covered), where),
        questions=tuple(books.questions(span, questions, where)) if questions else (),
        qualities=_qualities(qualities, where),
    )


def _added(several: Collection[Sums]) -> Sums:
    return Sums(*map(sum, zip(*several, strict=True))) if several else _NOTHING


def _tally(parts: Iterable[tuple[str | int, Sums]]) -> Tally:
    """Sums by outcome, added up."""
    outcomes: dict[str, list[Sums]] = {}
    for name, sums in parts:
        outcomes.setdefault(str(name), []).append(sums)
    added = {name: _added(several) for name, several in outcomes.items()}
    return Tally(_added(added.values()), added)


def _fold(
    found: Mapping[tuple[str | int, ...], Sums], kept: Callable[[tuple[str | int, ...]], _Key]
) -> dict[_Key, Tally]:
    """What was found, by a part of its key; the key's last place is the outcome."""
    parts: dict[_Key, list[tuple[str | int, Sums]]] = {}
    for key, sums in found.items():
        parts.setdefault(kept(key), []).append((key[-1], sums))
    return {key: _tally(own) for key, own in parts.items()}


def _before(books: Books, terms: Terms, covered: Span | None) -> Tally | None:
    span = span_before(terms.span)
    if covered is None or covered.since_hour > span.since_hour:
        return None
    return _tally((key[-1], sums) for key, sums in books.sums(span, ("outcome",), terms.where).items())


def _ordered(rows: list[Row], by: Sequence[str]) -> tuple[Row, ...]:
    if "day" in by:
        place = by.index("day")
        return tuple(sorted(rows, key=lambda row: (row.key[place], tuple(map(str, row.key)))))
    return tuple(
        sorted(
            rows,
            key=lambda row: (-row.tally.net_nanousd, -row.tally.sums.spent_nanousd, tuple(map(str, row.key))),
        )
    )


def _bucket_hours(span: Span) -> int:
    hours = span.until_hour - span.since_hour
    return 1 if hours <= _HOURLY_UP_TO else _DAY if hours <= _DAILY_UP_TO else _WEEK


def _buckets(
    found: Mapping[tuple[str | int, ...], Sums], place: int, span: Span, width: int
) -> tuple[Bucket, ...]:
    """The span in parts of equal width; days and weeks begin at midnight, the first and the last may be cut short.

    Args:
        found: Sums by keys, in which there are hours or, where parts are wider, days.
        place: Where those are in a key.
        span: What to part.
        width: Hours of a part.
    """
    unit = 1 if width == 1 else _DAY
    first = span.since_hour // unit * unit
    folded = _fold(found, lambda key: first + (int(key[place]) * unit - first) // width * width)
    nothing = Tally(_NOTHING, {})
    return tuple(Bucket(hour, folded.get(hour, nothing)) for hour in range(first, span.until_hour, width))


def _unpriced(parts: Iterable[tuple[str | int, Sums]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for model, sums in parts:
        if sums.unpriced:
            counts[str(model)] = counts.get(str(model), 0) + sums.unpriced
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def _speeds(books: Books, terms: Terms) -> tuple[Speed, ...]:
    if not terms.where.keys() <= {"feature"}:
        return ()
    feature = terms.where.get("feature")
    if feature is None:
        found = {str(key[0]): each for key, each in books.latencies(terms.span, ("outcome",)).items()}
    else:
        both = books.latencies(terms.span, ("feature", "outcome")).items()
        found = {str(key[1]): each for key, each in both if key[0] == feature}
    return tuple(_speed(outcome, found[outcome]) for outcome in OUTCOMES if outcome in found)


def _speed(outcome: str, latency: Latency) -> Speed:
    return Speed(outcome, sum(latency.counts), *(latency.quantile(share) for share in (0.5, 0.9, 0.99)))


def _of_feature(
    counts: Mapping[tuple[str, str, str], int], where: Mapping[str, str]
) -> dict[tuple[str, str, str], int]:
    """What is kept by feature alone; nothing where a tenant or a model is asked for."""
    if not where.keys() <= {"feature"}:
        return {}
    return {key: count for key, count in counts.items() if where.get("feature", key[0]) == key[0]}


def _qualities(found: tuple[Quality, ...] | None, where: Mapping[str, str]) -> tuple[Quality, ...] | None:
    if found is None or not where.keys() <= {"feature"}:
        return None
    return tuple(each for each in found if where.get("feature", each.feature) == each.feature)

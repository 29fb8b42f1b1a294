"""A report as JSON: the same figures, for programs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from askonce.reporting.figures import LAYERS, OUTCOMES, SAVINGS
from askonce.reporting.wording import moment, named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.matching.bounds import Interval
    from askonce.ports import Span, TopQuestion
    from askonce.reporting.figures import Figures, Tally
    from askonce.reporting.quality import Judged, Quality
    from askonce.reporting.suggestions import Suggestion

__all__ = ["as_json"]


def as_json(figures: Figures, suggestions: Sequence[Suggestion], prices_as_of: str) -> dict[str, Any]:
    """Everything; money in integers of nano-dollars, shares in [0, 1], times in UTC, null where nothing is known."""
    terms = figures.terms
    return {
        "span": _span(terms.span),
        "recorded": None if figures.covered is None else _span(figures.covered),
        "where": dict(terms.where),
        "prices_as_of": prices_as_of,
        "total": _tally(figures.whole),
        "span_before": None if figures.before is None else _tally(figures.before),
        "by": list(terms.by),
        "rows": [
            {
                **{column: named(column, value) for column, value in zip(terms.by, key, strict=True)},
                **_tally(tally),
            }
            for key, tally in figures.rows
        ],
        "bucket_hours": figures.bucket_hours,
        "buckets": [{"from": moment(hour), **_tally(tally)} for hour, tally in figures.buckets],
        "latency": {
            one.outcome: {
                "requests": one.requests,
                **{name: _finite(getattr(one, name)) for name in ("p50_s", "p90_s", "p99_s")},
            }
            for one in figures.speeds
        },
        "quality": None
        if figures.qualities is None
        else {one.feature: _quality(one) for one in figures.qualities},
        "unpriced": dict(figures.unpriced),
        "decisions": _counts(figures.decisions, ("feature", "mode", "reason")),
        "reasons": _counts(figures.reasons, ("feature", "outcome", "reason")),
        "repeats": dict(figures.repeats),
        "questions": [_question(one) for one in figures.questions],
        "suggestions": [one._asdict() for one in suggestions],
    }


def _span(span: Span) -> dict[str, Any]:
    return {"since": moment(span.since_hour), "until": moment(span.until_hour), **span._asdict()}


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "answered": tally.answered,
        "outcomes": {name: tally.requests(name) for name in OUTCOMES},
        "hit_rate": tally.hit_rate(),
        "hit_rate_by_layer": {layer: tally.hit_rate(layer) for layer in LAYERS},
        "saved_nanousd": tally.sums.saved_nanousd,
        "saved_nanousd_by_layer": {name: tally.saved_by(name) for name in SAVINGS},
        "audits_nanousd": tally.audits_nanousd,
        "net_nanousd": tally.net_nanousd,
        "sums": tally.sums._asdict(),
    }


def _quality(quality: Quality) -> dict[str, Any]:
    return {
        "error_budget": quality.budget,
        "hits": _judged(quality.hits),
        "shadow": _judged(quality.shadow),
    }


def _judged(judged: Judged) -> dict[str, Any]:
    rate: Interval | None = judged.rate if judged.audits else None
    return {
        "audits": judged.audits,
        "wrong": judged.wrong,
        "rate": None if rate is None else rate._asdict(),
    }


def _question(one: TopQuestion) -> dict[str, Any]:
    return {**one._asdict(), "key": one.key.hex()}


def _counts(counts: Any, names: Sequence[str]) -> list[dict[str, Any]]:
    return [{**dict(zip(names, key, strict=True)), "count": number} for key, number in sorted(counts.items())]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

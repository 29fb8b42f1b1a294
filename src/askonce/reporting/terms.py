"""Of which time a report is, by which columns, and of whom."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.config.units import parse_duration
from askonce.ports import Span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["COLUMNS", "FILTERS", "Terms", "columns_of", "filters_of", "span_before", "span_of", "whole_days"]

COLUMNS: Final = ("tenant", "feature", "model", "day")
"""What rows can be kept by."""
FILTERS: Final = ("tenant", "feature", "model")
"""What can be asked for alone."""
_HOUR_S: Final = 3_600
_DAY: Final = 24
_USUAL: Final = "7d"


class Terms(NamedTuple):
    """What is asked for.

    Attributes:
        span: Whole hours, UTC.
        by: Any of `COLUMNS`: there is a row for each combination that occurs.
        where: Values of some of `FILTERS`: the rest is left out.
    """

    span: Span
    by: tuple[str, ...] = ("feature",)
    where: Mapping[str, str] = {}


def span_of(since: str | None, until: str | None, now: float) -> Span:
    """The whole hours between two moments, each a date or time in UTC or a duration.

    `since` as a duration goes back from the end, `until` as one goes back from now. Without them it is the week until
    now; the present hour is part of it, nothing later ever is. Raises ValueError with a sentence.
    """
    next_hour = math.floor(now / _HOUR_S) + 1
    end_s = next_hour * _HOUR_S if until is None else _moment(until, next_hour * _HOUR_S)
    until_hour = min(next_hour, math.ceil(end_s / _HOUR_S))
    if until_hour <= 0:
        raise ValueError("the span ends before 1970, when no ledger was kept")
    since_hour = math.floor(_moment(since or _USUAL, until_hour * _HOUR_S) / _HOUR_S)
    if since_hour >= until_hour:
        raise ValueError("the span is empty: it must begin before it ends")
    return Span(max(0, since_hour), until_hour)


def span_before(span: Span) -> Span:
    """As many hours, just before."""
    return Span(2 * span.since_hour - span.until_hour, span.since_hour)


def whole_days(span: Span, covered: Span | None) -> Span:
    """The days that lie in a span with all that the books have of them: of what is kept by days, a part can't be told."""
    if covered is None:
        return span
    since = span.since_hour if span.since_hour <= covered.since_hour else span.since_hour + _DAY - 1
    until = span.until_hour if span.until_hour < covered.until_hour else span.until_hour + _DAY - 1
    since_day = since // _DAY
    return Span(since_day * _DAY, max(since_day, until // _DAY) * _DAY)


def columns_of(text: str) -> tuple[str, ...]:
    """The columns in a list such as `tenant,feature`. Raises ValueError with a sentence."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in COLUMNS:
            raise ValueError(f"{name!r} isn't one of {', '.join(COLUMNS)}")
    return names


def filters_of(texts: Sequence[str]) -> dict[str, str]:
    """The values in texts such as `feature=support`. Raises ValueError with a sentence."""
    where: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in FILTERS:
            raise ValueError(f"{text!r} isn't NAME=VALUE with one of {', '.join(FILTERS)}")
        if name in where:
            raise ValueError(f"{name} is asked for twice")
        where[name] = value
    return where


def _moment(text: str, end_s: float) -> float:
    """Unix seconds of a date, a time, or a duration before the end."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        try:
            return end_s - parse_duration(text if not text.strip().isdigit() else "")
        except ValueError:
            raise ValueError(
                f"{text!r} is neither a duration such as 7d or 12h nor a date such as 2026-01-31 (UTC)"
            ) from None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()

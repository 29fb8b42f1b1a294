"""Which hours, columns and callers a report is of."""

from __future__ import annotations

import pytest

from askonce.ports import Span
from askonce.reporting.terms import columns_of, filters_of, span_before, span_of

_DAY_S = 86_400
_NOW = 20_000 * _DAY_S + 5 * 3_600 + 61
"""Five o'clock and a minute of the 20,000th day, which is 2024-10-04."""


def test_without_dates_it_is_the_week_until_now() -> None:
    """Whole hours, the present one included."""
    assert span_of(None, None, _NOW) == Span(20_000 * 24 + 6 - 168, 20_000 * 24 + 6)


def test_dates_are_utc_and_the_last_one_is_left_out() -> None:
    """So that spans can be put together; times with an offset are what they say."""
    assert span_of("2024-10-02", "2024-10-03", _NOW) == Span(19_998 * 24, 19_999 * 24)
    assert span_of("2024-10-04T02:00+02:00", "2024-10-04T01:00", _NOW) == Span(20_000 * 24, 20_000 * 24 + 1)


def test_durations_go_back_from_the_end() -> None:
    """`--since` from `--until`, and that from now."""
    assert span_of("2d", "2024-10-04", _NOW) == Span(19_998 * 24, 20_000 * 24)
    assert span_of("12h", "1d", _NOW) == Span(19_999 * 24 - 6, 19_999 * 24 + 6)


def test_parts_of_hours_are_taken_whole() -> None:
    """The books know hours only."""
    assert span_of("2024-10-04T00:30", "2024-10-04T02:10", _NOW) == Span(20_000 * 24, 20_000 * 24 + 3)


@pytest.mark.parametrize("since", ["yesterday", "7", "-3d", "", "2024-13-01", "\x00"])
def test_what_is_no_time_is_refused_with_the_forms(since: str) -> None:
    """A bare number too: nobody knows of what."""
    if not since:
        assert span_of(since, None, _NOW) == span_of(None, None, _NOW)
        return
    with pytest.raises(ValueError, match="neither a duration such as 7d"):
        span_of(since, None, _NOW)


def test_no_span_ends_in_the_future() -> None:
    """Nothing is in the books yet, and a page of empty centuries helps nobody."""
    assert span_of("2024-10-04", "2999-01-01", _NOW) == Span(20_000 * 24, 20_000 * 24 + 6)
    assert span_of("999999999999w", None, _NOW) == Span(0, 20_000 * 24 + 6)


def test_spans_begin_before_they_end() -> None:
    """Else there is nothing to report."""
    with pytest.raises(ValueError, match="the span is empty"):
        span_of("2024-10-05", "2024-10-04", _NOW)
    with pytest.raises(ValueError, match="the span is empty"):
        span_of("0d", None, _NOW)


@pytest.mark.parametrize("until", ["1960-01-01", "0001-01-01T00:00+14:00", "1970-01-01", "99999d"])
def test_no_span_ends_before_computers_count(until: str) -> None:
    """Years that no ledger can have are refused in a sentence."""
    with pytest.raises(ValueError, match="the span ends before 1970"):
        span_of("1950-01-01", until, 1.7e9)


def test_the_span_before_is_as_long() -> None:
    """And ends where the span begins."""
    assert span_before(Span(100, 130)) == Span(70, 100)


def test_columns_and_filters_are_those_that_the_books_are_kept_by() -> None:
    """Each once, in the order asked for; values may hold anything."""
    assert columns_of("feature, tenant,feature") == ("feature", "tenant")
    assert columns_of("") == ()
    assert filters_of(["feature=a=b", "model="]) == {"feature": "a=b", "model": ""}
    with pytest.raises(ValueError, match="'user' isn't one of tenant"):
        columns_of("user")
    for wrong in (["day=3"], ["feature"], ["outcome=exact"]):
        with pytest.raises(ValueError, match="isn't NAME=VALUE"):
            filters_of(wrong)
    with pytest.raises(ValueError, match="asked for twice"):
        filters_of(["model=a", "model=b"])

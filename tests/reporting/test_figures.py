"""Figures: whatever they are parted by, the parts add up to what is in the books."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.ports import Span, Sums
from askonce.reporting.data import as_json
from askonce.reporting.figures import OUTCOMES, draw_up
from askonce.reporting.table import as_csv
from askonce.reporting.terms import COLUMNS, Terms
from ledgers import books_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledgers import Whose

_SINCE = 480_000
_sums = st.tuples(*(st.integers(0, 10**12) for _ in Sums._fields)).map(lambda numbers: Sums(*numbers))
_rows = st.dictionaries(
    st.tuples(
        st.integers(_SINCE - 200, _SINCE + 200),
        st.sampled_from(["acme", "=cmd()", 'x,"y']),
        st.sampled_from(["support", "search"]),
        st.sampled_from(["m1", "m2"]),
        st.sampled_from([*OUTCOMES, "abandoned", "audit", "batch"]),
    ),
    _sums,
    max_size=12,
)
_by = st.lists(st.sampled_from(COLUMNS), unique=True).map(tuple)


def _added(several: Iterable[Sums]) -> Sums:
    return Sums(*(sum(column) for column in zip(Sums(), *several, strict=True)))


@settings(max_examples=25)
@given(rows=_rows, by=_by, hours=st.integers(1, 400), only=st.sampled_from([{}, {"feature": "search"}]))
def test_parts_add_up_to_the_whole(
    rows: dict[Whose, Sums], by: tuple[str, ...], hours: int, only: dict[str, str]
) -> None:
    """Rows, time and outcomes each hold every request and every nano-dollar of the span once, and nothing else."""
    span = Span(_SINCE, _SINCE + hours)
    expected = _added(
        sums
        for (hour, _, feature, *_), sums in rows.items()
        if span.since_hour <= hour < span.until_hour and only.get("feature", feature) == feature
    )
    figures = draw_up(books_of(rows), Terms(span, by, only))
    assert figures.whole.sums == expected
    assert _added(figures.whole.outcomes.values()) == expected
    assert _added(row.tally.sums for row in figures.rows) == expected
    assert _added(bucket.tally.sums for bucket in figures.buckets) == expected
    assert _added(tally.sums for tally in figures.features.values()) == expected
    assert sum(figures.unpriced.values()) == expected.unpriced
    assert len({row.key for row in figures.rows}) == len(figures.rows)
    assert figures.whole.net_nanousd == expected.saved_nanousd - figures.whole.audits_nanousd
    assert figures.whole.hits <= figures.whole.answered <= expected.requests


@settings(max_examples=25)
@given(rows=_rows, by=_by)
def test_csv_has_every_nanodollar(rows: dict[Whose, Sums], by: tuple[str, ...]) -> None:
    """One row for each key, integers of nano-dollars beside the same in dollars; nothing that a spreadsheet would run."""
    figures = draw_up(books_of(rows), Terms(Span(_SINCE - 200, _SINCE + 201), by))
    read = list(csv.DictReader(io.StringIO(as_csv(figures))))
    assert len(read) == len(figures.rows)
    for name in Sums._fields:
        assert sum(int(row[name]) for row in read) == getattr(figures.whole.sums, name)
    for row in read:
        for name in ("spent", "saved_exact", "audits", "net"):
            assert Decimal(row[f"{name}_usd"]) == Decimal(row[f"{name}_nanousd"]).scaleb(-9)
        assert not any(row[name].startswith(("=", "+", "-", "@")) for name in by)


def test_hit_rates_are_of_answered_requests() -> None:
    """Refused ones count neither way, equivalent ones under way count as semantic."""
    counts = {
        "exact": 30,
        "joined": 10,
        "semantic": 15,
        "semantic-joined": 5,
        "fresh": 30,
        "bypass": 10,
        "refused": 900,
    }
    rows = {(_SINCE, "t", "f", "m", outcome): Sums(requests=number) for outcome, number in counts.items()}
    whole = draw_up(books_of(rows), Terms(Span(_SINCE, _SINCE + 1))).whole
    assert whole.answered == 100
    assert [whole.hit_rate(layer) for layer in (None, "exact", "inflight", "semantic")] == [
        0.6,
        0.3,
        0.1,
        0.2,
    ]


def test_the_span_before_is_compared_only_where_the_books_reach() -> None:
    """A week half of which nobody wrote down would look like growth."""
    rows: dict[Whose, Sums] = {
        (_SINCE - 24, "t", "f", "m", "fresh"): Sums(requests=7),
        (_SINCE + 1, "t", "f", "m", "fresh"): Sums(requests=9),
    }
    whole = draw_up(books_of(rows), Terms(Span(_SINCE, _SINCE + 24)))
    assert whole.before is not None
    assert whole.before.sums.requests == 7
    assert draw_up(books_of(rows), Terms(Span(_SINCE, _SINCE + 25))).before is None


def test_time_before_the_books_began_is_not_shown_as_idle() -> None:
    """A report of 400 days from a gateway of three has three days of bars; those without a request within are there."""
    rows: dict[Whose, Sums] = {(_SINCE + hour, "t", "f", "m", "fresh"): Sums(requests=1) for hour in (0, 150)}
    figures = draw_up(books_of(rows), Terms(Span(_SINCE - 9_000, _SINCE + 151)))
    assert figures.bucket_hours == 24
    assert [bucket.tally.sums.requests for bucket in figures.buckets] == [1, 0, 0, 0, 0, 0, 1]


def test_repeats_are_of_whole_days_in_the_span() -> None:
    """Those of a day that is only partly in the span can't be told from what was before or after, so they aren't counted."""
    day = 20_000
    hours = {
        (24 * number + hour, "acme", "support", "m", "fresh"): Sums(requests=100, calls=100)
        for number, hour in ((day, 3), (day + 1, 3), (day + 2, 3))
    }
    fresh = {(day + number, "acme", "support", b"k"): 51 * 10**number for number in range(3)}
    books = books_of(hours, fresh=fresh)

    def repeats(since: int, until: int) -> dict[str, int]:
        return dict(draw_up(books, Terms(Span(24 * day + since, 24 * day + until))).repeats)

    assert repeats(0, 72) == repeats(2, 60) == {"support": 51 * 111 - 1}
    assert repeats(0, 48) == repeats(3, 50) == {"support": 51 * 11 - 1}
    assert repeats(4, 50) == {"support": 51 * 10 - 1}
    assert repeats(26, 28) == repeats(4, 28) == repeats(0, 4) == {}


def test_empty_books_make_empty_figures() -> None:
    """And JSON of them has null where there is nothing to divide by."""
    figures = draw_up(books_of({}), Terms(Span(0, 168)))
    assert figures.empty
    assert figures.covered is None
    content = as_json(figures, [], "2026-01-01")
    assert content["total"]["hit_rate"] is None
    assert content["recorded"] is None

"""A report as one HTML page; needs the extra `report`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.reporting import plots, tables, wording
from askonce.reporting.notes import cautions, notes
from askonce.reporting.sheet import Card, Picture, Sheet, as_page
from askonce.reporting.wording import count, dollars, share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from askonce.reporting.figures import Figures, Tally
    from askonce.reporting.suggestions import Suggestion
    from askonce.reporting.tables import Table

__all__ = ["as_html"]

_MOST_ROWS: Final = 200
_MOST_FEATURES: Final = 12


def as_html(figures: Figures, suggestions: Sequence[Suggestion], prices_as_of: str) -> str:
    """The page."""
    span = wording.spell(figures.terms.span)
    return as_page(
        Sheet(
            title=f"askonce report, {span}",
            heading="What was spent, what was saved",
            lines=[span, *(f"only {name} {value}" for name, value in figures.terms.where.items())],
            cards=list(_cards(figures.whole, figures.before)),
            cautions=list(cautions(figures)),
            suggestions=suggestions,
            pictures=list(_pictures(figures)),
            tables=list(_tables(figures)),
            notes_heading="How to read this",
            notes=list(notes(figures, prices_as_of)),
        )
    )


def _tables(figures: Figures) -> Iterator[Table]:
    if figures.terms.by:
        yield tables.rows(figures, _MOST_ROWS)
    if figures.questions:
        yield tables.questions(figures, len(figures.questions))
    yield tables.totals(figures)


def _cards(now: Tally, before: Tally | None) -> Iterator[Card]:
    def grown(of: Callable[[Tally], int]) -> str:
        change = "" if before is None else wording.change(of(now), of(before))
        return f"{change} on the span before" if change else ""

    yield Card("Net saving", dollars(now.net_nanousd), grown(lambda tally: tally.net_nanousd))
    without = now.sums.spent_nanousd + now.net_nanousd
    less = (
        f"{share(abs(now.net_nanousd) / without)} {'less' if now.net_nanousd >= 0 else 'more'}"
        if without > 0
        else ""
    )
    yield Card(
        "Spent",
        dollars(now.sums.spent_nanousd),
        f"instead of {dollars(without)}: {less}" if less else "",
    )
    rate, points = now.hit_rate(), ""
    if before is not None:
        points = wording.points(rate, before.hit_rate())
    yield Card("Answered without a call", share(rate), f"{points} on the span before" if points else "")
    yield Card("Requests", count(now.sums.requests), grown(lambda tally: tally.sums.requests))


def _pictures(figures: Figures) -> Iterator[Picture]:
    width = {1: "hour", 24: "day", 168: "week"}[figures.bucket_hours]
    cut = "" if figures.bucket_hours == 1 else " The first and the last may be cut short."
    by_time = tables.layers_by_time(figures)
    whole = figures.whole
    yield Picture(
        "How requests were answered",
        f"Requests by {width}, from the exact cache up to refused ones. {share(whole.hit_rate())} of those answered "
        f"took no upstream call.{cut}",
        plots.outcomes(figures),
        by_time,
    )
    yield Picture(
        "What was spent and saved",
        f"Dollars by {width}: the whole bar, but for audits, is what the same answers would have cost. {dollars(whole.sums.spent_nanousd)} "
        f"was spent, {dollars(whole.sums.saved_nanousd)} saved.{cut}",
        plots.money(figures),
        tables.money_by_time(figures),
    )
    if len(figures.features) > 1 and whole.sums.saved_nanousd:
        yield Picture(
            "Saved by feature",
            "Dollars that each feature's requests didn't cost, by the layer that saved them, audits not taken off.",
            plots.feature_savings(figures),
            tables.savings_by_feature(figures, _MOST_FEATURES),
        )
    if figures.speeds:
        yield Picture(
            "Latency",
            "From a request to the last byte of its answer, by how it was answered, on a logarithmic scale.",
            plots.speed(figures),
            tables.speeds(figures),
        )
    if figures.qualities:
        yield Picture(
            "Wrong ones among semantic hits",
            "What audits found, with bounds that each hold with 95 % confidence, beside the share that was promised.",
            plots.quality(figures),
            tables.qualities(figures),
        )

"""A report as one HTML page that needs nothing else: no script, no picture, no address; needs the extra `report`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from askonce.reporting import plots, tables, wording
from askonce.reporting.notes import cautions, notes
from askonce.reporting.wording import count, dollars, share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from askonce.reporting.figures import Figures, Tally
    from askonce.reporting.suggestions import Suggestion
    from askonce.reporting.tables import Table

__all__ = ["as_html"]

_MOST_ROWS: Final = 200
_MOST_FEATURES: Final = 12


class _Card(NamedTuple):
    """One of the figures that stand on top."""

    name: str
    value: str
    more: str


class _Plot(NamedTuple):
    """A picture with its words, and the table that says the same."""

    title: str
    says: str
    svg: Markup
    table: Table


def as_html(figures: Figures, suggestions: Sequence[Suggestion], prices_as_of: str) -> str:
    """The page. Strangers' texts are escaped wherever they stand."""
    environment = Environment(
        loader=PackageLoader("askonce.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = tables.rows(figures, _MOST_ROWS) if figures.terms.by else None
    environment.filters["coded"] = _coded
    return environment.get_template("report.html").render(
        span=wording.spell(figures.terms.span),
        where=figures.terms.where,
        cautions=list(cautions(figures)),
        cards=list(_cards(figures.whole, figures.before)),
        suggestions=suggestions,
        plots=list(_plots(figures)),
        rows=rows,
        totals=tables.totals(figures),
        questions=tables.questions(figures, len(figures.questions)) if figures.questions else None,
        notes=list(notes(figures, prices_as_of)),
    )


def _plain(value: object) -> object:
    """What stands for a value: strangers' texts without what nobody can see."""
    return wording.plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _coded(text: str) -> Markup:
    """What stands between backticks as code; everything is escaped first."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(wording.plain(text)))))  # noqa: S704 - escaped


def _cards(now: Tally, before: Tally | None) -> Iterator[_Card]:
    def grown(of: Callable[[Tally], int]) -> str:
        change = "" if before is None else wording.change(of(now), of(before))
        return f"{change} on the span before" if change else ""

    yield _Card("Net saving", dollars(now.net_nanousd), grown(lambda tally: tally.net_nanousd))
    without = now.sums.spent_nanousd + now.net_nanousd
    less = share(now.net_nanousd / without) if without > 0 else ""
    yield _Card(
        "Spent",
        dollars(now.sums.spent_nanousd),
        f"instead of {dollars(without)}: {less} less" if less else "",
    )
    rate, points = now.hit_rate(), ""
    if before is not None:
        points = wording.points(rate, before.hit_rate())
    yield _Card("Answered without a call", share(rate), f"{points} on the span before" if points else "")
    yield _Card("Requests", count(now.sums.requests), grown(lambda tally: tally.sums.requests))


def _plots(figures: Figures) -> Iterator[_Plot]:
    width = {1: "hour", 24: "day", 168: "week"}[figures.bucket_hours]
    cut = "" if figures.bucket_hours == 1 else " The first and the last may be cut short."
    by_time = tables.layers_by_time(figures)
    whole = figures.whole
    yield _Plot(
        "How requests were answered",
        f"Requests by {width}, from the exact cache up to refused ones. {share(whole.hit_rate())} of those answered "
        f"took no upstream call.{cut}",
        Markup(plots.outcomes(figures)),  # noqa: S704 - our own drawing, whose words its library escapes
        by_time,
    )
    yield _Plot(
        "What was spent and saved",
        f"Dollars by {width}: the whole bar, but for audits, is what the same answers would have cost. {dollars(whole.sums.spent_nanousd)} "
        f"was spent, {dollars(whole.sums.saved_nanousd)} saved.{cut}",
        Markup(plots.money(figures)),  # noqa: S704
        tables.money_by_time(figures),
    )
    if len(figures.features) > 1 and whole.sums.saved_nanousd:
        yield _Plot(
            "Saved by feature",
            "Dollars that each feature's requests didn't cost, by the layer that saved them, audits not taken off.",
            Markup(plots.feature_savings(figures)),  # noqa: S704
            tables.savings_by_feature(figures, _MOST_FEATURES),
        )
    if figures.speeds:
        yield _Plot(
            "Latency",
            "From a request to the last byte of its answer, by how it was answered, on a logarithmic scale.",
            Markup(plots.speed(figures)),  # noqa: S704
            tables.speeds(figures),
        )
    if figures.qualities:
        yield _Plot(
            "Wrong ones among semantic hits",
            "What audits found, with bounds that each hold with 95 % confidence, beside the share that was promised.",
            Markup(plots.quality(figures)),  # noqa: S704
            tables.qualities(figures),
        )

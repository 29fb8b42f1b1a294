"""A study as one HTML page; needs the extra `report`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from askonce.replay import tables
from askonce.replay.findings import findings
from askonce.replay.tables import OUTCOMES, amount, moment, span_name
from askonce.reporting.plots import stacked
from askonce.reporting.sheet import Card, Picture, Sheet, as_page
from askonce.reporting.wording import SAVING_NAMES, count, seconds, share

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.replay.estimate import Period
    from askonce.replay.reading import Reading
    from askonce.replay.study import Cell, Study
    from askonce.reporting.tables import Table

__all__ = ["as_html"]

_MOST_BAD_LINES: Final = 20
_CALLS_LEFT: Final = "calls left"


def as_html(study: Study, reading: Reading, assumed: Sequence[str]) -> str:
    """The page."""
    traffic = study.traffic
    begin, end = float(traffic.at[0]), float(traffic.at[-1])
    first = (
        f"{count(len(traffic))} requests over {span_name(end - begin)} from {moment(begin)} UTC; "
        f"{count(traffic.keys)} different ones"
    )
    budgets = [cell for cell in study.cells if cell.scenario.error_budget is not None]
    return as_page(
        Sheet(
            title="What askonce would save",
            heading="What askonce would save",
            lines=[first, *(f"{path}: {name}" for path, name in reading.formats.items())],
            cards=list(_cards(study)),
            cautions=list(findings(study)),
            suggestions=(),
            pictures=list(_pictures(study, budgets)),
            tables=list(_tables(study, reading, opened=bool(budgets))),
            notes_heading="What this assumes",
            notes=assumed,
        )
    )


def _cards(study: Study) -> Iterator[Card]:
    total, before, after = study.total, study.before, study.after
    yield Card("Net saving", amount(total, study.net_nanousd), f"of {amount(total, total.cost_nanousd)}")
    yield Card(
        "Calls avoided", share(total.hit_share), f"{count(total.calls_avoided)} of {count(total.requests)}"
    )
    yield Card("Callers wait, median", seconds(after.median_s), f"{seconds(before.median_s)} without")
    yield Card("95 % wait at most", seconds(after.p95_s), f"{seconds(before.p95_s)} without")


def _pictures(study: Study, budgets: Sequence[Cell]) -> Iterator[Picture]:
    yield Picture(
        "What answers requests",
        "Requests over time (UTC), by the layer that answers them; what is left are calls.",
        _over_time(study.periods),
        tables.periods(study.periods),
    )
    if budgets:
        yield Picture(
            "How long answers are kept, and how much may be wrong",
            "The share of calls avoided, for each error budget and each time that answers are kept. The table has the net saving "
            "beside it, and what is left without one of the layers.",
            _by_budget(budgets),
            tables.scenarios(study.cells),
            opened=True,
        )


def _tables(study: Study, reading: Reading, *, opened: bool) -> Iterator[Table]:
    yield tables.layers(study)
    if not opened:
        yield tables.scenarios(study.cells)
    yield from tables.by_whom(study)
    if reading.bad:
        yield tables.bad_lines(reading, _MOST_BAD_LINES)


def _over_time(periods: Sequence[Period]) -> str:
    series = {
        SAVING_NAMES.get(layer, _CALLS_LEFT): (
            layer,
            [sum(one.outcomes[name] for name in names) for one in periods],
        )
        for layer, names in OUTCOMES.items()
    }
    labels = [f"{datetime.fromtimestamp(one.at, UTC):%m-%d %H:%M}" for one in periods]
    return stacked(labels, series, lambda value: count(round(value)), whole=True)


def _by_budget(cells: Sequence[Cell]) -> str:
    series = {
        SAVING_NAMES[layer]: (
            layer,
            [cell.sums.layers[layer].requests / cell.sums.requests for cell in cells],
        )
        for layer in cells[0].sums.layers
    }
    labels = [f"{cell.scenario.error_budget:.0%}\n{span_name(cell.scenario.ttl_s or 0.0)}" for cell in cells]
    return stacked(labels, series, lambda value: f"{value:.0%}", most_labels=len(labels))

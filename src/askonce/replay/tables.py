"""A study's tables: words in rows and columns, for a terminal and for a page alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from askonce.reporting.tables import Table
from askonce.reporting.wording import NOTHING, SAVING_NAMES, count, dollars, plain, share, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from askonce.replay.estimate import Period, Sums
    from askonce.replay.reading import Reading
    from askonce.replay.scenario import Scenario
    from askonce.replay.study import Cell, Study

__all__ = [
    "OUTCOMES",
    "amount",
    "bad_lines",
    "by_whom",
    "layers",
    "moment",
    "periods",
    "scenarios",
    "span_name",
]

OUTCOMES: Final = {
    "exact": ("exact",),
    "inflight": ("joined",),
    "semantic": ("semantic", "semantic-joined"),
    "fresh": ("fresh", "bypass"),
}
"""What is shown as one, from the bottom up: layers, and last the calls that are left."""
_SHORT_NAMES: Final = {"exact": "exact", "inflight": "in flight", "semantic": "semantic"}
_SHOWN_GROUPS: Final = 12
_LONGEST_NAME: Final = 40
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def moment(at: float) -> str:
    """A time in words, UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"


def span_name(seconds: float) -> str:
    """A duration in its largest unit."""
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= size), ("s", 1))
    return f"{seconds / size:.3g} {unit}"


def amount(sums: Sums, nanousd: int) -> str:
    """Dollars; a dash where no request has a price, since nothing is known then."""
    return NOTHING if sums.unpriced and not sums.cost_nanousd else dollars(nanousd)


def layers(study: Study) -> Table:
    """Each layer, all together, what audits take off, and what is left."""
    total, audits = study.total, study.audits
    rows = [
        [
            SAVING_NAMES[layer],
            count(hits.requests),
            share(hits.requests / total.requests),
            amount(total, hits.saved_nanousd),
            count(hits.tokens),
        ]
        for layer, hits in total.layers.items()
    ]
    tokens = sum(hits.tokens for hits in total.layers.values())
    saved = amount(total, total.saved_nanousd)
    left = total.requests - total.calls_avoided
    return Table(
        "By layer",
        [""],
        ["requests", "of all", "saved", "tokens saved"],
        [
            *rows,
            ["calls avoided", count(total.calls_avoided), share(total.hit_share), saved, count(tokens)],
            ["less: audits, about", count(round(audits.calls)), "", amount(total, audits.cost_nanousd), ""],
            ["net saving", "", "", amount(total, study.net_nanousd), ""],
            ["calls left", count(left), share(1 - total.hit_share), "", ""],
        ],
        frozenset({len(rows), len(rows) + 3}),
    )


def by_whom(study: Study) -> Iterator[Table]:
    """By feature, tenant and model."""
    yield _groups("feature", study.features)
    yield _groups("tenant", study.tenants)
    yield _groups("model", study.models)


def _groups(title: str, found: Mapping[str, Sums]) -> Table:
    """The first groups, with each layer's share of their requests; audits aren't taken off."""
    shown = list(found.items())[:_SHOWN_GROUPS]
    more = f": the {len(shown)} with the most calls avoided" if len(found) > len(shown) else ""
    cells = [
        [
            short(name, _LONGEST_NAME),
            count(one.requests),
            *(share(hits.requests / one.requests) for hits in one.layers.values()),
            share(one.hit_share),
            amount(one, one.cost_nanousd),
            amount(one, one.saved_nanousd),
        ]
        for name, one in shown
    ]
    names = [*_SHORT_NAMES.values(), "avoided"]
    numbers = ["requests", *names, "cost", "saved"]
    return Table(f"By {title}, audits not taken off{more}", [title], numbers, cells)


def scenarios(cells: Sequence[Cell]) -> Table:
    """A row for each TTL, and the last for what doesn't depend on it."""
    columns = list(dict.fromkeys(cell.scenario._replace(ttl_s=None) for cell in cells))
    found = {cell.scenario: cell for cell in cells}
    rows = []
    for ttl_s in dict.fromkeys(cell.scenario.ttl_s for cell in cells):
        row = [found.get(column._replace(ttl_s=ttl_s)) for column in columns]
        rows.append(["any" if ttl_s is None else span_name(ttl_s), *map(_cell, row)])
    title = "Calls avoided and net saving, by how long answers are kept and by error budget"
    return Table(title, ["kept for"], [_column(column) for column in columns], rows)


def periods(found: Sequence[Period]) -> Table:
    """Requests over time, by what answered them."""
    cells = [
        [moment(one.at), *(count(sum(one.outcomes[name] for name in names)) for names in OUTCOMES.values())]
        for one in found
    ]
    names = [SAVING_NAMES.get(name, "calls left") for name in OUTCOMES]
    return Table("Requests over time, by what answered them", ["from (UTC)"], names, cells)


def bad_lines(reading: Reading, most: int) -> Table:
    """The first lines that are no requests, and why."""
    cells = [[plain(one.path), count(one.line), one.reason] for one in reading.shown[:most]]
    title = f"Lines that are no requests ({count(reading.bad)})"
    return Table(title, ["file", "line", "why"], [], cells)


def _column(scenario: Scenario) -> str:
    if scenario.without:
        return "without " + " and ".join(_SHORT_NAMES[layer] for layer in sorted(scenario.without))
    return f"{scenario.error_budget:.0%} budget"


def _cell(found: Cell | None) -> str:
    return "" if found is None else f"{share(found.sums.hit_share)} {amount(found.sums, found.net_nanousd)}"

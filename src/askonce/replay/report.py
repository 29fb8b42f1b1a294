"""A study as JSON and as text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from askonce.replay.estimate import Latency, Sums
    from askonce.replay.reading import Reading
    from askonce.replay.scenario import Scenario
    from askonce.replay.study import Cell, Study

__all__ = [
    "LAYER_NAMES",
    "as_json",
    "as_text",
    "group_rows",
    "layer_rows",
    "moment",
    "scenario_name",
    "sensitivity_rows",
    "span_name",
    "usd",
]

LAYER_NAMES: Final = {"exact": "exact", "inflight": "in flight", "semantic": "semantic"}
_NANOUSD: Final = 1e9
_SHOWN_GROUPS: Final = 12
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def usd(nanousd: float) -> str:
    """Dollars, with more digits where there are few."""
    dollars = nanousd / _NANOUSD
    return f"${dollars:,.2f}" if abs(dollars) >= 1 or not dollars else f"${dollars:.4f}"


def moment(at: float) -> str:
    """A time in words, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def span_name(seconds: float) -> str:
    """A duration in its largest unit."""
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= size), ("s", 1))
    return f"{seconds / size:.3g} {unit}"


def scenario_name(scenario: Scenario) -> str:
    """What a scenario leaves out."""
    return "without " + " and ".join(LAYER_NAMES[layer] for layer in sorted(scenario.without))


def as_json(study: Study, reading: Reading, assumed: Sequence[str]) -> dict[str, Any]:
    """All that is known; money in dollars, durations in seconds, shares in [0, 1]."""
    traffic = study.traffic
    return {
        "log": {
            "requests": len(traffic),
            "formats": reading.formats,
            "bad_lines": reading.bad,
            "bad_line_examples": [one._asdict() for one in reading.shown],
            "passed_over": reading.passed_over,
            "begin": float(traffic.at[0]),
            "end": float(traffic.at[-1]),
            "different_requests": traffic.keys,
            "known": traffic.known,
            "unshared": traffic.unshared,
            "without_semantic": traffic.unmatched,
            "latency_model": traffic.latency._asdict()
            | {"tokens_per_s": min(traffic.latency.tokens_per_s, 1e9)},
        },
        "total": _sums_json(study.total),
        "features": {name: _sums_json(one) for name, one in study.features.items()},
        "tenants": {name: _sums_json(one) for name, one in study.tenants.items()},
        "models": {name: _sums_json(one) for name, one in study.models.items()},
        "latency": {"before": study.before._asdict(), "after": study.after._asdict()},
        "audits": {"calls": study.audits.calls, "cost_usd": study.audits.cost_nanousd / _NANOUSD},
        "semantic": {
            **study.sample._asdict(),
            "hits_with_known_answers": study.wrong.known,
            "hits_with_another_answer": study.wrong.different,
            "beyond_sample": study.beyond._asdict() if study.beyond else None,
        },
        "sensitivity": [_cell_json(cell) for cell in study.cells],
        "periods": [one._asdict() for one in study.periods],
        "assumptions": list(assumed),
    }


def as_text(study: Study, reading: Reading, assumed: Sequence[str]) -> Iterator[str]:
    """The same in lines."""
    traffic, total = study.traffic, study.total
    span = span_name(float(traffic.at[-1] - traffic.at[0]))
    yield f"{len(traffic):,} requests over {span} from {moment(float(traffic.at[0]))}; {traffic.keys:,} different ones"
    for path, name in reading.formats.items():
        yield f"  {path}: {name}"
    if reading.bad:
        yield f"  {reading.bad:,} lines are no requests, such as"
        yield from (f"    {one.path}, line {one.line}: {one.reason}" for one in reading.shown[:5])
    yield ""
    yield from _table(layer_rows(total))
    yield ""
    yield from _latency_lines(study.before, study.after)
    yield from _semantic_lines(study)
    for title, groups in (("feature", study.features), ("tenant", study.tenants), ("model", study.models)):
        yield ""
        yield from _table(group_rows(title, groups))
    yield ""
    yield "Calls avoided (and saved), by how long answers are kept and by error budget:"
    yield from _table(sensitivity_rows(study.cells))
    yield ""
    yield "What this assumes:"
    yield from (f"  - {one}" for one in assumed)


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Aligned columns, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        yield "  " + "  ".join(cells).rstrip()


def layer_rows(total: Sums) -> list[list[str]]:
    """Each layer, all together, and what is left."""
    rows = [["layer", "requests", "of all", "saved", "tokens saved"]]
    for layer, hits in total.layers.items():
        share = f"{hits.requests / max(1, total.requests):.1%}"
        rows.append(
            [LAYER_NAMES[layer], f"{hits.requests:,}", share, usd(hits.saved_nanousd), f"{hits.tokens:,}"]
        )
    tokens = sum(hits.tokens for hits in total.layers.values())
    rows.append(
        [
            "calls avoided",
            f"{total.calls_avoided:,}",
            f"{total.hit_share:.1%}",
            usd(total.saved_nanousd),
            f"{tokens:,}",
        ]
    )
    left = total.requests - total.calls_avoided
    rows.append(
        ["calls left", f"{left:,}", f"{1 - total.hit_share:.1%}", f"of {usd(total.cost_nanousd)}", ""]
    )
    return rows


def _latency_lines(before: Latency, after: Latency) -> Iterator[str]:
    yield f"  callers wait   median {before.median_s:.3f} s → {after.median_s:.3f} s,  95 % within {before.p95_s:.2f} s → {after.p95_s:.2f} s"
    yield f"                 all together {before.total_s / 3600:,.1f} h → {after.total_s / 3600:,.1f} h"


def _semantic_lines(study: Study) -> Iterator[str]:
    audits, wrong, beyond = study.audits, study.wrong, study.beyond
    if audits.calls:
        yield f"  audits of semantic hits: about {audits.calls:,.0f} calls, {usd(audits.cost_nanousd)}, to be taken off the saving"
    if wrong.known:
        yield f"  semantic hits whose own answer the log has: {wrong.known:,}, {wrong.different:,} got another one by form"
    if beyond is not None:
        yield (
            f"  beyond the sample: {beyond.requests:,} requests; to be expected {beyond.hits:,.0f} ± {beyond.error:,.0f} "
            "further semantic hits"
        )


def group_rows(title: str, groups: Mapping[str, Sums]) -> list[list[str]]:
    """The first groups, with each layer's share of their requests."""
    rows = [[title, "requests", *LAYER_NAMES.values(), "avoided", "cost", "saved"]]
    for name, one in list(groups.items())[:_SHOWN_GROUPS]:
        shares = [f"{hits.requests / max(1, one.requests):.1%}" for hits in one.layers.values()]
        rows.append(
            [
                name[:40],
                f"{one.requests:,}",
                *shares,
                f"{one.hit_share:.1%}",
                usd(one.cost_nanousd),
                usd(one.saved_nanousd),
            ]
        )
    return rows


def sensitivity_rows(cells: Sequence[Cell]) -> list[list[str]]:
    """A row for each TTL, and the last for what doesn't depend on it."""
    columns: list[tuple[float | None, frozenset[str]]] = list(
        dict.fromkeys((cell.scenario.error_budget, cell.scenario.without) for cell in cells)
    )
    rows = [
        [
            "kept for",
            *(
                f"{budget:.0%} budget" if budget else scenario_name(_named(cells, budget, without))
                for budget, without in columns
            ),
        ]
    ]
    for ttl_s in dict.fromkeys(cell.scenario.ttl_s for cell in cells):
        found = {
            (cell.scenario.error_budget, cell.scenario.without): cell.sums
            for cell in cells
            if cell.scenario.ttl_s == ttl_s
        }
        rows.append(
            [
                "any" if ttl_s is None else span_name(ttl_s),
                *(_cell_text(found.get(column)) for column in columns),
            ]
        )
    return rows


def _named(cells: Sequence[Cell], budget: float | None, without: frozenset[str]) -> Scenario:
    return next(
        cell.scenario
        for cell in cells
        if (cell.scenario.error_budget, cell.scenario.without) == (budget, without)
    )


def _cell_text(found: Sums | None) -> str:
    return "" if found is None else f"{found.hit_share:.1%} ({usd(found.saved_nanousd)})"


def _sums_json(one: Sums) -> dict[str, Any]:
    return {
        "requests": one.requests,
        "calls_avoided": one.calls_avoided,
        "calls_avoided_share": one.hit_share,
        "cost_usd": one.cost_nanousd / _NANOUSD,
        "saved_usd": one.saved_nanousd / _NANOUSD,
        "unpriced_requests": one.unpriced,
        "layers": {
            name: {
                "requests": hits.requests,
                "saved_usd": hits.saved_nanousd / _NANOUSD,
                "tokens": hits.tokens,
            }
            for name, hits in one.layers.items()
        },
        "outcomes": one.outcomes,
    }


def _cell_json(cell: Cell) -> dict[str, Any]:
    scenario = cell.scenario
    return {
        "ttl_s": scenario.ttl_s,
        "error_budget": scenario.error_budget,
        "without": sorted(scenario.without),
        **_sums_json(cell.sums),
    }

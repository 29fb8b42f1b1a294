"""A study as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.replay.estimate import Sums
    from askonce.replay.reading import Reading
    from askonce.replay.study import Cell, Study

__all__ = ["as_json"]

_NANOUSD: Final = 1e9


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
        "total": {**_sums_json(study.total), "net_saved_usd": study.net_nanousd / _NANOUSD},
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
        "audits_usd": cell.audits.cost_nanousd / _NANOUSD,
        "net_saved_usd": cell.net_nanousd / _NANOUSD,
    }

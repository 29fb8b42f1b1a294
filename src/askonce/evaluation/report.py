"""Comparisons as JSON and as text."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from askonce.evaluation.comparison import Category, Comparison, Measured
    from askonce.evaluation.latency import Latency
    from askonce.evaluation.measures import Accepted

__all__ = ["latency_json", "latency_text", "pairs_json", "pairs_text", "table"]

_Json = dict[str, Any]
_HIT_RATIOS: Final = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)


def pairs_json(comparison: Comparison) -> _Json:
    """Everything measured on a set of pairs; shares are in [0, 1], null where nothing could be measured."""
    cosine = comparison.systems[0]
    right = int(comparison.pairs.right.sum())
    result: _Json = {
        "kind": "pairs",
        "pairs": len(comparison.pairs),
        "right": right,
        "wrong": len(comparison.pairs) - right,
        "systems": {system.name: _system_json(system, cosine) for system in comparison.systems},
    }
    result["vetoes"] = {reason: {"right": own, "wrong": other} for reason, own, other in _vetoes(comparison)}
    if comparison.categories:
        result["categories"] = {each.name: _category_json(each) for each in comparison.categories}
    if comparison.refit is not None:
        result["refit"] = {
            "pairs": comparison.labels,
            "used": comparison.refit.used,
            "gain_nats": comparison.refit.gain,
        }
    return result


def pairs_text(comparison: Comparison) -> Iterator[str]:
    """The same as lines of text."""
    pairs = comparison.pairs
    right = int(pairs.right.sum())
    yield f"{comparison.name}: {len(pairs)} pairs, {right} with the same answer, {len(pairs) - right} without"
    if comparison.refit is not None:
        what = "used" if comparison.refit.used else "not used: no better on held-back labels"
        yield f"  refit on {comparison.labels} other pairs: {what}"
    yield from (
        "",
        "  share of the wrong pairs accepted where so many of the right ones are (ratio to cosine)",
    )
    yield from table(_recall_rows(comparison.systems))
    yield from ("", "  precision, by hits among all pairs")
    yield from table(_precision_rows(comparison.systems))
    yield from ("", "  at error budgets: hits among all pairs / wrong among hits / right pairs accepted")
    yield from table(_budget_rows(comparison.systems))
    yield from ("", "  at fixed thresholds")
    yield from table(_fixed_rows(comparison.systems))
    yield from ("", "  pairs that guards forbid")
    yield from table(_veto_rows(comparison))
    if comparison.categories:
        yield from ("", "  by kind: right pairs served / traps served")
        yield from table(_category_rows(comparison.categories))
    yield ""


def latency_text(latency: Latency) -> str:
    """How long verdicts take, as a line."""
    cells = [
        f"{count} candidate{'s' if count > 1 else ''} {median:.2f} ms p50, {late:.2f} ms p99"
        for count, (median, late) in latency.quantiles_ms.items()
    ]
    return f"  verdict beyond the embedding, {latency.words:.0f} words a question: {'; '.join(cells)}"


def latency_json(latency: Latency) -> _Json:
    """The same as JSON."""
    return {
        "questions": latency.questions,
        "words": latency.words,
        "by_candidates": {
            str(count): {"p50_ms": median, "p99_ms": late}
            for count, (median, late) in latency.quantiles_ms.items()
        },
    }


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Aligned columns, the first to the left, the others to the right, four spaces in."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        yield "    " + "  ".join((first.ljust(widths[0]), *cells)).rstrip()


def _system_json(system: Measured, cosine: Measured) -> _Json:
    result: _Json = {
        "auc": system.curve.auc,
        "false_hit_rate_at_recall": _by(system.false_hit_rates),
        "ratio_to_cosine_at_recall": {
            f"{recall:g}": _ratio(rate, cosine.false_hit_rates[recall])
            for recall, rate in system.false_hit_rates.items()
        },
        "precision_at_hit_ratio": {f"{ratio:g}": system.curve.precision_at(ratio) for ratio in _HIT_RATIOS},
        "hindsight_at_budget": _accepted_by(system.hindsight),
    }
    if system.served:
        result["served_at_budget"] = _accepted_by(system.served)
    if system.fixed:
        result["at_threshold"] = _accepted_by(system.fixed)
    if system.bins:
        result["calibration"] = {
            "ece": system.calibration_error,
            "bins": [each._asdict() for each in system.bins],
        }
    return result


def _category_json(category: Category) -> _Json:
    return {
        "right": category.right,
        "wrong": category.wrong,
        "served": {
            rule: {"right": right, "wrong": wrong} for rule, (right, wrong) in category.served.items()
        },
        "most_frequent_veto": category.reason or None,
    }


def _by(values: Mapping[float, float | None]) -> _Json:
    return {f"{key:g}": value for key, value in values.items()}


def _accepted_by(values: Mapping[float, Accepted]) -> _Json:
    return {f"{key:g}": value._asdict() for key, value in values.items()}


def _ratio(rate: float | None, base: float | None) -> float | None:
    return None if rate is None or not base else rate / base


def _recall_rows(systems: Sequence[Measured]) -> list[list[str]]:
    cosine = systems[0]
    rows = [["", *(f"{recall:.0%}" for recall in cosine.false_hit_rates), "AUC", "ECE"]]
    for system in systems:
        cells = []
        for recall, rate in system.false_hit_rates.items():
            ratio = _ratio(rate, cosine.false_hit_rates[recall])
            own = "" if system is cosine or ratio is None else f" ({ratio:.2f})"
            cells.append(share(rate) + own)
        rows.append([system.name, *cells, number(system.curve.auc), number(system.calibration_error)])
    return rows


def _precision_rows(systems: Sequence[Measured]) -> list[list[str]]:
    rows = [["", *(f"{ratio:.0%}" for ratio in _HIT_RATIOS)]]
    return rows + [
        [system.name, *(share(system.curve.precision_at(ratio)) for ratio in _HIT_RATIOS)]
        for system in systems
    ]


def _budget_rows(systems: Sequence[Measured]) -> list[list[str]]:
    rows = [["", *(f"{budget:.1%}" for budget in systems[0].hindsight)]]
    for system in systems:
        if system.served:
            rows.append([f"{system.name}, as served", *map(_rates, system.served.values())])
        rows.append([f"{system.name}, best in hindsight", *map(_rates, system.hindsight.values())])
    return rows


def _fixed_rows(systems: Sequence[Measured]) -> list[list[str]]:
    fixed = [system for system in systems if system.fixed]
    rows = [["", *(f"{level:.2f}" for level in fixed[0].fixed)]]
    return rows + [[system.name, *map(_rates, system.fixed.values())] for system in fixed]


def _veto_rows(comparison: Comparison) -> list[list[str]]:
    right = int(comparison.pairs.right.sum())
    wrong = len(comparison.pairs) - right
    vetoes = _vetoes(comparison)
    counts = [("all", sum(own for _, own, _ in vetoes), sum(other for _, _, other in vetoes)), *vetoes]
    rows = [["", "of the right pairs", "of the wrong pairs"]]
    return rows + [
        [reason, share(own / right if right else None), share(other / wrong if wrong else None)]
        for reason, own, other in counts
    ]


def _vetoes(comparison: Comparison) -> list[tuple[str, int, int]]:
    """Reason codes with how many right and how many wrong pairs they forbid, the most frequent first."""
    pairs = comparison.pairs
    right = Counter(veto for veto, label in zip(pairs.vetoes, pairs.right, strict=True) if veto and label)
    wrong = Counter(veto for veto, label in zip(pairs.vetoes, pairs.right, strict=True) if veto and not label)
    return [(reason, right[reason], wrong[reason]) for reason, _ in (right + wrong).most_common()]


def _category_rows(categories: Sequence[Category]) -> list[list[str]]:
    rules = list(categories[0].served)
    rows = [["", "right", "traps", *rules, "most frequent veto"]]
    for each in categories:
        served = [f"{share(each.served[rule][0])} / {share(each.served[rule][1])}" for rule in rules]
        rows.append([each.name, str(each.right), str(each.wrong), *served, each.reason or "-"])
    return rows


def _rates(accepted: Accepted) -> str:
    return f"{share(accepted.hit_ratio)} / {share(accepted.wrong_among_hits)} / {share(accepted.recall)}"


def share(value: float | None) -> str:
    """A share in per cent."""
    return "-" if value is None else f"{value:.1%}"


def number(value: float | None) -> str:
    """Three digits."""
    return "-" if value is None else f"{value:.3f}"

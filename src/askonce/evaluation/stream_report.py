"""Comparisons on streams as JSON and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from askonce.evaluation.report import share, table
from askonce.evaluation.traffic import WRONG_RATES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.evaluation.streams import Tally
    from askonce.evaluation.traffic import StreamComparison, StreamSystem

__all__ = ["stream_json", "stream_text"]

_SHOWN_THRESHOLDS = (0.80, 0.85, 0.90, 0.95, 0.98)


def stream_json(comparison: StreamComparison) -> dict[str, Any]:
    """Everything measured on a stream; shares are in [0, 1]."""
    baselines = comparison.systems[:2]
    return {
        "kind": "stream",
        "questions": comparison.questions,
        "intents": comparison.intents,
        "repeats": comparison.repeats,
        "systems": {
            system.name: {
                f"at_{system.knob}": {f"{at:g}": _rates(tally) for at, tally in system.tallies.items()},
                "best_at_wrong_rate": {f"{rate:g}": _best(system, baselines, rate) for rate in WRONG_RATES},
            }
            for system in comparison.systems
        },
    }


def stream_text(comparison: StreamComparison) -> Iterator[str]:
    """The same as lines of text."""
    yield (
        f"{comparison.name}: a stream of {comparison.questions} questions with {comparison.intents} intents "
        f"({comparison.repeats} repeated ones left to the exact tier)"
    )
    yield from (
        "",
        "  hits among all questions, best setting in hindsight, by wrong ones among them (times cosine)",
    )
    rows = [["", *(f"{rate:.0%}" for rate in WRONG_RATES)]]
    cosine = comparison.systems[0]
    rows += [
        [system.name, *(_best_cell(system, cosine, rate) for rate in WRONG_RATES)]
        for system in comparison.systems
    ]
    yield from table(rows)
    for system in comparison.systems:
        settings = [at for at in system.tallies if system.knob != "threshold" or at in _SHOWN_THRESHOLDS]
        yield from ("", f"  {system.name} by {system.knob}: hits among all questions / wrong among hits")
        values = [system.tallies[at] for at in settings]
        cells = [f"{share(tally.hit_rate)} / {share(_wrong(tally))}" for tally in values]
        yield from table([["", *(f"{at:g}" for at in settings)], ["", *cells]])
    yield ""


def _rates(tally: Tally) -> dict[str, float | None]:
    return {
        "hit_ratio": tally.hit_rate,
        "wrong_among_hits": _wrong(tally),
        "wrong_among_all": tally.wrong / max(1, tally.requests),
        "asked_beside": tally.asked_beside / max(1, tally.requests),
    }


def _best(system: StreamSystem, baselines: Sequence[StreamSystem], rate: float) -> dict[str, Any] | None:
    best = system.best(rate)
    if best is None:
        return None
    others = {other.name: other.best(rate) for other in baselines}
    times = {name: None if base is None else best[1].hits / base[1].hits for name, base in others.items()}
    return {system.knob: best[0], **_rates(best[1]), "times": times}


def _best_cell(system: StreamSystem, cosine: StreamSystem, rate: float) -> str:
    best, base = system.best(rate), cosine.best(rate)
    if best is None:
        return "-"
    times = f" ({best[1].hits / base[1].hits:.2f})" if base is not None and system is not cosine else ""
    return f"{share(best[1].hit_rate)}{times}"


def _wrong(tally: Tally) -> float | None:
    return tally.false_hit_rate if tally.hits else None

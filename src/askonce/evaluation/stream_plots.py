"""A stream's row of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.evaluation.traffic import WRONG_RATES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from askonce.evaluation.traffic import StreamComparison

__all__ = ["COLOURS", "STYLES", "stream_row"]

COLOURS: Final[Mapping[str, str]] = {
    "cosine": "#8c8c8c",
    "askonce": "#1f6fb4",
    "askonce-refitted": "#2a9d5c",
    "vcache": "#d1682b",
}
STYLES: Final[Mapping[str, str]] = {"cosine": "-", "askonce": "-", "askonce-refitted": "--", "vcache": "-"}
_WORST: Final = 0.12
"""Shares of wrong hits above this are of no use to anybody, and not drawn."""


def stream_row(row: Sequence[Axes], comparison: StreamComparison) -> None:
    """Precision against hit ratio, hits at equal shares of wrong hits, and what was kept of what was asked for."""
    _precision(row[0], comparison)
    _best(row[1], comparison)
    _kept(row[2], comparison)


def _precision(axes: Axes, comparison: StreamComparison) -> None:
    for system in comparison.systems:
        shown = [tally for tally in system.tallies.values() if tally.hits]
        shown.sort(key=lambda tally: tally.hits)
        axes.plot(
            [tally.hit_rate for tally in shown],
            [1 - tally.false_hit_rate for tally in shown],
            marker=".",
            color=COLOURS[system.name],
            label=f"{system.name} by {system.knob}",
        )
    axes.set_title(f"{comparison.name}: precision against hit ratio", fontsize=10)
    axes.set_xlabel("hits among all questions")
    axes.set_ylabel("right ones among hits")
    useful = [
        tally.hit_rate
        for system in comparison.systems
        for tally in system.tallies.values()
        if tally.false_hit_rate <= _WORST
    ]
    axes.set_xlim(0, max(0.01, 1.05 * max(useful)))
    axes.set_ylim(1 - _WORST, 1.005)
    axes.legend(loc="lower left", fontsize=8)
    axes.grid(alpha=0.3)


def _best(axes: Axes, comparison: StreamComparison) -> None:
    for system in comparison.systems:
        best = [system.best(rate) for rate in WRONG_RATES]
        hits = [each[1].hit_rate if each is not None else 0.0 for each in best]
        axes.plot(WRONG_RATES, hits, marker="o", color=COLOURS[system.name], label=system.name)
    axes.set_title("hits at equal shares of wrong hits, best setting in hindsight", fontsize=10)
    axes.set_xlabel("wrong ones among hits, at most")
    axes.set_ylabel("hits among all questions")
    axes.set_xticks(WRONG_RATES, [f"{rate:.0%}" for rate in WRONG_RATES])
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", fontsize=8)
    axes.grid(alpha=0.3)


def _kept(axes: Axes, comparison: StreamComparison) -> None:
    axes.plot([0, _WORST], [0, _WORST], color="#bbbbbb", linestyle="--", linewidth=1)
    for system in comparison.systems:
        if system.knob == "threshold":
            continue
        settings = list(system.tallies)
        among_hits = [tally.false_hit_rate for tally in system.tallies.values()]
        axes.plot(
            settings,
            among_hits,
            marker="o",
            color=COLOURS[system.name],
            label=f"{system.name}, {system.knob}",
        )
    axes.set_title("wrong hits kept against wrong hits allowed", fontsize=10)
    axes.set_xlabel("allowed")
    axes.set_ylabel("wrong ones among hits")
    axes.set_xlim(0, _WORST)
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", fontsize=8)
    axes.grid(alpha=0.3)

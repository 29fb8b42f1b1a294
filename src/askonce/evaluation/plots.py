"""Comparisons as a picture: a row for each set; needs the extra `evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from askonce.evaluation.stream_plots import COLOURS, STYLES, stream_row
from askonce.evaluation.traffic import StreamComparison

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from askonce.evaluation.comparison import Comparison

__all__ = ["draw"]

_INCHES: Final = (15.0, 4.6)
_FEWEST: Final = 10
"""Precision of fewer hits than that is noise, and not drawn."""
_MOST_RECALL: Final = 0.8


def draw(comparisons: Sequence[Comparison | StreamComparison], file: Path) -> None:
    """Writes a PNG. Raises ImportError where matplotlib isn't installed and OSError where the file can't be written."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra that the gateway does without

    width, height = _INCHES
    figure = Figure(figsize=(width, height * len(comparisons)), layout="constrained")
    axes = figure.subplots(len(comparisons), 3, squeeze=False)
    for row, comparison in zip(axes, comparisons, strict=True):
        if isinstance(comparison, StreamComparison):
            stream_row(row, comparison)
        else:
            _precision(row[0], comparison)
            _errors(row[1], comparison)
            _reliability(row[2], comparison)
    figure.savefig(file, dpi=110, format="png")


def _precision(axes: Axes, comparison: Comparison) -> None:
    """Precision against hit ratio; dots are cosine's thresholds in common use and the gateway's own for its budgets."""
    for system in comparison.systems:
        curve = system.curve
        enough = curve.right + curve.wrong >= _FEWEST
        axes.plot(
            curve.hit_ratio[enough], curve.precision[enough], color=COLOURS[system.name], label=system.name
        )
        for marks, shape in ((system.fixed, "s"), (system.served, "o")):
            for setting, point in marks.items():
                if point.wrong_among_hits is None:
                    continue
                text = f"{setting:.2f}" if shape == "s" else f"{setting:.1%}"
                _mark(axes, (point.hit_ratio, 1 - point.wrong_among_hits), text, COLOURS[system.name], shape)
    axes.set_title(f"{comparison.name}: precision against hit ratio", fontsize=10)
    axes.set_xlabel("hits among all pairs")
    axes.set_ylabel("right ones among hits")
    axes.set_xlim(0, 1)
    axes.set_ylim(top=1.02)
    axes.legend(loc="lower left", fontsize=8)
    axes.grid(alpha=0.3)


def _errors(axes: Axes, comparison: Comparison) -> None:
    """Share of the wrong pairs accepted against the share of the right ones."""
    for system in comparison.systems:
        curve = system.curve
        if not curve.right[-1] or not curve.wrong[-1]:
            continue
        axes.plot(
            curve.right / curve.right[-1],
            curve.wrong / curve.wrong[-1],
            STYLES[system.name],
            color=COLOURS[system.name],
            label=f"{system.name}, AUC {system.curve.auc:.3f}",
        )
    rates = [system.curve.false_hit_rate(_MOST_RECALL) or 0.0 for system in comparison.systems]
    axes.set_title("false-hit rate against recall", fontsize=10)
    axes.set_xlabel("right pairs accepted")
    axes.set_ylabel("wrong pairs accepted")
    axes.set_xlim(0, _MOST_RECALL)
    axes.set_ylim(0, max(0.01, 1.05 * max(rates)))
    axes.legend(loc="upper left", fontsize=8)
    axes.grid(alpha=0.3)


def _reliability(axes: Axes, comparison: Comparison) -> None:
    """Share of right pairs against the probability claimed; a dot's area grows with its number of pairs."""
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linestyle="--", linewidth=1)
    for system in comparison.systems:
        if not system.bins:
            continue
        total = sum(each.size for each in system.bins)
        claimed = [each.probability for each in system.bins]
        right = [each.right for each in system.bins]
        label = f"{system.name}, ECE {system.calibration_error:.3f}"
        axes.plot(claimed, right, color=COLOURS[system.name], linewidth=1, alpha=0.4, label=label)
        areas = [12 + 400 * np.sqrt(each.size / total) / 2 for each in system.bins]
        axes.scatter(claimed, right, s=areas, color=COLOURS[system.name], alpha=0.5)
    axes.set_title("reliability", fontsize=10)
    axes.set_xlabel("probability claimed")
    axes.set_ylabel("right pairs")
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.legend(loc="best", fontsize=8)
    axes.grid(alpha=0.3)


def _mark(axes: Axes, at: tuple[float, float], text: str, colour: str, shape: str) -> None:
    axes.plot(*at, shape, color=colour, markersize=5)
    axes.annotate(text, at, textcoords="offset points", xytext=(4, 4), fontsize=7, color=colour)

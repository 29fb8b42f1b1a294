"""A report's plots as SVG to stand inside a page, whose style gives them their colours; needs the extra `report`.

Colours are drawn as stand-ins, each of which becomes a variable of the page's style (`var(--exact)`), so that one picture
suits light and dark. Text stays text.
"""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from askonce.reporting import wording
from askonce.reporting.figures import LAYERS, SAVINGS
from askonce.reporting.wording import OUTCOME_NAMES, SAVING_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.axes import Axes

    from askonce.reporting.figures import Figures

__all__ = ["feature_savings", "money", "outcomes", "quality", "speed", "stacked"]

_VARIABLES: Final = (
    "ink", "muted", "grid", "card", "exact", "inflight", "semantic", "prompt-cache", "batch", "fresh", "bypass",
    "refused", "spent",
)  # fmt: skip
_STAND_INS: Final = {name: f"#fe{number:02x}ef" for number, name in enumerate(_VARIABLES)}
_INCHES: Final = (9.0, 2.9)
_ROW_INCHES: Final = 0.36
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "askonce",
    "font.size": 10,
    "text.color": _STAND_INS["ink"],
    "axes.labelcolor": _STAND_INS["muted"],
    "axes.edgecolor": _STAND_INS["grid"],
    "xtick.color": _STAND_INS["grid"],
    "ytick.color": _STAND_INS["grid"],
    "xtick.labelcolor": _STAND_INS["muted"],
    "ytick.labelcolor": _STAND_INS["muted"],
    "grid.color": _STAND_INS["grid"],
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "legend.frameon": False,
}
_METADATA: Final = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_NANO: Final = 1e9
_MOST_ROWS: Final = 12
_LONGEST_NAME: Final = 24
_HOUR: Final = 1
_DAY: Final = 24


def outcomes(figures: Figures) -> str:
    """Requests over time, stacked by how they ended."""
    series = {
        **{
            SAVING_NAMES[layer]: (layer, [tally.requests(*LAYERS[layer]) for _, tally in figures.buckets])
            for layer in LAYERS
        },
        **{
            OUTCOME_NAMES[name]: (name, [tally.requests(name) for _, tally in figures.buckets])
            for name in ("fresh", "bypass", "refused")
        },
    }
    return stacked(_labels(figures), series, lambda value: wording.count(round(value)), whole=True)


def money(figures: Figures) -> str:
    """Dollars over time: what was spent, and on top of it what was saved."""
    spent = [tally.sums.spent_nanousd for _, tally in figures.buckets]
    saved = {
        SAVING_NAMES[layer]: (
            layer.replace("_", "-"),
            [tally.saved_by(layer) for _, tally in figures.buckets],
        )
        for layer in SAVINGS
    }
    return stacked(
        _labels(figures),
        {"spent": ("spent", spent), **saved},
        _axis_dollars(
            max(map(sum, zip(spent, *(values for _, values in saved.values()), strict=True)), default=0)
        ),
    )


def feature_savings(figures: Figures) -> str:
    """What each feature saved, stacked by layer, most on top."""
    ordered = sorted(figures.features.items(), key=lambda each: -each[1].net_nanousd)[:_MOST_ROWS]
    names = [wording.short(name, _LONGEST_NAME) for name, _ in ordered]
    with mpl.rc_context(_STYLE):
        figure, axes = _rows_figure(names)
        left = np.zeros(len(names))
        for layer in SAVINGS:
            width = np.array([tally.saved_by(layer) for _, tally in ordered], np.float64)
            if width.any():
                colour = _STAND_INS[layer.replace("_", "-")]
                axes.barh(range(len(names)), width, 0.62, left, color=colour, label=SAVING_NAMES[layer])
            left += width
        form = _axis_dollars(left.max(initial=0))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: form(value)))
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.grid(axis="x")
        _legend(figure, axes)
        return _svg(figure, "features")


def speed(figures: Figures) -> str:
    """Median, nine tenths and 99 per cent of the latencies, by outcome, on a logarithmic scale."""
    names = [OUTCOME_NAMES[one.outcome] for one in figures.speeds]
    with mpl.rc_context(_STYLE):
        figure, axes = _rows_figure(names)
        for place, one in enumerate(figures.speeds):
            colour = _STAND_INS[_colour_of(one.outcome)]
            axes.plot([one.p50_s, one.p99_s], [place, place], color=colour, linewidth=5)
            for seconds, shape in ((one.p50_s, "o"), (one.p90_s, "D"), (one.p99_s, "s")):
                axes.plot(
                    seconds, place, shape, color=colour, markersize=8, markeredgecolor=_STAND_INS["card"]
                )
        for shape, name in (("o", "median"), ("D", "90 % within"), ("s", "99 % within")):
            axes.plot([], [], shape, color=_STAND_INS["muted"], markersize=7, label=name)
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: wording.seconds(value)))
        axes.grid(axis="x")
        _legend(figure, axes)
        return _svg(figure, "speed")


def quality(figures: Figures) -> str:
    """Each feature's share of wrong semantic hits with its bounds, beside the promised one."""
    judged = [
        (wording.short(one.feature, _LONGEST_NAME) + name, of.rate, one.budget)
        for one in figures.qualities or ()
        for name, of in (("", one.hits), (" (shadow)", one.shadow))
        if of.audits
    ][:_MOST_ROWS]
    with mpl.rc_context(_STYLE):
        figure, axes = _rows_figure([name for name, _, _ in judged])
        for place, (_, rate, budget) in enumerate(judged):
            axes.plot([rate.low, rate.high], [place, place], color=_STAND_INS["semantic"], linewidth=5)
            axes.plot(
                rate.estimate,
                place,
                "o",
                color=_STAND_INS["semantic"],
                markersize=8,
                markeredgecolor=_STAND_INS["card"],
            )
            if budget is not None:
                axes.plot(
                    [budget, budget], [place - 0.38, place + 0.38], color=_STAND_INS["refused"], linewidth=2.5
                )
        axes.plot([], [], color=_STAND_INS["semantic"], linewidth=5, label="measured, with 95 % bounds")
        axes.plot([], [], color=_STAND_INS["refused"], linewidth=2.5, label="promised at most")
        shown = [value for _, rate, budget in judged for value in (rate.high, budget or 0.0)]
        most = min(1.0, 1.1 * max(shown, default=1.0))
        axes.set_xlim(-0.012 * most, most)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))
        axes.grid(axis="x")
        _legend(figure, axes)
        return _svg(figure, "quality")


def stacked(
    labels: Sequence[str],
    series: Mapping[str, tuple[str, Sequence[float]]],
    form: Callable[[float], str],
    *,
    whole: bool = False,
    most_labels: int = 8,
) -> str:
    """A bar for each label, made of one part of each series.

    Args:
        labels: What stands below the bars; of many, some.
        series: By its name: the variable of its colour, and its values. One without any is left out.
        form: Writes a value on the axis.
        whole: Whether values are whole numbers.
        most_labels: How many labels have room.
    """
    places = np.arange(len(labels))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=_INCHES, layout="constrained")
        axes = figure.subplots()
        bottom = np.zeros(len(places))
        for name, (variable, values) in series.items():
            height = np.array(values, np.float64)
            some = height > 0
            if some.any():
                axes.bar(
                    places[some], height[some], 0.82, bottom[some], color=_STAND_INS[variable], label=name
                )
            bottom += height
        axes.set_xlim(-0.6, len(places) - 0.4)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: form(value)))
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=whole))
        step = -(-len(places) // most_labels)
        axes.set_xticks(places[::step], labels[::step])
        axes.tick_params(length=0)
        axes.grid(axis="y")
        _legend(figure, axes)
        return _svg(figure, next(iter(series)).replace(" ", "-"))


def _axis_dollars(most_nanousd: float) -> Callable[[float], str]:
    """Dollars with as many digits as an axis up to there takes."""
    digits = max(2, 1 - math.floor(math.log10(most_nanousd / _NANO))) if most_nanousd else 2
    return lambda nanousd: f"${nanousd / _NANO:,.{digits if most_nanousd < _NANO else 2}f}"


def _labels(figures: Figures) -> list[str]:
    texts = [wording.moment(bucket.hour) for bucket in figures.buckets]
    if figures.bucket_hours == _HOUR:
        return [text[5:] for text in texts]
    return [text[:10] if figures.bucket_hours > _DAY else text[5:10] for text in texts]


def _rows_figure(names: Sequence[str]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_INCHES[0], 1.1 + _ROW_INCHES * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(length=0)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
        text.set_color(_STAND_INS["ink"])
    return figure, axes


def _legend(figure: Figure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, names, loc="outside upper left", ncols=len(names), handlelength=1.1, handleheight=1.0,
            columnspacing=1.4, labelcolor=_STAND_INS["ink"],
        )  # fmt: skip


def _colour_of(outcome: str) -> str:
    layers = {name: layer for layer, names in LAYERS.items() for name in names}
    return layers.get(outcome, outcome)


def _svg(figure: Figure, name: str) -> str:
    """The picture's element; its ids begin with its name, since several pictures share a page."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata=_METADATA)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        r'<svg viewBox="\1" aria-hidden="true" focusable="false">',
        text,
        count=1,
    )
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'xlink:href="#', f'href="#{name}-', text)
    text = text.replace("url(#", f"url(#{name}-")
    for variable, colour in _STAND_INS.items():
        text = text.replace(colour, f"var(--{variable})")
    return text

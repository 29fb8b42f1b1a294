"""A study's plots as inline SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.replay.report import moment, span_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.replay.estimate import Period
    from askonce.replay.study import Cell

__all__ = ["OUTCOME_CLASSES", "budgets_chart", "periods_chart"]

OUTCOME_CLASSES: Final = {
    "exact": ("exact",),
    "inflight": ("joined",),
    "semantic": ("semantic", "semantic-joined"),
    "left": ("fresh", "bypass"),
}
"""What is drawn in one colour, from the bottom up."""
_WIDTH: Final = 1000
_HEIGHT: Final = 260
_LEFT: Final = 60
_BOTTOM: Final = 24
_TOP: Final = 10


def periods_chart(periods: Sequence[Period]) -> str:
    """Requests over time, by what answered them, stacked."""
    most = max((sum(one.outcomes.values()) for one in periods), default=0) or 1
    width = (_WIDTH - _LEFT) / max(1, len(periods))
    bars = []
    for place, period in enumerate(periods):
        below = 0
        for name, outcomes in OUTCOME_CLASSES.items():
            count = sum(period.outcomes[outcome] for outcome in outcomes)
            if count:
                x, y = _LEFT + place * width, _y((below + count) / most)
                height = _y(below / most) - y
                title = f"{moment(period.at)}: {count:,} {name}"
                bars.append(
                    f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{max(0.5, width - 1):.1f}" '
                    f'height="{height:.1f}"><title>{title}</title></rect>'
                )
            below += count
    ends = ""
    if periods:
        begin, end = moment(periods[0].at), moment(periods[-1].at)
        ends = f'<text x="{_LEFT}" y="{_HEIGHT - 6}">{begin}</text>'
        ends += f'<text x="{_WIDTH}" y="{_HEIGHT - 6}" text-anchor="end">{end}</text>'
    return _svg("Requests over time by what answered them", [*_axis(most, "{:,.0f}"), *bars, ends])


def budgets_chart(cells: Sequence[Cell]) -> str:
    """Calls avoided for each TTL and budget: bars side by side, groups by TTL."""
    shown = [
        cell for cell in cells if cell.scenario.error_budget is not None and cell.scenario.ttl_s is not None
    ]
    if not shown:
        return ""
    ttls = list(dict.fromkeys(cell.scenario.ttl_s or 0.0 for cell in shown))
    budgets = list(dict.fromkeys(cell.scenario.error_budget or 0.0 for cell in shown))
    most = max(cell.sums.hit_share for cell in shown) or 1.0
    group = (_WIDTH - _LEFT) / len(ttls)
    width = group * 0.8 / len(budgets)
    drawn = []
    for cell in shown:
        ttl_s, budget = cell.scenario.ttl_s or 0.0, cell.scenario.error_budget or 0.0
        x = _LEFT + ttls.index(ttl_s) * group + group * 0.1 + budgets.index(budget) * width
        bottom = 0.0
        for name, hits in cell.sums.layers.items():
            share = hits.requests / max(1, cell.sums.requests)
            y = _y((bottom + share) / most)
            title = f"{span_name(ttl_s)}, {budget:.0%} budget, {name}: {share:.1%}"
            drawn.append(
                f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{width - 3:.1f}" '
                f'height="{_y(bottom / most) - y:.1f}"><title>{title}</title></rect>'
            )
            bottom += share
        label = f'<text x="{x + width / 2:.1f}" y="{_y(bottom / most) - 3:.1f}" text-anchor="middle">{budget:.0%}</text>'
        drawn.append(label)
    for place, ttl_s in enumerate(ttls):
        x = _LEFT + (place + 0.5) * group
        drawn.append(
            f'<text x="{x:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">kept for {span_name(ttl_s)}</text>'
        )
    return _svg("Calls avoided by TTL and error budget", [*_axis(most, "{:.0%}"), *drawn])


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP - 12)


def _axis(most: float, form: str) -> Iterator[str]:
    for part in (0.0, 0.5, 1.0):
        y = _y(part)
        yield f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{form.format(most * part)}</text>'


def _svg(title: str, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}">{"".join(parts)}</svg>'

"""A report's tables: words in rows and columns, for a terminal and for a page alike."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from askonce.reporting import wording
from askonce.reporting.figures import LAYERS, SAVINGS, Tally
from askonce.reporting.wording import NOTHING, OUTCOME_NAMES, SAVING_NAMES, count, dollars, share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from askonce.reporting.figures import Figures

__all__ = [
    "Table",
    "layers_by_time",
    "money_by_time",
    "qualities",
    "questions",
    "rows",
    "savings_by_feature",
    "speeds",
    "totals",
]

_Line = tuple[str, str, str, str]
"""What it is, now, before, and by how much it grew."""


class Table(NamedTuple):
    """Rows of words.

    Attributes:
        title: What it shows.
        texts: Names of the first columns, which are read from the left.
        numbers: Names of the others, which are read from the right.
        rows: As many cells each as there are columns.
        rules: Numbers of the rows before which something new begins.
    """

    title: str
    texts: Sequence[str]
    numbers: Sequence[str]
    rows: Sequence[Sequence[str]]
    rules: frozenset[int] = frozenset()


def totals(figures: Figures) -> Table:
    """All of the span, beside the one before where the books reach back so far."""
    lines = _Lines(figures.whole, figures.before)
    parts = [list(part(lines)) for part in (_requests, _tokens, _money, _open)]
    starts = {sum(map(len, parts[:place])) for place in range(1, len(parts))}
    compared = figures.before is not None
    return Table(
        "Totals",
        [""],
        ["this span", "the span before", "change"] if compared else ["this span"],
        [line if compared else line[:2] for part in parts for line in part],
        frozenset(starts),
    )


def rows(figures: Figures, most: int) -> Table:
    """What was asked for, key by key."""
    by, left_out = figures.terms.by, len(figures.rows) - most
    title = f"By {', '.join(by)}"
    if left_out > 0:
        title += f": the first {most}, {count(left_out)} more are in the CSV"
    cells = [
        [
            *(wording.named(column, value) for column, value in zip(by, key, strict=True)),
            count(tally.sums.requests),
            share(tally.hit_rate()),
            *(share(tally.hit_rate(layer)) for layer in LAYERS),
            dollars(tally.sums.spent_nanousd),
            dollars(tally.net_nanousd),
        ]
        for key, tally in figures.rows[:most]
    ]
    numbers = ["requests", "hits", *(SAVING_NAMES[layer] for layer in LAYERS), "spent", "saved, net"]
    return Table(title, by, numbers, cells)


def speeds(figures: Figures) -> Table:
    """How long requests took, by how they were answered."""
    cells = [
        [
            OUTCOME_NAMES[one.outcome],
            count(one.requests),
            *map(wording.seconds, (one.p50_s, one.p90_s, one.p99_s)),
        ]
        for one in figures.speeds
    ]
    return Table("Latency, from request to last byte", ["outcome"], ["requests", "p50", "p90", "p99"], cells)


def qualities(figures: Figures) -> Table:
    """How often semantic hits were wrong, beside what was promised."""
    cells = [
        [
            one.feature + name,
            NOTHING if one.budget is None else f"at most {one.budget:.2%}",
            count(judged.audits),
            count(judged.wrong),
            wording.rate(judged.rate),
        ]
        for one in figures.qualities or ()
        for name, judged in (("", one.hits), (" (shadow mode)", one.shadow))
        if judged.audits
    ]
    numbers = ["promised", "audits", "wrong", "false-hit rate (95 % bounds)"]
    return Table("Wrong ones among semantic hits", ["feature"], numbers, cells)


def questions(figures: Figures, most: int) -> Table:
    """What was worth most to be asked once."""
    cells = [
        [
            wording.question(one.text, one.key),
            one.feature,
            count(one.requests),
            dollars(one.saved_nanousd),
        ]
        for one in figures.questions[:most]
    ]
    return Table(
        "Questions that saved most (whole days)", ["question", "feature"], ["requests", "saved"], cells
    )


def layers_by_time(figures: Figures) -> Table:
    """How requests were answered, over time."""
    cells = [
        [
            wording.moment(hour),
            count(tally.answered),
            *(count(tally.requests(*LAYERS[layer])) for layer in LAYERS),
            *(count(tally.requests(outcome)) for outcome in ("fresh", "bypass", "refused")),
        ]
        for hour, tally in figures.buckets
    ]
    names = [*(SAVING_NAMES[layer] for layer in LAYERS), "fresh", "bypass", "refused"]
    return Table("Requests over time, by how they ended", ["from (UTC)"], ["answered", *names], cells)


def money_by_time(figures: Figures) -> Table:
    """What was spent and saved, over time."""
    cells = [
        [
            wording.moment(hour),
            dollars(tally.sums.spent_nanousd),
            *_saved(tally),
            dollars(tally.audits_nanousd),
        ]
        for hour, tally in figures.buckets
    ]
    names = ["spent", *(f"saved: {SAVING_NAMES[name]}" for name in SAVINGS), "less: audits"]
    return Table("Dollars over time", ["from (UTC)"], names, cells)


def savings_by_feature(figures: Figures, most: int) -> Table:
    """What was saved, feature by feature, by layer."""
    ordered = sorted(figures.features.items(), key=lambda each: -each[1].net_nanousd)[:most]
    cells = [
        [name, *_saved(tally), dollars(tally.audits_nanousd), dollars(tally.net_nanousd)]
        for name, tally in ordered
    ]
    names = [*(SAVING_NAMES[name] for name in SAVINGS), "less: audits", "net"]
    return Table("Saved by feature and layer", ["feature"], names, cells)


def _saved(tally: Tally) -> list[str]:
    return [dollars(tally.saved_by(name)) for name in SAVINGS]


class _Lines(NamedTuple):
    """Lines about now and the span before, where there is one."""

    now: Tally
    before: Tally | None

    def number(self, name: str, of: Callable[[Tally], int]) -> _Line:
        return self._line(name, of, count)

    def amount(self, name: str, of: Callable[[Tally], int]) -> _Line:
        return self._line(name, of, dollars)

    def share(self, name: str, of: Callable[[Tally], float | None]) -> _Line:
        now, before = of(self.now), None if self.before is None else of(self.before)
        return name, share(now), share(before), wording.points(now, before)

    def _line(self, name: str, of: Callable[[Tally], int], form: Callable[[int], str]) -> _Line:
        now, before = of(self.now), None if self.before is None else of(self.before)
        return name, form(now), NOTHING if before is None else form(before), wording.change(now, before)


def _requests(lines: _Lines) -> Iterator[_Line]:
    yield lines.number("requests", lambda tally: tally.sums.requests)
    yield lines.number("answered", lambda tally: tally.answered)
    yield lines.share("answered without a call", Tally.hit_rate)
    for layer in LAYERS:
        yield lines.share(f"  {SAVING_NAMES[layer]}", partial(Tally.hit_rate, layer=layer))


def _tokens(lines: _Lines) -> Iterator[_Line]:
    yield lines.number("tokens delivered, input", lambda tally: tally.sums.input_tokens)
    yield lines.number("tokens delivered, output", lambda tally: tally.sums.output_tokens)
    yield lines.number("tokens billed, input", lambda tally: tally.sums.billed_input_tokens)
    yield lines.number("  of these from the prompt cache", lambda tally: tally.sums.billed_cached_tokens)
    yield lines.number("tokens billed, output", lambda tally: tally.sums.billed_output_tokens)


def _money(lines: _Lines) -> Iterator[_Line]:
    yield lines.amount("spent", lambda tally: tally.sums.spent_nanousd)
    for layer in SAVINGS:
        yield lines.amount(f"saved: {SAVING_NAMES[layer]}", partial(Tally.saved_by, layer=layer))
    yield lines.amount("less: audits", lambda tally: tally.audits_nanousd)
    yield lines.amount("net saving", lambda tally: tally.net_nanousd)


def _open(lines: _Lines) -> Iterator[_Line]:
    """What is in no amount above."""
    yield lines.number("requests and calls without a price", lambda tally: tally.sums.unpriced)
    yield lines.number("calls cut off before their usage", lambda tally: tally.sums.unsettled)
    yield lines.amount("  what those may have cost", lambda tally: tally.sums.unsettled_nanousd)

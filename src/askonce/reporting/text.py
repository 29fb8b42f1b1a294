"""A report as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from askonce.reporting import tables, wording
from askonce.reporting.notes import cautions, notes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from askonce.reporting.figures import Figures
    from askonce.reporting.suggestions import Suggestion
    from askonce.reporting.tables import Table

__all__ = ["drawn", "inert", "write_text"]

_MOST_ROWS: Final = 30
_MOST_QUESTIONS: Final = 10


def write_text(
    console: Console, figures: Figures, suggestions: Sequence[Suggestion], prices_as_of: str
) -> None:
    """Prints everything; strangers' texts are never taken for markup."""
    console.print(Text(f"askonce report, {wording.spell(figures.terms.span)}", style="bold"))
    for name, value in figures.terms.where.items():
        console.print(inert(f"only {name} {value}"))
    for caution in cautions(figures):
        console.print(inert(f"! {caution}"))
    for table in _tables(figures):
        console.print()
        console.print(drawn(table))
    if suggestions:
        console.print()
        console.print(Text("Suggestions", style="bold"))
    for one in suggestions:
        console.print(_suggestion(one))
    console.print()
    for note in notes(figures, prices_as_of):
        console.print(Text(f"* {note}", style="dim"))


def _tables(figures: Figures) -> Iterator[Table]:
    yield tables.totals(figures)
    if figures.terms.by:
        yield tables.rows(figures, _MOST_ROWS)
    if figures.speeds:
        yield tables.speeds(figures)
    if figures.qualities:
        yield tables.qualities(figures)
    if figures.questions:
        yield tables.questions(figures, _MOST_QUESTIONS)


def _suggestion(one: Suggestion) -> Text:
    text = inert(f"- {one.subject}: {one.finding} {one.advice}")
    if one.assumes:
        text.append(f" Assumes {one.assumes}.", style="dim")
    return text


def inert(words: str) -> Text:
    """Words that are neither markup nor what a terminal obeys."""
    return Text(wording.plain(words))


def drawn(table: Table) -> RichTable:
    """A table as wide as the terminal allows."""
    grid = RichTable(
        title=Text(table.title, style="bold"), title_justify="left", header_style="dim", box=box.SIMPLE_HEAD
    )
    for name in table.texts:
        grid.add_column(Text(name), overflow="fold")
    for name in table.numbers:
        grid.add_column(Text(name), justify="right", overflow="fold")
    for number, row in enumerate(table.rows):
        if number in table.rules:
            grid.add_section()
        grid.add_row(*map(inert, row))
    return grid

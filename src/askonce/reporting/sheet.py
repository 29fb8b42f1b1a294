"""What is reported, as one HTML page that needs nothing else: no script, no picture, no address; needs the extra `report`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from askonce.reporting import wording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.reporting.suggestion import Suggestion
    from askonce.reporting.tables import Table

__all__ = ["Card", "Picture", "Sheet", "as_page"]


class Card(NamedTuple):
    """One of the figures that stand on top."""

    name: str
    value: str
    more: str


class Picture(NamedTuple):
    """A plot (`plots` draws them) with its words, and the table that says the same, to be opened or open."""

    title: str
    says: str
    svg: str
    table: Table
    opened: bool = False


class Sheet(NamedTuple):
    """A page's content, from top to bottom.

    Attributes:
        title: In a browser's tab.
        heading: What it says, in a few words.
        lines: Of which time and whom it is.
        cards: What matters most.
        cautions: What has to be known before amounts are read.
        suggestions: What to change.
        pictures: Plots.
        tables: Everything else in numbers.
        notes_heading: What the notes are about.
        notes: How to read it.
    """

    title: str
    heading: str
    lines: Sequence[str]
    cards: Sequence[Card]
    cautions: Sequence[str]
    suggestions: Sequence[Suggestion]
    pictures: Sequence[Picture]
    tables: Sequence[Table]
    notes_heading: str
    notes: Sequence[str]


def as_page(sheet: Sheet) -> str:
    """The page, light or dark as the reader's system is. Strangers' texts are escaped wherever they stand."""
    environment = Environment(
        loader=PackageLoader("askonce.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["coded"] = _coded
    environment.filters["drawn"] = Markup  # our own drawing, whose words its library escapes
    return environment.get_template("page.html").render(sheet=sheet)


def _plain(value: object) -> object:
    """What stands for a value: strangers' texts without what nobody can see."""
    return wording.plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _coded(text: str) -> Markup:
    """What stands between backticks as code; everything is escaped first."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(wording.plain(text)))))  # noqa: S704 - escaped

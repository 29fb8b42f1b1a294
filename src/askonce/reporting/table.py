"""A report as CSV: one row for each key, with all sums."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

from askonce.ports import Sums
from askonce.reporting.figures import OUTCOMES
from askonce.reporting.wording import named, usd

if TYPE_CHECKING:
    from askonce.reporting.figures import Figures, Tally

__all__ = ["as_csv"]

_MONEY: Final = tuple(name for name in Sums._fields if name.endswith("_nanousd"))
_FORMULA: Final = ("=", "+", "-", "@")


def as_csv(figures: Figures) -> str:
    """Rows of the key's columns, `since` and `until` (UTC), requests by outcome, and every sum; a header first.

    Money stands twice: exactly, as an integer of nano-dollars (`_nanousd`), and as a decimal of dollars (`_usd`).
    Without columns to keep rows by there is one row. Texts that a spreadsheet would take for a formula begin with an
    apostrophe.
    """
    outcomes = [name.replace("-", "_") for name in OUTCOMES]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        [
            *figures.terms.by,
            "since_hour",
            "until_hour",
            *(f"requests_{name}" for name in outcomes),
            *Sums._fields,
            "saved_nanousd",
            "audits_nanousd",
            "net_nanousd",
            *(name.replace("_nanousd", "_usd") for name in _MONEY),
            "saved_usd",
            "audits_usd",
            "net_usd",
        ]
    )
    for key, tally in figures.rows:
        cells = [_cell(named(column, value)) for column, value in zip(figures.terms.by, key, strict=True)]
        writer.writerow([*cells, *figures.terms.span, *_numbers(tally)])
    return file.getvalue()


def _numbers(tally: Tally) -> list[str | int]:
    totals = [tally.sums.saved_nanousd, tally.audits_nanousd, tally.net_nanousd]
    return [
        *(tally.requests(name) for name in OUTCOMES),
        *tally.sums,
        *totals,
        *(usd(getattr(tally.sums, name)) for name in _MONEY),
        *map(usd, totals),
    ]


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text

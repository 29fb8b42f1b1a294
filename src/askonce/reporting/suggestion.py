"""What a suggestion is, and how much has to have happened for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from askonce.reporting.figures import Tally

__all__ = ["FEWEST", "NOTABLE", "Suggestion", "price"]

FEWEST: Final = 100
"""Requests, calls or decisions below which nothing is said."""
NOTABLE: Final = 0.05
"""A share below that isn't worth a change."""


class Suggestion(NamedTuple):
    """One thing to change or to look into.

    Attributes:
        code: What kind it is.
        subject: The feature or the model that it is about.
        finding: What the figures show, in a sentence.
        advice: What to do, in a sentence.
        assumes: What has to be true for the finding's estimate to hold; "" where nothing is estimated.
        worth_nanousd: What it would have saved in this span, an estimate; None where that can't be said.
    """

    code: str
    subject: str
    finding: str
    advice: str
    assumes: str = ""
    worth_nanousd: int | None = None


def price(tally: Tally, requests: int) -> int | None:
    """What so many requests cost at the mean of the feature's calls, unpriced ones at nothing; None without any."""
    asked = [tally.of(outcome) for outcome in ("fresh", "joined")]
    calls, spent = sum(one.calls for one in asked), sum(one.spent_nanousd for one in asked)
    return requests * spent // calls if calls and spent else None

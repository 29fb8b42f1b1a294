"""Numbers, times and columns as people read them, the same in every form of a report."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from askonce.matching.bounds import Interval
    from askonce.ports import Span

__all__ = [
    "NOTHING",
    "OUTCOME_NAMES",
    "SAVING_NAMES",
    "change",
    "count",
    "day",
    "dollars",
    "moment",
    "named",
    "plain",
    "points",
    "question",
    "rate",
    "seconds",
    "share",
    "short",
    "spell",
    "usd",
]

SAVING_NAMES: Final = {
    "exact": "exact cache",
    "inflight": "in flight",
    "semantic": "semantic cache",
    "prompt_cache": "prompt cache",
    "batch": "batch price",
}
OUTCOME_NAMES: Final = {
    "exact": "exact",
    "joined": "in flight",
    "semantic": "semantic",
    "semantic-joined": "semantic, in flight",
    "fresh": "fresh",
    "bypass": "bypass",
    "refused": "refused",
}
NOTHING: Final = "\N{EN DASH}"
"""Where there is no number."""
_NANO: Final = 1_000_000_000
_CENT: Final = _NANO // 100
_LONGEST: Final = 160
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def usd(nanousd: int) -> str:
    """Dollars with all nine digits, exactly."""
    whole, part = divmod(abs(nanousd), _NANO)
    return f"{'-' if nanousd < 0 else ''}{whole}.{part:09d}"


def dollars(nanousd: int) -> str:
    """Dollars to the cent, smaller amounts to two digits that say something."""
    sign, amount = "-" if nanousd < 0 else "", abs(nanousd)
    if amount >= 10 * _CENT or not amount:
        return f"{sign}${amount / _NANO:,.2f}"
    digits = max(2, 1 - math.floor(math.log10(amount / _NANO)))
    return f"{sign}${amount / _NANO:.{digits}f}"


def count(number: int) -> str:
    """A number with its thousands apart."""
    return f"{number:,}"


def share(value: float | None) -> str:
    """A share in per cent; a dash where there is nothing to have a share of."""
    return NOTHING if value is None else f"{value:.1%}"


def rate(value: Interval) -> str:
    """A rate with its bounds."""
    return f"{value.estimate:.2%} ({value.low:.2%} to {value.high:.2%})"


def seconds(value: float) -> str:
    """Two or three digits and the unit that suits them."""
    if math.isnan(value):
        return NOTHING
    for unit, factor in (("µs", 1e6), ("ms", 1e3)):
        if value * factor < 999.5:  # noqa: PLR2004 - more than three digits
            return f"{value * factor:.3g} {unit}"
    return f"{value:,.3g} s" if value < 999.5 else f"{value:,.0f} s"  # noqa: PLR2004


def change(now: float | None, before: float | None) -> str:
    """By how much something grew; nothing where it can't be said."""
    if now is None or not before:
        return ""
    return f"{(now - before) / abs(before):+.1%}"


def points(now: float | None, before: float | None) -> str:
    """By how many percentage points a share grew; nothing where it can't be said."""
    return "" if now is None or before is None else f"{100 * (now - before):+.1f} points"


def moment(hour: int) -> str:
    """An hour since 1970, in UTC."""
    return f"{_EPOCH + timedelta(hours=hour):%Y-%m-%d %H:%M}"


def day(number: int) -> str:
    """A day since 1970, in UTC."""
    return f"{_EPOCH + timedelta(days=number):%Y-%m-%d}"


def spell(span: Span) -> str:
    """From when to when, and how long that is."""
    hours = span.until_hour - span.since_hour
    length = f"{hours // 24} days" if hours % 24 == 0 and hours > 24 else f"{hours} hours"  # noqa: PLR2004
    return f"{moment(span.since_hour)} to {moment(span.until_hour)} UTC ({length})"


def named(column: str, value: str | int) -> str:
    """A row's key."""
    return day(value) if column == "day" and isinstance(value, int) else plain(str(value))


def plain(text: str) -> str:
    """A stranger's text on one line: no control characters, which terminals obey, and nothing that turns text around."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def short(text: str, longest: int) -> str:
    """A stranger's text on one line of at most so many characters."""
    line = plain(text)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def question(text: str | None, key: bytes) -> str:
    """A question, shortened; where its text isn't kept, the start of its key."""
    if text is None:
        return f"#{key.hex()[:12]}"
    return short(" ".join(plain(text).split()), _LONGEST)

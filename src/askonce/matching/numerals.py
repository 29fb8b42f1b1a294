"""Numbers in digits and in words, written one way: `1,000`, `1k` and `a thousand` are `1000`; `3pm` is `15:00`."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from askonce.matching.lexicon.quantities import CARDINALS, MULTIPLIERS, ORDINALS, ROMANS, UNITS

__all__ = ["NUMERIC_WORDS", "Spoken", "singular_name", "spoken_number", "written_number"]

_NUMBER: Final = re.compile(r"(-?)(\d+(?:[.,:/]\d+)*|\.\d+)([^\W\d_]*)$")
_THOUSANDS: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?$")
_PLAIN: Final = re.compile(r"\d{1,15}(?:\.\d{1,15})?$")
_LONGEST_VALUE: Final = 20  # longer digit strings are identifiers, not quantities
_TENS: Final = frozenset(str(tens) for tens in range(20, 100, 10))
_ONES: Final = range(1, 10)

NUMERIC_WORDS: Final = frozenset((*CARDINALS, *MULTIPLIERS, *ORDINALS, "am", "pm", "noon", "midnight"))
"""Words that may be or belong to a number."""


class Spoken(NamedTuple):
    """A number in words; `joins` says that it includes the number before it (`twenty` + `five`)."""

    value: str
    joins: bool


def singular_name(word: str) -> str:
    """A name, unit or currency in the singular."""
    return {"feet": "foot", "inches": "inch", "centuries": "century"}.get(word) or word.removesuffix("s")


def _plain(digits: str) -> str:
    """Digits without thousands separators and trailing zeros; versions, times and dates stay as they are."""
    if _THOUSANDS.match(digits):
        digits = digits.replace(",", "")
    if digits.count(".") == 1 and digits.replace(".", "").isdecimal():
        digits = digits.rstrip("0").rstrip(".")
        return digits if digits[:1] not in {"", "."} else f"0{digits}"
    if digits.isdecimal() and len(digits) < _LONGEST_VALUE and not digits.startswith("0"):
        return str(int(digits))
    return digits


def _clock(digits: str, half: str) -> str:
    """`3` or `3:30` and `am` or `pm` as a 24-hour time."""
    hour, _, minute = digits.partition(":")
    if not _PLAIN.match(hour) or "." in hour:
        return digits + half
    return f"{int(hour) % 12 + (12 if half == 'pm' else 0)}:{minute or '00'}"


def _times(value: str, factor: int) -> str:
    return f"{float(value) * factor:.10g}" if _PLAIN.match(value) else f"{value}*{factor}"


def written_number(text: str) -> tuple[str, str]:
    """A number in digits with what is attached to it, as (value, unit); the unit is "" where there is none."""
    match = _NUMBER.match(text)
    if match is None:
        return text, ""
    sign, digits, suffix = match.groups()
    value = sign + _plain(digits)
    if suffix in {"am", "pm"}:
        return _clock(digits, suffix), ""
    if suffix in MULTIPLIERS:
        return _times(value, MULTIPLIERS[suffix]), ""
    if suffix in UNITS:
        return value, UNITS[suffix]
    return (value if suffix in {"", "st", "nd", "rd", "th"} else text), ""


def spoken_number(word: str, last: str, previous: str) -> Spoken | None:
    """A number in words.

    Args:
        word: A numeric word in lower case, or a Roman numeral in capitals.
        last: Value of the number right before it, "" where there is none.
        previous: The word right before it.
    """
    if word in ROMANS:
        return Spoken(str(ROMANS[word]), joins=False)
    if word in CARDINALS:
        value = CARDINALS[word]
        tens = last in _TENS and previous in CARDINALS and value in _ONES
        return Spoken(str(int(last) + value if tens else value), joins=tens)
    if word in MULTIPLIERS:
        counted = bool(last) or previous in {"a", "an"}
        return Spoken(_times(last or "1", MULTIPLIERS[word]), joins=bool(last)) if counted else None
    if word in {"am", "pm"}:
        return Spoken(_clock(last, word), joins=True) if last else None
    if word in {"noon", "midnight"}:
        return Spoken("12:00" if word == "noon" else "0:00", joins=False)
    unit_of_time = word == "second" and bool(last)
    return Spoken(str(ORDINALS[word]), joins=False) if word in ORDINALS and not unit_of_time else None

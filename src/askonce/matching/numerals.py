"""Numbers in digits and in words, written one way: `1,000`, `1k` and `a thousand` are `1000`; `3pm` is `15:00`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.matching.lexicon.quantities import CARDINALS, MULTIPLIERS, ORDINALS, ROMANS, UNITS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "NUMERIC_WORDS",
    "Spoken",
    "iso_date",
    "singular_name",
    "spoken_cardinal",
    "spoken_number",
    "written_number",
]

_NUMBER: Final = re.compile(r"(-?)(\d+(?:[.,:/]\d+)*|\.\d+)([^\W\d_]*)$")
_IRREGULAR_PLURALS: Final = {"feet": "foot", "inches": "inch", "centuries": "century"}
_ISO_DATE: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})$")
_THOUSANDS: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?$")
_PLAIN: Final = re.compile(r"\d{1,15}(?:\.\d{1,15})?$")
_LONGEST_VALUE: Final = 20  # longer digit strings are identifiers, not quantities
_TENS: Final = 10
_TWENTY: Final = 20
_HUNDRED: Final = 100
_CENTURIES: Final = range(15, 21)  # `fifteen` to `twenty`: the first half of a year said in two

NUMERIC_WORDS: Final = frozenset(
    (*CARDINALS, *MULTIPLIERS, *ORDINALS, "am", "pm", "noon", "midnight", "half")
)
"""Words that may be or belong to a number."""


class Spoken(NamedTuple):
    """A number in words; `joins` says that it includes the number before it (`5` + `million`)."""

    value: str
    joins: bool


def singular_name(word: str) -> str:
    """A name, unit or currency in the singular."""
    return _IRREGULAR_PLURALS.get(word) or word.removesuffix("s")


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


def iso_date(text: str) -> tuple[int, int, int] | None:
    """Year, month and day of `2024-07-04`; None for anything else."""
    match = _ISO_DATE.match(text)
    if match is None:
        return None
    year, month, day = (int(part) for part in match.groups())
    return (year, month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None  # noqa: PLR2004 - a calendar


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


def spoken_cardinal(words: Sequence[str], start: int) -> tuple[str, int]:
    """The number in words that begins at `start`, as (value, how many words it takes); ("", 0) where there is none.

    `two hundred and fifty`, `twenty-one thousand`, `nineteen eighty four`, `three point five`, `twenty first`, and
    `thousand` behind an article. `words` ends with two breaks (`.`).
    """
    value, position = _cardinal(words, start)
    if position == start:
        return "", 0
    if position == start + 1 and value in _CENTURIES:
        rest, end = _cardinal(words, position)
        if _TENS <= rest < _HUNDRED:
            return str(value * _HUNDRED + rest), end - start
    decimals = ""
    end = position + 1
    while words[position] == "point" and CARDINALS.get(words[end], _TENS) < _TENS:
        decimals += str(CARDINALS[words[end]])
        end += 1
    if decimals:
        return _plain(f"{value}.{decimals}"), end - start
    return str(value), position - start


def _counts(words: Sequence[str], position: int) -> bool:
    """`twenty second of May` is an ordinal, `twenty second timer` a time."""
    return words[position] != "second" or words[position + 1] == "of"


def _cardinal(words: Sequence[str], start: int) -> tuple[int, int]:
    """Value and end of the words from `start` that make one cardinal: each adds less than the one before leaves room for."""
    total = group = 0
    room = ceiling = MULTIPLIERS["trillion"] * 1_000
    position = start
    while True:
        word = words[position]
        if word in CARDINALS and CARDINALS[word] < room:
            group += CARDINALS[word]
            room = _TENS if CARDINALS[word] >= _TWENTY else 0
        elif MULTIPLIERS.get(word, ceiling) < ceiling and (
            position == start or 0 < group < _HUNDRED or (group and MULTIPLIERS[word] > _HUNDRED)
        ):
            factor = MULTIPLIERS[word]
            group = group or 1
            if factor <= _HUNDRED:
                group, room = group * factor, factor if factor == _HUNDRED else 0
            else:
                total, group, room, ceiling = total + group * factor, 0, 1_000, factor
        elif room == _TENS and ORDINALS.get(word, _TENS) < _TENS and _counts(words, position):
            return total + group + ORDINALS[word], position + 1
        elif not (
            word == "and"
            and words[position - 1] in MULTIPLIERS
            and words[position + 1] in CARDINALS
            and position > start
        ):
            return total + group, position
        position += 1


def spoken_number(word: str, last: str, previous: str) -> Spoken | None:
    """A number in one word other than a cardinal: numeral, multiplier, ordinal or time of day.

    Args:
        word: A numeric word in lower case, or a Roman numeral in capitals.
        last: Value of the number right before it, "" where there is none.
        previous: The word right before it.
    """
    if word in ROMANS:
        return Spoken(str(ROMANS[word]), joins=False)
    if word in MULTIPLIERS:
        counted = bool(last) or previous in {"a", "an"}
        return Spoken(_times(last or "1", MULTIPLIERS[word]), joins=bool(last)) if counted else None
    if word in {"am", "pm"}:
        return Spoken(_clock(last, word), joins=True) if last else None
    if word == "half":
        return Spoken("1/2", joins=False)
    if word in {"noon", "midnight"}:
        return Spoken("12:00" if word == "noon" else "0:00", joins=False)
    unit_of_time = word == "second" and bool(last)
    return Spoken(str(ORDINALS[word]), joins=False) if word in ORDINALS and not unit_of_time else None

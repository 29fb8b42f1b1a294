"""Numbers in words, units of measure and currencies."""

from __future__ import annotations

from typing import Final

from askonce.matching.lexicon import listed_in_order

__all__ = [
    "BOUNDS",
    "BOUNDS_BEHIND",
    "CARDINALS",
    "CURRENCIES",
    "MULTIPLIERS",
    "ORDINALS",
    "QUANTIFIERS",
    "ROMANS",
    "UNITS",
]

CARDINALS: Final = {
    word: value
    for value, word in enumerate(
        listed_in_order(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
            " seventeen eighteen nineteen"
        )
    )
} | {
    word: 10 * ten
    for ten, word in enumerate(listed_in_order("twenty thirty forty fifty sixty seventy eighty ninety"), 2)
}
"""Value of a number word below a hundred."""

MULTIPLIERS: Final = {
    "hundred": 100,
    "dozen": 12,
    "thousand": 1_000,
    "k": 1_000,
    "grand": 1_000,
    "million": 1_000_000,
    "mn": 1_000_000,
    "billion": 1_000_000_000,
    "bn": 1_000_000_000,
    "trillion": 1_000_000_000_000,
    "lakh": 100_000,
    "crore": 10_000_000,
}
"""Words that multiply the number before them."""

ORDINALS: Final = {
    word: value
    for value, word in enumerate(
        listed_in_order(
            "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
            " fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
        ),
        start=1,
    )
}
"""Value of an ordinal word."""

ROMANS: Final = {
    numeral: value
    for value, numeral in enumerate(
        listed_in_order("I II III IV V VI VII VIII IX X XI XII XIII XIV XV XVI XVII XVIII XIX XX"), start=1
    )
    if len(numeral) > 1
}
"""Roman numerals in capitals that aren't single letters."""

_UNITS: Final = """
kilometer km kilometre kms
meter metre
centimeter cm centimetre cms
millimeter mm millimetre
mile mi
mph
kph kmh
foot ft feet
inch inches
yard yd
kilogram kg kilo kgs kilogramme
gram g gramme
milligram mg
pound lb lbs
ounce oz
stone
ton tonne
liter litre l
milliliter ml millilitre
gallon gal
pint
quart
cup
tablespoon tbsp
teaspoon tsp
second sec secs
millisecond ms
minute min mins
hour hr hrs h
day
night
week wk
fortnight
month
year yr yrs
decade
century
celsius c centigrade
fahrenheit f
kelvin
degree
byte
kilobyte kb
megabyte mb
gigabyte gb gig
terabyte tb
bit
kbps
mbps
gbps
hertz hz
megahertz mhz
gigahertz ghz
watt w
kilowatt kw
kwh
volt v
amp
joule
calorie cal
kcal
acre
hectare
pixel px
percent pct percentage
am
pm
bc
ad
token
"""
UNITS: Final = {alias: line.split()[0] for line in _UNITS.strip().splitlines() for alias in line.split()}
"""The unit that stands for its spellings; single letters count only behind a number."""

CURRENCIES: Final = {
    "$": "dollar",
    "usd": "dollar",
    "buck": "dollar",
    "€": "euro",
    "eur": "euro",
    "£": "gbp",
    "quid": "gbp",
    "sterling": "gbp",
    "¥": "yen",
    "jpy": "yen",
    "₹": "rupee",
    "inr": "rupee",
    "₿": "bitcoin",
    "btc": "bitcoin",
    "eth": "ethereum",
    "cent": "cent",
    "dollar": "dollar",
    "euro": "euro",
    "gbp": "gbp",
    "yen": "yen",
    "rupee": "rupee",
    "cad": "cad",
    "aud": "aud",
    "chf": "chf",
    "cny": "cny",
}
"""The currency that stands for its signs and spellings."""

QUANTIFIERS: Final = {
    word: quantity
    for quantity, words in (
        ("all", "all every each everyone everybody everything entire whole"),
        ("some", "some several someone somebody something"),
        ("most", "most majority"),
        ("few", "few fewer fewest"),
        ("both", "both"),
        ("either", "either"),
        ("neither", "neither"),
        ("only", "only solely"),
    )
    for word in words.split()
}
"""Of how many a word speaks. Negative ones are negators."""


def _phrases(lines: str) -> dict[tuple[str, ...], str]:
    return {
        tuple(phrase.split()): sign
        for sign, phrases in (line.split(": ") for line in lines.strip().splitlines())
        for phrase in phrases.split("/")
    }


BOUNDS: Final = _phrases("""
≥: at least/no less than/not less than/no fewer than/minimum of/minimum/from at least
≤: at most/no more than/not more than/up to/maximum of/maximum/at the most
>: more than/over/above/greater than/longer than/older than/larger than/higher than/exceeding
<: less than/fewer than/under/below/smaller than/shorter than/younger than/lower than
""")
"""What a phrase before a number makes of it."""

BOUNDS_BEHIND: Final = _phrases("""
≥: or more/or above/or older/or higher/or longer/at least
≤: or less/or fewer/or below/or younger/or lower/at most/or shorter
""")
"""What a phrase behind a number, or behind its unit, makes of it."""

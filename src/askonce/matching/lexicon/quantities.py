"""Numbers in words, units of measure and currencies."""

from __future__ import annotations

from typing import Final

from askonce.matching.lexicon import listed_in_order

__all__ = ["CARDINALS", "CURRENCIES", "MULTIPLIERS", "ORDINALS", "ROMANS", "UNITS"]

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

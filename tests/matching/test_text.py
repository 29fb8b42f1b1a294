"""What counts as the same words."""

from __future__ import annotations

import pytest

from askonce.matching.analysis import analyse
from askonce.matching.words import key_of


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("What's the price of milk?", "what is the price of milk"),
        ("Hi, could you please tell me how to reset my PIN? Thanks!", "How do I reset my PIN?"),
        ("can\u2019t log in", "cannot log in"),
        ("HOW   do I\npay", "how do i pay"),
        ("how do I switch off the tv", "How can I turn off the television?"),
    ],
)
def test_case_spacing_politeness_and_equivalent_phrases_vanish(left: str, right: str) -> None:
    """The normal forms of such texts are equal."""
    assert analyse(left).normal == analyse(right).normal


@pytest.mark.parametrize(
    ("words", "same"),
    [
        ("charge charges charged charging", True),
        ("cancel cancelled canceled cancelling cancellation", True),
        ("verify verified verifies verification", True),
        ("buy bought buys purchase purchased", True),
        ("child children kids", True),
        ("make making made create", True),
        ("plan plane", False),
        ("university universe", False),
        ("employer employee", False),
        ("sender send", False),
        ("transfer transaction", False),
    ],
)
def test_inflections_share_a_key_and_other_words_do_not(words: str, same: bool) -> None:  # noqa: FBT001 - a table
    """Endings and families become one, relatives in spelling alone stay apart."""
    assert (len({key_of(word) for word in words.split()}) == 1) is same


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("twenty five apples", "#25"),
        ("two hundred apples", "#200"),
        ("1,000 apples", "#1000"),
        ("a thousand apples", "#1000"),
        ("5k apples", "#5000"),
        ("1.50 apples", "#1.5"),
        ("the third apple", "#3"),
        ("3rd apple", "#3"),
        ("call at 3 pm", "#15:00"),
        ("call at 3:30 a.m. today", "#3:30"),
        ("call at noon", "#12:00"),
        ("python 3.11.2 release", "#3.11.2"),
        ("World War II", "#2"),
        ("what is -5 squared", "#-5"),
        ("two hundred and fifty apples", "#250"),
        ("a thousand five hundred apples", "#1500"),
        ("fifteen hundred apples", "#1500"),
        ("two million three hundred thousand and five apples", "#2300005"),
        ("born in nineteen eighty four", "#1984"),
        ("in twenty twenty four", "#2024"),
        ("three point one four times", "#3.14"),
        ("the twenty-first apple", "#21"),
        ("two dozen apples", "#24"),
        ("half of the apples", "#1/2"),
        ("2.5 million apples", "#2500000"),
        ("wake me at seven am", "#7:00"),
        ("world war ii", "#2"),
    ],
)
def test_numbers_have_one_way_of_being_written(text: str, key: str) -> None:
    """Digits, words, ordinals, clock times, versions and Roman numerals."""
    assert key in [term.key for term in analyse(text).terms]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("turn the lights off in the hall", "turn off the lights in the hall"),
        ("the capital of France", "France's capital"),
        ("on 10 March 1957", "on March 10, 1957"),
        ("borders of Spain and Italy", "borders of Italy and Spain"),
        ("send $5 now", "send 5 dollars now"),
        ("send USD 5 now", "send 5 dollars now"),
        ("open on 2024-07-04", "open on July 4th, 2024"),
        ("open on the 4th of July 2024", "open on 4 July 2024"),
        ("it is 20°C outside today", "it is 20 degrees Celsius outside today"),
        ("60 miles per hour", "60 mph"),
    ],
)
def test_equivalent_arrangements_have_the_same_terms(left: str, right: str) -> None:
    """Particles, possessives, dates, enumerations and currency signs."""
    assert [term.key for term in analyse(left).terms] == [term.key for term in analyse(right).terms]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("how do I pay my bill", "english"),
        ("¿Dónde está el banco?", "spanish"),
        ("wie kann ich mit der Karte bezahlen", "german"),
        ("Как открыть счёт", "cyrillic"),
        ("東京の天気", "han"),
        ("what does sí mean", "english"),
    ],
)
def test_languages_are_told_by_script_or_function_words(text: str, language: str) -> None:
    """One borrowed word doesn't make a text foreign."""
    assert analyse(text).language == language


@pytest.mark.parametrize("text", ["one two three", "ten twenty", "twenty ten eleven", "seven and eight"])
def test_numbers_said_in_a_row_stay_apart(text: str) -> None:
    """What doesn't make one number is several."""
    assert len([term for term in analyse(text).terms if term.key.startswith("#")]) > 1


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Translate to French: good night", ("good night",)),
        ("Classify the tone:\nI like it.\nI do not.", ("I like it", "I do not")),
        ("I like it.\nClassify the tone.", ("I like it",)),
        ("Hi Bob,\nhow do I pay?\nThanks!", ()),
        ("Question: how do I pay?", ()),
        ("the shop opens at 9: what then", ()),
        ("She had one wish: to fly higher than all", ()),
        ("x = {};\nreturn x;", ("x = {}; return x;",)),
    ],
)
def test_material_is_told_from_the_question(text: str, pieces: tuple[str, ...]) -> None:
    """What an instruction works on, wherever it stands; greetings, labels and prose are no material."""
    assert analyse(text).payload == pieces

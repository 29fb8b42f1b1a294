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

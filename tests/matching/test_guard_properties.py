"""What every guard, objection and signal promises, whatever the two texts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.matching.analysis import analyse
from askonce.matching.guards import GUARDS, first_veto, pair_of
from askonce.matching.objections import objections
from askonce.matching.signals import signals
from askonce.matching.vocabulary import Vocabulary

if TYPE_CHECKING:
    from askonce.matching.pair import Pair

_OPENINGS = [
    "how do I",
    "where can I",
    "why did Ann",
    "when does Bob",
    "can the tenant",
    "who may",
    "which people",
]
_VERBS = [
    "renew",
    "send",
    "pay",
    "cancel",
    "compare",
    "paint",
    "drop off",
    "turn on",
    "translate",
    "not lose",
]
_THINGS = [
    "the passport",
    "two hundred and fifty dollars",
    "5 km of cable",
    "all the photos",
    "at least three forms",
    "World War II books",
    "Toyota parts",
    "the EU visa",
    "a table for 4 people",
    '"open sesame"',
    "15% of the fee",
    "my blue bicycle",
]
_PLACES = [
    "",
    "from Rome to Oslo",
    "before 3 pm on 4 July 2024",
    "after the exam",
    "in Berlin, Germany",
    "for her and him",
    "and then the rent or the gas bill",
    "to ann@corp.example",
    "without a card",
    "with git reset --hard",
]
_SENTENCES = st.builds(
    lambda *parts: " ".join([part for part in parts if part]),
    st.sampled_from(_OPENINGS),
    st.sampled_from(_VERBS),
    st.sampled_from(_THINGS),
    st.sampled_from(_PLACES),
)
_WORDS = st.sampled_from(
    sorted({word for part in (*_OPENINGS, *_VERBS, *_THINGS, *_PLACES) for word in part.split()})
)
_TEXTS = st.one_of(
    _SENTENCES,
    st.lists(_WORDS, max_size=12).map(" ".join),
    st.text(alphabet="ab A1.,:;?!'\"`-/\n°§%$€@#_(){}=<>+*日я", max_size=60),
    st.text(max_size=80),
)


def _pair(left: str, right: str) -> Pair:
    return pair_of(analyse(left), analyse(right))


@given(_TEXTS, _TEXTS)
def test_nothing_depends_on_which_question_came_first(left: str, right: str) -> None:
    """Vetoes, objections and signals are symmetric."""
    one, other = _pair(left, right), _pair(right, left)
    assert [guard(one) for guard in GUARDS] == [guard(other) for guard in GUARDS]
    assert objections(one) == objections(other)
    vocabulary = Vocabulary([left, "how do I pay"])
    assert signals(one, vocabulary) == pytest.approx(signals(other, vocabulary))


@given(_TEXTS)
def test_a_text_differs_from_itself_in_nothing(text: str) -> None:
    """No veto, no objection, and signals that say so."""
    pair = _pair(text, text)
    assert (first_veto(pair), objections(pair)) == (None, ())
    found = signals(pair, Vocabulary())
    assert (found.same, found.unmatched, found.disorder, found.content, found.grammar) == (1, 0, 0, 0, 0)


@given(_TEXTS, _TEXTS)
def test_signals_are_bounded(left: str, right: str) -> None:
    """Shares and firings in [0, 1], weights in [0, 8], never NaN."""
    found = signals(_pair(left, right), Vocabulary([left]))
    for name, value in found._asdict().items():
        assert 0.0 <= value <= (8.0 if name.startswith(("partition_", "rarity_")) else 1.0), name


@given(
    _SENTENCES,
    st.sampled_from(["", "please ", "Hi, ", "could you tell me ", "I would like to know ", "hello! "]),
    st.sampled_from(["", "?", " ?", "!", ".", " please", ", thanks", " - thanks!", ". Thank you!", "\n"]),
    st.sampled_from([" ", "  ", "\t", "\u00a0"]),
)
def test_politeness_punctuation_and_spacing_never_veto(text: str, before: str, behind: str, gap: str) -> None:
    """Whatever the question, another opening, ending or spacing leaves it the same one."""
    assert first_veto(_pair(text, before + text.replace(" ", gap) + behind)) is None


@given(_SENTENCES.filter(lambda text: '"' not in text and "--" not in text))
def test_casing_never_vetoes(text: str) -> None:
    """Shouted, in small letters or titled: without quotations and flags, case says nothing."""
    for variant in (text.upper(), text.lower(), text.capitalize(), text.title().replace("Ii", "II")):
        assert first_veto(_pair(text, variant)) is None, variant


def test_every_reason_is_documented() -> None:
    """The strings that guards and objections return are the codes of the table in the documentation."""
    root = Path(__file__).parents[2]
    documented = (root / "docs" / "semantic-matching.md").read_text("utf-8")
    sources = [
        root / "src/askonce/matching" / name
        for name in ("guards.py", "grammar_guards.py", "literal_guards.py", "objections.py")
    ]
    reasons = {
        word
        for source in sources
        for word in source.read_text("utf-8").split('"')
        if word.endswith("-differs") or word == "antonym"
    }
    assert len(reasons) > 10
    assert [reason for reason in sorted(reasons) if f"`{reason}`" not in documented] == []


_HOSTILE = [
    "a" * 4096,
    "a " * 2048,
    "." * 4096,
    '"' * 4096,
    "'a " * 1365,
    "`" * 4096,
    "a: " * 1365,
    "\n" * 4096,
    "hi\n" * 1365,
    "-" * 4096,
    "1 " * 2048,
    "1," * 2048,
    "one hundred and " * 256,
    "twenty " * 585,
    "in on " * 682,
    "of " * 1365,
    "a and " * 682,
    "a.b." * 1024,
    "@a" * 2048,
    "http://" * 585,
    "=>" * 2048,
    "{\n" * 2048,
    "please a " * 455,
    "before then than " * 240,
]


@pytest.mark.parametrize("text", _HOSTILE, ids=lambda text: repr(text[:8]))
def test_hostile_texts_cost_no_more_than_their_length(text: str) -> None:
    """Twice the text takes at most about twice the calls, whichever part of the reading it is made for."""
    half, whole = (_calls(text[: len(text) // parts]) for parts in (2, 1))
    assert whole < 2.6 * half + 400


def _calls(text: str) -> int:
    """How many functions, built-in ones included, taking a text apart and comparing it backwards calls."""
    count = 0

    def counter(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(counter)
    try:
        pair = _pair(text, text[::-1])
        first_veto(pair)
        objections(pair)
        signals(pair, Vocabulary())
    finally:
        sys.setprofile(None)
    return count

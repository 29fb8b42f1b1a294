"""Each guard and objection names its reason, and is silent on texts that merely look like its case."""

from __future__ import annotations

import pytest

from askonce.matching.analysis import analyse
from askonce.matching.guards import first_veto, pair_of
from askonce.matching.objections import objections
from matching.guard_pairs import HARMLESS, VETOED


def _veto(left: str, right: str) -> str | None:
    return first_veto(pair_of(analyse(left), analyse(right)))


def _objections(left: str, right: str) -> tuple[str, ...]:
    return objections(pair_of(analyse(left), analyse(right)))


@pytest.mark.parametrize(
    ("left", "right", "reason"),
    [
        ("what does `map` do here", "what does `filter` do here", "code-differs"),
        ("what does getUser() return", "what does getuser() return", "code-differs"),
        ('who said "be quick" first', 'who said "be slow" first', "quoted-differs"),
        ("translate: good morning", "translate: good night", "quoted-differs"),
        ("read https://a.example/x today", "read https://a.example/y today", "url-differs"),
        ("mail ann@a.example today", "mail bob@a.example today", "url-differs"),
        ("capital of Peru", "¿cuál es la capital de Peru?", "language-differs"),
        ("what is 15% of 200", "what is 15% of two hundred and ten", "number-differs"),
        ("price of 5 km of rope", "price of 5 miles of rope", "unit-differs"),
        ("is 20 dollars enough", "is 20 euros enough", "unit-differs"),
        ("what does a + b mean", "what does a * b mean", "symbol-differs"),
        ("can I use my card", "can't I use my card", "negation-differs"),
        ("how do I enable alerts", "how do I disable alerts", "antonym"),
        ("is the account active", "is the account inactive", "antonym"),
        ("wired headphones", "wireless headphones", "antonym"),
        ("capital of Austria", "capital of Australia", "entity-differs"),
        ("what did Newton find", "what did Einstein find", "entity-differs"),
        ("fly from Rome", "fly to Rome", "direction-differs"),
        (
            "translate the dog is here to italian",
            "translate a dog is here to italian",
            "slot-differs",
        ),
    ],
)
def test_a_guard_names_its_reason_both_ways(left: str, right: str, reason: str) -> None:
    """The reason codes are stable, and the order of the two texts doesn't matter."""
    assert _veto(left, right) == reason
    assert _veto(right, left) == reason


@pytest.mark.parametrize(
    ("left", "right", "reason"),
    [
        ("did Ann call Bob", "did Bob call Ann", "order-differs"),
        ("what is my name", "what is your name", "person-differs"),
        ("who is the king of Spain", "who was the king of Spain", "tense-differs"),
        ("where is the party", "when is the party", "question-differs"),
        ("can I take aspirin daily", "should I take aspirin daily", "question-differs"),
        ("is tea or coffee cheaper", "is tea and coffee cheaper", "choice-differs"),
        ("explain it to a child", "explain it to a professor", "content-word-differs"),
    ],
)
def test_an_objection_names_its_reason_both_ways(left: str, right: str, reason: str) -> None:
    """What speaks against a match without forbidding it is named all the same."""
    assert reason in _objections(left, right)
    assert _objections(left, right) == _objections(right, left)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("what is 15% of 200", "What is fifteen percent of two hundred?"),
        ("price of 5km of rope", "price of 5 kilometers of rope"),
        ("is $20 enough", "is 20 dollars enough"),
        ("why isn't my card working", "why is my card not working"),
        ("what does 'yolo' mean", "what does yolo mean"),
        ("my iPhone is slow", "my iphone is slow"),
        ("fly from Rome to Oslo", "fly to Oslo from Rome"),
        ("in 2015 how many people came", "how many people came in 2015"),
        ("how do I reset my password", "how to reset the password"),
        ("I recieved a letter", "I received a letter"),
        ("my pass word is wrong", "my password is wrong"),
    ],
)
def test_no_guard_objects_to_another_way_of_writing(left: str, right: str) -> None:
    """Look-alikes of the cases above that mean the same."""
    assert (_veto(left, right), _objections(left, right)) == (None, ())
    assert (_veto(right, left), _objections(right, left)) == (None, ())


@pytest.mark.parametrize(
    ("reason", "left", "right"), [(reason, *pair) for reason, pairs in VETOED.items() for pair in pairs]
)
def test_a_difference_that_decides_is_vetoed_both_ways(reason: str, left: str, right: str) -> None:
    """Numbers, bounds, times, names, roles, order, scope, slots and literal text."""
    assert _veto(left, right) == reason
    assert _veto(right, left) == reason


@pytest.mark.parametrize(("left", "right"), HARMLESS)
def test_a_difference_that_does_not_decide_is_not_vetoed(left: str, right: str) -> None:
    """Spelling, case, politeness, formats of dates, numbers and units, abbreviations, voice and moved clauses."""
    assert _veto(left, right) is None
    assert _veto(right, left) is None


@pytest.mark.parametrize(
    ("left", "right", "reason"),
    [
        ("how many legs does a spider have", "how many eyes does a spider have", "content-word-differs"),
        ("Did Brutus kill Caesar?", "Was Caesar killed by Brutus?", "order-differs"),
        ("Shakespeare wrote Hamlet", "Hamlet was written by Shakespeare", "order-differs"),
        ("I was billed twice", "I billed twice", "voice-differs"),
    ],
)
def test_what_only_a_verifier_can_decide_is_an_objection(left: str, right: str, reason: str) -> None:
    """Another word, another order or voice: true paraphrases have them too, so nothing is forbidden."""
    assert _veto(left, right) is None
    assert reason in _objections(left, right)

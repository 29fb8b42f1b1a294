"""What each signal tells about a pair, and what it keeps silent about."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.matching.analysis import analyse
from askonce.matching.arrangement import IN_ORDER, arrange
from askonce.matching.guards import pair_of
from askonce.matching.signals import Signals, rarity, signals
from askonce.matching.spelling import likeness
from askonce.matching.vocabulary import Vocabulary
from askonce.matching.words import key_of


def _signals(left: str, right: str, vocabulary: Vocabulary | None = None) -> Signals:
    return signals(pair_of(analyse(left), analyse(right)), vocabulary or Vocabulary())


@pytest.mark.parametrize(
    ("signal", "left", "right", "silent"),
    [
        ("content", "how do I paint a fence", "how do I paint a boat", "how do I paint a fence quickly"),
        ("unmatched", "how do I paint a fence", "how do I paint it", "how can I paint the fence"),
        ("names", "ask Ann about the boat", "ask about the boat", "ask Ann about a boat"),
        ("particles", "look the number up now", "look at the number now", "look up the number now"),
        ("inverted", "Ann met Bob at the pier", "Bob met Ann at the pier", "at the pier Ann met Bob"),
        ("exchanged", "why do cats fear dogs", "why do dogs fear cats", "why would cats fear dogs"),
        ("named_exchanged", "did Ann pay Bob", "did Bob pay Ann", "did Ann repay Bob"),
        ("roles", "a letter to Ann", "a letter from Ann", "the letter to Ann"),
        ("question", "when is the show", "why is the show", "at what time is the show"),
        ("question_gap", "how do I sell a boat", "I sell a boat", "how can I sell a boat"),
        ("choice", "is tea or milk cheaper", "is tea and milk cheaper", "is tea or milk less expensive"),
        ("tense", "will the shop open", "is the shop open", "will a shop open"),
        ("tense_gap", "was the shop open", "is the shop open", "were the shops open"),
        ("person", "where is my coat", "where is your coat", "where is the coat"),
        ("person_gap", "where is my coat", "where is the coat", "where are my coats"),
        ("voice", "I was billed today", "I billed today", "today I was billed"),
        ("grammar", "is the shop open", "has the shop to open", "is a shop open"),
        ("disorder", "red boats and old piers", "old boats and red piers", "red boats, old piers"),
    ],
)
def test_a_signal_tells_its_difference_and_no_other(signal: str, left: str, right: str, silent: str) -> None:
    """It rises for its own case, either way round, and stays nought for a look-alike."""
    assert getattr(_signals(left, right), signal) > 0
    assert getattr(_signals(right, left), signal) > 0
    assert getattr(_signals(left, silent), signal) == 0


def test_weights_follow_the_partition_and_the_language() -> None:
    """A template's words weigh nothing in its partition; common words weigh less than rare ones anywhere."""
    template = Vocabulary(f"Grade the essay about topic{number}x" for number in range(100))
    gone = _signals("Grade the essay about topic3x", "the essay about topic3x", template)
    other = _signals("Grade the essay about topic3x", "Grade the essay about topic4x", template)
    assert gone.partition_most < 0.1
    assert other.partition_most > 0.9
    assert other.partition_least > 0.9
    common, rare = (_signals("I saw it", f"I saw it {word}").rarity_most for word in ("work", "marmalade"))
    assert common < rare == 1.0
    assert rarity(key_of("works")) == rarity(key_of("work")) < rarity(key_of("marmalade"))


def test_slips_of_the_pen_look_alike_and_other_words_do_not() -> None:
    """Spelling tells a mistyped word from another one; where nothing is contested it is 1."""
    slip = _signals("where is my marmalade jar", "where is my marmelade jar")
    word = _signals("where is my marmalade jar", "where is my pickle jar")
    assert word.spelling < 0.3
    assert slip.spelling > 0.6
    assert _signals("where is my jar", "where is my jar").spelling == 1.0


@given(st.text(max_size=20), st.text(max_size=20))
def test_likeness_is_a_symmetric_share(one: str, other: str) -> None:
    """1 for equal words, within [0, 1] for all."""
    assert 0.0 <= likeness(one, other) == likeness(other, one) <= 1.0
    assert likeness(one, one) == 1.0


@pytest.mark.parametrize("size", range(6))
def test_an_arrangement_is_the_same_from_either_side(size: int) -> None:
    """Over all orders of up to five words: disorder and blocks agree with the inverse order's, and with a slow count."""
    for places in permutations(range(size)):
        inverse = sorted(range(size), key=lambda index: places[index])
        one, other = arrange(places), arrange(inverse)
        assert (one == IN_ORDER) is (places == tuple(range(size)))
        assert (one.disorder, len(one.blocks)) == (other.disorder, len(other.blocks))
        longest = max(
            (len(chosen) for chosen in _subsequences(places) if list(chosen) == sorted(chosen)), default=0
        )
        assert one.disorder == pytest.approx(1 - longest / size if size else 0.0)
        if one.exchanged is not None:
            (_, end), (start, last) = one.exchanged
            first = one.blocks[0][0]
            swapped = [
                *places[:first],
                *places[start:last],
                *places[end:start],
                *places[first:end],
                *places[last:],
            ]
            assert swapped == list(range(size))


def _subsequences(places: tuple[int, ...]) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = [()]
    for place in places:
        found += [(*chosen, place) for chosen in found]
    return found

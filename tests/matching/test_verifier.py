"""What any verdict promises, whatever the texts."""

from __future__ import annotations

import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.matching.analysis import analyse
from askonce.matching.text import MAX_CHARACTERS
from askonce.matching.lexical import Candidate, LexicalVerifier, Verdict
from askonce.matching.vocabulary import Vocabulary
from matching.traps import PARAPHRASES, TRAPS

_REAL = sorted(
    {text for table in (TRAPS, PARAPHRASES) for pairs in table.values() for pair in pairs for text in pair}
)
_WORDS = st.sampled_from(sorted({word for text in _REAL for word in text.split()}))
_TEXTS = st.one_of(st.text(max_size=120), st.sampled_from(_REAL), st.lists(_WORDS, max_size=14).map(" ".join))
_POLITE = st.sampled_from(["please", "hi,", "could you please", "can you tell me", "hello"])


def _verify(asked: str, stored: str, similarity: float = 0.95, rival: Candidate | None = None) -> Verdict:
    return LexicalVerifier().verify(asked, Candidate(stored, similarity), rival, Vocabulary())


@given(_TEXTS, _TEXTS, st.floats(allow_nan=True))
def test_nothing_raises_and_confidence_is_a_share(left: str, right: str, similarity: float) -> None:
    """Arbitrary unicode and similarities, NaN included."""
    assert 0.0 <= _verify(left, right, similarity).confidence <= 1.0


@given(_TEXTS, _TEXTS)
def test_a_verdict_does_not_depend_on_who_asked_first(left: str, right: str) -> None:
    """Symmetric in acceptance and confidence."""
    one, other = _verify(left, right), _verify(right, left)
    assert one.accepted is other.accepted
    assert abs(one.confidence - other.confidence) < 1e-9


@given(_TEXTS)
def test_a_text_equals_itself(text: str) -> None:
    """Also where it is empty, foreign or longer than anything that is compared."""
    assert _verify(text, text).accepted


@given(st.sampled_from([text for text in _REAL if text.isascii() and "`" not in text]), _POLITE)
def test_politeness_never_vetoes(text: str, opening: str) -> None:
    """An opening in front of a question leaves its normal form, and a line end its verdict, alone."""
    if ":" not in text and "\n" not in text and analyse(text).language == "english":
        assert analyse(f"{opening} {text}").normal == analyse(text).normal
        assert _verify(f"{text} ", text).accepted


def test_case_counts_only_where_it_means_something() -> None:
    """Ordinary words may be shouted; identifiers, quotations and code may not."""
    assert _verify("HOW DO I RESET MY PASSWORD", "how do i reset my password").accepted
    assert not _verify("what does getUser return", "what does getuser return").accepted
    assert not _verify('find "Error" in the log', 'find "error" in the log').accepted
    assert not _verify("what does `A` do in the loop", "what does `a` do in the loop").accepted


def test_a_low_similarity_is_refused_unread() -> None:
    """Below the floor nothing but identity is looked at."""
    assert _verify("how do I pay", "how can I pay", 0.5) == Verdict(
        accepted=False, confidence=0.0, reason="below-floor"
    )


def test_confidence_grows_with_similarity() -> None:
    """Monotone in the cosine, all else being equal."""
    pair = ("what is the price of the premium plan", "how much does the premium plan really cost me")
    confidences = [_verify(*pair, similarity).confidence for similarity in (0.75, 0.85, 0.95)]
    assert confidences == sorted(confidences)
    assert confidences[0] < confidences[-1]


def test_a_rival_that_matches_as_well_and_lies_nearer_forbids_the_match() -> None:
    """Two stored questions that both fit, with different answers: neither is served from the farther one."""
    asked, stored = "how do I delete my account", "How can I delete the account?"
    rival = Candidate("what are the steps to delete my account", 0.97)
    assert _verify(asked, stored, 0.95).accepted
    assert _verify(asked, stored, 0.95, rival).reason == "near-rival"
    assert _verify(asked, stored, 0.95, Candidate("how do I delete my photos", 0.97)).accepted


def test_very_short_texts_match_only_word_for_word() -> None:
    """One word with subject matter isn't enough evidence to add or drop anything."""
    assert _verify("What is bitcoin?", "what's a bitcoin").accepted
    assert _verify("bitcoin?", "tell me what bitcoin can do").reason == "too-short"


def test_long_texts_are_bounded_and_refused() -> None:
    """What is longer than is read never matches, and reading stays linear: the work is counted in calls."""
    long = "why is the sky blue " * 2000
    assert len(long) > MAX_CHARACTERS
    assert _verify(long, long + "now").reason == "too-long"
    short, double = (_calls("how does item seven differ " * count) for count in (100, 200))
    assert double < 2.5 * short


def _calls(text: str) -> int:
    """How many Python functions comparing a text with a rearranged one calls."""
    count = 0

    def counter(_frame: object, _event: str, _argument: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(counter)
    try:
        _verify(text, text[::-1])
    finally:
        sys.setprofile(None)
    return count


@settings(max_examples=50)
@given(st.lists(_TEXTS, max_size=30), _WORDS)
def test_word_weights_stay_between_nothing_and_everything(texts: list[str], word: str) -> None:
    """Any partition, any word."""
    assert 0.0 <= Vocabulary(texts).weight(word) <= 1.0


def test_template_words_come_to_weigh_little_and_slot_words_keep_their_weight() -> None:
    """A hundred prompts that differ in one word."""
    vocabulary = Vocabulary(f"Summarize the article about subject{number}x" for number in range(100))
    assert vocabulary.weight("articl") < 0.1
    assert vocabulary.weight("subject7x") > 0.9
    assert vocabulary.texts == 100

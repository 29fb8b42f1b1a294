"""What any judgement promises, whatever the texts."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.embedders.packaged import packaged_verifier
from askonce.matching.analysis import analyse
from askonce.matching.neighbourhood import Record
from askonce.matching.text import MAX_CHARACTERS
from askonce.matching.verifier import EVIDENCE, Asked, Candidate, Judgement
from askonce.matching.vocabulary import Vocabulary
from askonce.model import Tokens
from matching.reading import judged, probability
from matching.traps import PARAPHRASES, TRAPS

_REAL = sorted(
    {text for table in (TRAPS, PARAPHRASES) for pairs in table.values() for pair in pairs for text in pair}
)
_WORDS = st.sampled_from(sorted({word for text in _REAL for word in text.split()}))
_TEXTS = st.one_of(st.text(max_size=120), st.sampled_from(_REAL), st.lists(_WORDS, max_size=14).map(" ".join))
_POLITE = st.sampled_from(["please", "hi,", "could you please", "can you tell me", "hello"])
_RANDOM = np.random.default_rng(3)
_TOKENS = Tokens(
    _RANDOM.integers(1_000, 20_000, 12).astype(np.uint16), _RANDOM.integers(-40, 40, (12, 64)).astype(np.int8)
)


def _judge(asked: str, stored: str, similarity: float = 0.95) -> Judgement:
    """The texts as they are said; their tokens don't matter here."""
    candidate = Candidate(stored, similarity, _TOKENS, b"answer")
    return packaged_verifier().judge(Asked(asked, _TOKENS), [candidate], Vocabulary())[0]


def _place(name: str) -> int:
    return EVIDENCE.index(name)


@given(_TEXTS, _TEXTS, st.floats(-1, 1))
def test_nothing_raises_and_all_evidence_is_finite(left: str, right: str, similarity: float) -> None:
    """Arbitrary unicode."""
    judgement = _judge(left, right, similarity)
    assert judgement.evidence.shape == (len(EVIDENCE),)
    assert np.isfinite(judgement.evidence).all()
    assert 0 < packaged_verifier().calibration.probability(judgement.evidence) < 1


@given(_TEXTS, _TEXTS)
def test_a_judgement_does_not_depend_on_who_asked_first(left: str, right: str) -> None:
    """Symmetric in veto and evidence, as long as nobody else stands around."""
    one, other = _judge(left, right), _judge(right, left)
    assert bool(one.veto) is bool(other.veto)
    assert one.evidence == pytest.approx(other.evidence, abs=1e-3)


@given(_TEXTS.filter(lambda text: len(text) <= MAX_CHARACTERS))
def test_a_text_is_never_forbidden_to_match_itself(text: str) -> None:
    """Also where it is empty or foreign."""
    assert not _judge(text, text).veto


@given(st.sampled_from([text for text in _REAL if text.isascii() and "`" not in text]), _POLITE)
def test_politeness_never_vetoes(text: str, opening: str) -> None:
    """An opening in front of a question leaves its normal form, and a space behind it the veto, alone."""
    if ":" not in text and "\n" not in text and analyse(text).language == "english":
        assert analyse(f"{opening} {text}").normal == analyse(text).normal
        assert not _judge(f"{text} ", text).veto


def test_case_counts_only_where_it_means_something() -> None:
    """Ordinary words may be shouted; identifiers, quotations and code may not."""
    assert not _judge("HOW DO I RESET MY PASSWORD", "how do i reset my password").veto
    assert _judge("what does getUser return", "what does getuser return").veto == "code-differs"
    assert _judge('find "Error" in the log', 'find "error" in the log').veto == "quoted-differs"
    assert _judge("what does `A` do in the loop", "what does `a` do in the loop").veto == "code-differs"


def test_opposites_are_forbidden_however_near() -> None:
    """The field's classic: nearer than any paraphrase, and never served."""
    assert judged("how do I turn on dark mode?", "how do I turn off dark mode?")[0].veto == "antonym"


def test_paraphrases_are_likelier_than_look_alikes_that_are_nearer() -> None:
    """The asked attribute differs in a word, the paraphrase in most."""
    asked = "how can I get my money back for a cancelled flight"
    paraphrase = "how do i get a refund for a flight that was cancelled"
    look_alike = "how can I get my money back for a delayed flight"
    assert probability(asked, paraphrase) > probability(asked, look_alike)


def test_other_languages_match_only_word_for_word() -> None:
    """The pair model has learned English."""
    asked = "comment puis-je réinitialiser mon mot de passe"
    assert not _judge(asked, f"{asked} ?").veto
    assert _judge(asked, "comment faire pour réinitialiser mon mot de passe").veto


def test_a_different_answer_nearby_lowers_confidence() -> None:
    """The same candidate is worth less beside a rival, and more where others hold its answer."""
    verifier = packaged_verifier()

    def chance(*answers: bytes) -> float:
        near = [
            Candidate("how do i pay", 0.9 - 0.01 * place, _TOKENS, answer)
            for place, answer in enumerate(answers)
        ]
        first = verifier.judge(Asked("how can I pay", _TOKENS), near, Vocabulary())[0]
        return verifier.calibration.probability(first.evidence)

    assert chance(b"a", b"a", b"a", b"a") > chance(b"a", b"b", b"c", b"d")


def test_an_answer_that_was_found_wrong_is_trusted_less() -> None:
    """The answer's own record counts."""
    verifier = packaged_verifier()

    def chance(record: Record) -> float:
        near = [Candidate("how do i pay", 0.9, _TOKENS, b"a", record)]
        judgement = verifier.judge(Asked("how can I pay", _TOKENS), near, Vocabulary())[0]
        return verifier.calibration.probability(judgement.evidence)

    assert chance(Record(right=0.0, wrong=3.0)) < chance(Record())


def test_a_crowd_is_measured_whoever_stands_in_it() -> None:
    """Neighbours count for density whether they are candidates or only near."""
    verifier = packaged_verifier()
    candidate = Candidate("how do i pay", 0.9, _TOKENS, b"a")
    asked = Asked("how can I pay", _TOKENS)
    (alone,) = verifier.judge(asked, [candidate], Vocabulary())
    (crowded,) = verifier.judge(asked, [candidate], Vocabulary(), crowd=[0.95, 0.6])
    assert alone.evidence[_place("crowd_first")] == pytest.approx(0.5)
    assert crowded.evidence[_place("crowd_first")] == pytest.approx(0.95)
    assert crowded.evidence[_place("crowd_nearer")] == pytest.approx(0.1)


def test_texts_without_a_token_are_never_matched() -> None:
    """What the embedder sees nothing in, whichever side it is on."""
    nothing = Tokens(np.empty(0, np.uint16), np.empty((0, 64), np.int8))
    for asked, stored in ((nothing, _TOKENS), (_TOKENS, nothing), (nothing, nothing)):
        candidate = Candidate("\u200b", 1.0, stored, b"answer")
        (judgement,) = packaged_verifier().judge(Asked("\u200b", asked), [candidate], Vocabulary())
        assert judgement.veto == "no-words"
        assert np.isfinite(judgement.evidence).all()


def test_only_the_nearest_five_may_answer() -> None:
    """Further neighbours count for what they hold, without being read."""
    near = [
        Candidate("how do i pay", 0.95 - 0.01 * place, _TOKENS, str(place).encode()) for place in range(7)
    ]
    judged_all = packaged_verifier().judge(Asked("how can I pay", _TOKENS), near, Vocabulary())
    assert [judgement.veto for judgement in judged_all] == [""] * 5 + ["outranked"] * 2


def test_long_texts_are_refused_and_reading_stays_linear() -> None:
    """What is longer than is read never matches; the work is counted in calls."""
    long = "why is the sky blue " * 2000
    assert len(long) > MAX_CHARACTERS
    assert _judge(long, long + "now").veto == "too-long"
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
        _judge(text, text[::-1])
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

"""The trap suite: no look-alike is ever accepted, and look-alikes' true paraphrases mostly are."""

from __future__ import annotations

import pytest

from askonce.matching.lexical import Candidate, LexicalVerifier, Verdict
from askonce.matching.vocabulary import Vocabulary
from matching.traps import PARAPHRASES, TRAPS

_CASES = [(category, asked, stored) for category, pairs in TRAPS.items() for asked, stored in pairs]


def _verdict(asked: str, stored: str, similarity: float) -> Verdict:
    return LexicalVerifier().verify(asked, Candidate(stored, similarity), None, Vocabulary())


@pytest.mark.parametrize(("category", "asked", "stored"), _CASES)
def test_a_trap_is_refused_both_ways_however_similar(category: str, asked: str, stored: str) -> None:
    """Even at cosine 0.99, and whichever of the two was asked first."""
    assert not _verdict(asked, stored, 0.99).accepted, category
    assert not _verdict(stored, asked, 0.99).accepted, category


def test_a_templated_partition_does_not_loosen_the_refusals() -> None:
    """A hundred prompts of one template leave its slots as decisive as before."""
    animals = ["cat", "dog", "cow", "pig", "hen", "fox", "owl", "bat", "ant", "bee"]
    places = ["attic", "barn", "cave", "den", "field", "grove", "hall", "inn", "jungle", "kiosk"]
    prompts = [
        f"Write a product slogan about the {animal} in a {place}" for animal in animals for place in places
    ]
    vocabulary = Vocabulary(prompts)
    accepted = [
        other
        for other in prompts[1:]
        if LexicalVerifier().verify(prompts[0], Candidate(other, 0.99), None, vocabulary).accepted
    ]
    assert accepted == []


@pytest.mark.parametrize("category", list(PARAPHRASES))
def test_most_paraphrases_are_accepted_at_a_modest_similarity(category: str) -> None:
    """At cosine 0.92, three quarters in every category, so that caution isn't bought by never hitting."""
    pairs = PARAPHRASES[category]
    refused = [(*pair, _verdict(*pair, 0.92).reason) for pair in pairs if not _verdict(*pair, 0.92).accepted]
    assert len(refused) * 4 <= len(pairs), refused

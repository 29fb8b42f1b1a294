"""The trap suite itself: as large, as broad and as free of contradictions as what is measured with it assumes."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest

from matching.traps import PARAPHRASES, TEMPLATED_PROMPTS, TRAPS, Pair, read_pairs

_PAIRS = read_pairs()


def _unordered(pair: Pair) -> frozenset[str]:
    return frozenset((" ".join(pair.a.split()), " ".join(pair.b.split())))


def test_there_are_enough_pairs_of_both_kinds() -> None:
    """A percent of the traps is more than six pairs, so a rate of one percent can be told from none."""
    assert sum(len(pairs) for pairs in TRAPS.values()) >= 650
    assert sum(len(pairs) for pairs in PARAPHRASES.values()) >= 400
    assert len(TRAPS) >= 14


@pytest.mark.parametrize("category", list(TRAPS))
def test_each_category_has_both_labels_in_number(category: str) -> None:
    """A category that only refuses, or only accepts, would reward a verifier that does just that."""
    assert len(TRAPS[category]) >= 30
    assert len(PARAPHRASES[category]) >= 20


def test_every_line_is_a_labelled_pair_of_two_texts() -> None:
    """Labels are 0 or 1, and neither text is empty, padded or the other's equal."""
    for pair in _PAIRS:
        assert pair.y in {0, 1}, pair
        assert pair.a != pair.b, pair
        assert all(text and text == text.strip() for text in (pair.a, pair.b)), pair


def test_no_pair_is_there_twice_or_with_both_labels() -> None:
    """Whichever text comes first: a pair counted twice skews a rate, and one with two labels can't be right."""
    counts = Counter(_unordered(pair) for pair in _PAIRS)
    assert [sorted(texts) for texts, count in counts.items() if count > 1] == []


def test_paraphrases_do_not_make_the_texts_of_a_trap_one() -> None:
    """If a is b, and b is c, then a and c are no trap: the labels agree also through a third text."""
    parent: dict[str, str] = {}

    def root(text: str) -> str:
        while text in parent:
            text = parent[text]
        return text

    for pair in _PAIRS:
        if pair.y == 1 and root(pair.a) != root(pair.b):
            parent[root(pair.a)] = root(pair.b)
    assert [pair for pair in _PAIRS if pair.y == 0 and root(pair.a) == root(pair.b)] == []


def test_texts_vary_in_length() -> None:
    """Short questions and requests of several sentences are both there, so that neither alone is measured."""
    words = [len(text.split()) for pair in _PAIRS for text in (pair.a, pair.b)]
    assert sum(count <= 6 for count in words) >= 200
    assert sum(count >= 16 for count in words) >= 200


def test_templated_prompts_differ_only_in_their_contents() -> None:
    """Four templates of fifty prompts each share a long beginning and are all different."""
    by_template = Counter(prompt.template for prompt in TEMPLATED_PROMPTS)
    assert by_template == {"translation": 50, "extraction": 50, "classification": 50, "summary": 50}
    assert len({prompt.t for prompt in TEMPLATED_PROMPTS}) == len(TEMPLATED_PROMPTS)
    for one, other in combinations(TEMPLATED_PROMPTS, 2):
        assert (one.t[:40] == other.t[:40]) == (one.template == other.template)

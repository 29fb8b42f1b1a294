"""What is left to weigh once no guard objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.matching.guards import is_light

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.matching.guards import Pair
    from askonce.matching.terms import Term
    from askonce.matching.vocabulary import Vocabulary

__all__ = ["Features", "features_of"]

_LIGHT_SHARE: Final = 0.1


class Features(NamedTuple):
    """Evidence about one pair; symmetric in its two questions.

    Attributes:
        similarity: Cosine of the two texts.
        extra: Weight of the words that only one side has, light ones counted at a tenth.
        shared: Weight of the words that both have.
        question_gap: 0 for the same kind of question, 0.5 for `how` against `what`, 1 for a request against a question.
        tense_gap: 1 where past meets present.
        grammar_gap: Share of the words without subject matter that differ, 0 to 1.
    """

    similarity: float
    extra: float
    shared: float
    question_gap: float
    tense_gap: float
    grammar_gap: float


def _weight(terms: Sequence[Term], vocabulary: Vocabulary) -> float:
    return sum([vocabulary.weight(term.key) * (_LIGHT_SHARE if is_light(term) else 1.0) for term in terms])


def features_of(pair: Pair, similarity: float, vocabulary: Vocabulary) -> Features:
    """Measures a pair."""
    alignment, asked, stored = pair.alignment, pair.asked, pair.stored
    gap = 0.0
    if asked.grammar.question != stored.grammar.question:
        gap = 1.0 if {asked.grammar.question, stored.grammar.question} & {"", "request"} else 0.5
    words = set(asked.normal) | set(stored.normal)
    differing = set(asked.normal) ^ set(stored.normal)
    return Features(
        similarity,
        _weight(alignment.asked_only + alignment.stored_only, vocabulary),
        _weight([term for term, _ in alignment.pairs], vocabulary),
        gap,
        float(asked.grammar.tense is not stored.grammar.tense),
        len(differing) / len(words) if words else 0.0,
    )

"""What a verifier weighs once no guard objects: how much two questions differ, in which words, order and grammar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.matching import objections
from askonce.matching.lexicon.frequency import BANDS
from askonce.matching.spelling import dice, trigrams
from askonce.matching.terms import Kind, Role, is_light, is_named
from askonce.matching.words import key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.matching.grammar import Grammar
    from askonce.matching.pair import Pair
    from askonce.matching.terms import Term
    from askonce.matching.vocabulary import Vocabulary

__all__ = ["Signals", "rarity", "signals"]

_LIGHT_SHARE: Final = 0.1
_BAND_WEIGHTS: Final = (0.2, 0.4, 0.6, 0.8)
_RARITIES: Final = {
    key_of(word): weight
    for words, weight in reversed(list(zip(BANDS, _BAND_WEIGHTS, strict=True)))
    for word in words.split()
}
_MOST_WEIGHED: Final = 8.0
_MOST_SPELLED: Final = 5


class Signals(NamedTuple):
    """Evidence about one pair, symmetric in its two questions: shares and firings in [0, 1], weights in [0, 8].

    A word weighs 1 where it is rare and tends to 0 where it is common, a light word a tenth of that; `most` is the side with
    more left over, `least` the other.

    Attributes:
        partition_most: Weight of the words without counterpart on one side, by the partition's vocabulary.
        partition_least: The same on the other side.
        rarity_most: Weight of the words without counterpart on one side, by their rarity in the language.
        rarity_least: The same on the other side.
        partition_shared: Weight of the words that both have, by the partition's vocabulary.
        rarity_shared: The same by rarity in the language.
        unmatched: Share of all words with subject matter that have no counterpart.
        light: Share of the words without counterpart that a paraphrase often adds or leaves out; 1 where none is left over.
        content: A word of one side stands against one of the other.
        particles: Particles without counterpart (`up`, `off`), at most 4, as a share of 4.
        names: Names without counterpart, at most 4, as a share of 4.
        spelling: How far the words left over on both sides are spelled alike, by letter trigrams; 1 where none is contested.
        disorder: Share of the common words that must move for both orders to agree.
        inverted: The common words' order differs by more than a phrase that moved from one end to the other.
        exchanged: Two phrases have changed places around what stands between.
        named_exchanged: A word out of order is a name, place or number.
        roles: Share of the common words that stand behind another preposition.
        question: Questions of kinds that exclude one another.
        question_gap: 0 for the same kind of question, 0.5 for `how` against `what`, 1 for a request against a question.
        choice: Only one offers a choice.
        tense: Tenses that exclude one another.
        tense_gap: The tenses differ at all.
        person: Pronouns mean other persons.
        person_gap: Share of the persons that only one side has.
        voice: Done to someone on one side, by them on the other.
        grammar: Share of all different words in any form that only one side has.
        opening: The first words with subject matter are the same.
        ending: The last words with subject matter are the same.
        length: Words of the shorter text over those of the longer.
        brevity: 1 over the number of words with subject matter that both have, 1 where there is none.
        same: Both say the same words.
    """

    partition_most: float
    partition_least: float
    rarity_most: float
    rarity_least: float
    partition_shared: float
    rarity_shared: float
    unmatched: float
    light: float
    content: float
    particles: float
    names: float
    spelling: float
    disorder: float
    inverted: float
    exchanged: float
    named_exchanged: float
    roles: float
    question: float
    question_gap: float
    choice: float
    tense: float
    tense_gap: float
    person: float
    person_gap: float
    voice: float
    grammar: float
    opening: float
    ending: float
    length: float
    brevity: float
    same: float


def rarity(key: str) -> float:
    """0.2 for the hundred most common words, 1 beyond the most common 1,500; `key` as in `Term.key`."""
    return _RARITIES.get(key, 1.0)


class _Weights(NamedTuple):
    partition: float
    rarity: float


def _weigh(terms: Sequence[Term], vocabulary: Vocabulary) -> _Weights:
    partition = rare = 0.0
    for term in terms:
        share = _LIGHT_SHARE if is_light(term) else 1.0
        partition += share * vocabulary.weight(term.key)
        rare += share * rarity(term.key)
    return _Weights(min(_MOST_WEIGHED, partition), min(_MOST_WEIGHED, rare))


def _spelling(asked: Sequence[Term], stored: Sequence[Term]) -> float:
    """Mean over the shorter side's words of the best Dice coefficient of letter trigrams with a word of the other."""
    few, many = sorted((asked[:_MOST_SPELLED], stored[:_MOST_SPELLED]), key=len)
    if not few:
        return 1.0
    left, right = ([trigrams(term.surface.lower()) for term in side] for side in (few, many))
    if len(few) < len(many):
        return sum([max([dice(one, other) for other in right]) for one in left]) / len(few)
    ways = [
        sum([max([dice(one, other) for other in two]) for one in one_side])
        for one_side, two in ((left, right), (right, left))
    ]
    return sum(ways) / (2 * len(few))


def _question_gap(asked: Grammar, stored: Grammar) -> float:
    if asked.question == stored.question:
        return 0.0
    return 1.0 if {asked.question, stored.question} & {"", "request"} else 0.5


def _apart(one: Sequence[str], other: Sequence[str]) -> float:
    """Share of the different items that only one of the two has."""
    left, right = set(one), set(other)
    both = left | right
    return len(left ^ right) / len(both) if both else 0.0


def _count(terms: Sequence[Term], kind: Kind) -> float:
    return min(4, sum([term.kind is kind for term in terms])) / 4


def _role_gap(pairs: Sequence[tuple[Term, Term]]) -> float:
    """Share of the common words with telling prepositions that differ, or with one on one side alone."""
    differing = [
        one.role is not other.role and Role.OTHER not in {one.role, other.role} for one, other in pairs
    ]
    return sum(differing) / len(pairs) if pairs else 0.0


def _length_ratio(one: int, other: int) -> float:
    return min(one, other) / max(one, other) if one or other else 1.0


def signals(pair: Pair, vocabulary: Vocabulary) -> Signals:
    """Measures a pair. Symmetric; time linear in the texts' lengths but for a logarithm."""
    asked, stored, alignment = pair
    one, other = _weigh(alignment.asked_only, vocabulary), _weigh(alignment.stored_only, vocabulary)
    common = [min(terms) for terms in alignment.pairs]  # either way round the same one of the two
    shared = _weigh(common, vocabulary)
    extra = alignment.asked_only + alignment.stored_only
    terms = len(asked.terms) + len(stored.terms)
    arrangement = alignment.arrangement
    content = objections.content(pair) is not None
    return Signals(
        partition_most=max(one.partition, other.partition),
        partition_least=min(one.partition, other.partition),
        rarity_most=max(one.rarity, other.rarity),
        rarity_least=min(one.rarity, other.rarity),
        partition_shared=shared.partition,
        rarity_shared=shared.rarity,
        unmatched=len(extra) / terms if terms else 0.0,
        light=sum([is_light(term) for term in extra]) / len(extra) if extra else 1.0,
        content=float(content),
        particles=_count(extra, Kind.PARTICLE),
        names=_count(extra, Kind.NAME),
        spelling=_spelling(alignment.asked_only, alignment.stored_only) if content else 1.0,
        disorder=arrangement.disorder,
        inverted=float(objections.order(pair) is not None),
        exchanged=float(arrangement.exchanged is not None),
        named_exchanged=float(any(is_named(alignment.pairs[index]) for index in arrangement.moved)),
        roles=_role_gap(alignment.pairs),
        question=float(objections.question(pair) is not None),
        question_gap=_question_gap(asked.grammar, stored.grammar),
        choice=float(objections.choice(pair) is not None),
        tense=float(objections.tense(pair) is not None),
        tense_gap=float(asked.grammar.tense is not stored.grammar.tense),
        person=float(objections.persons(pair) is not None),
        person_gap=_apart(asked.grammar.persons, stored.grammar.persons),
        voice=float(objections.voice(pair) is not None),
        grammar=_apart(asked.normal, stored.normal),
        opening=float(bool(common) and asked.terms[0].key == stored.terms[0].key),
        ending=float(bool(common) and asked.terms[-1].key == stored.terms[-1].key),
        length=_length_ratio(len(asked.normal), len(stored.normal)),
        brevity=1.0 / max(1, len(common)),
        same=float(asked.normal == stored.normal),
    )

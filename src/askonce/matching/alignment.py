"""Pairs the words of two questions and says what is left over and whether the order is the same."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.matching.arrangement import Arrangement, arrange
from askonce.matching.lexicon import listed
from askonce.matching.terms import Kind, Role
from askonce.matching.words import lemma

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.matching.terms import Term

__all__ = ["Alignment", "align"]

_MOST_LEFT_OVER: Final = 8
_SHORTEST_MISTYPED: Final = 5
_LONGEST_ENDING: Final = 3
_NOT_MISTYPED: Final = listed("""
    causal casual martial marital trail trial angel angle calvary cavalry diary dairy desert dessert later latter coma
    comma super supper diner dinner biter bitter filing filling staring starring liter litter below bellow canon cannon
    sacred scared united untied quiet quite unite untie bloc block lose loose chose choose rebel reble tires tries
    board broad brave barve slat salt stable staple canal cabal caning canning tiled titled
    """)


class Alignment(NamedTuple):
    """What two lists of terms share.

    Attributes:
        pairs: Matching terms, in the asked text's order.
        asked_only: The asked text's terms without counterpart.
        stored_only: The stored text's terms without counterpart.
        kinds_left: Kinds of the terms without counterpart.
        inverted: The terms around the first place where the common terms' orders differ; empty where they agree, or
            where one phrase with its preposition has moved from one end to the other (`in 2015 …`, `… in 2015`) or
            `from …` and `to …` have changed places.
        arrangement: How the order of the pairs differs.
    """

    pairs: tuple[tuple[Term, Term], ...]
    asked_only: tuple[Term, ...]
    stored_only: tuple[Term, ...]
    kinds_left: frozenset[Kind]
    inverted: tuple[Term, ...]
    arrangement: Arrangement


def _mistyped(left: str, right: str) -> bool:
    """Whether two words differ by two neighbouring letters swapped, or by one letter doubled."""
    if min(len(left), len(right)) < _SHORTEST_MISTYPED or left[0] != right[0]:
        return False
    if {left, right} & _NOT_MISTYPED:
        return False
    if len(left) == len(right):
        differ = [place for place in range(len(left)) if left[place] != right[place]]
        return (
            len(differ) == 2  # noqa: PLR2004 - a swap touches two places
            and differ[1] == differ[0] + 1
            and left[differ[0]] == right[differ[1]]
            and left[differ[1]] == right[differ[0]]
        )
    short, long = sorted((left, right), key=len)
    if len(long) - len(short) != 1:
        return False
    place = next((index for index in range(len(short)) if short[index] != long[index]), len(short))
    return short[place:] == long[place + 1 :] and long[place] == long[place - 1]


def _mistyped_forms(left: Term, right: Term) -> bool:
    """Whether two words, as typed or in their base forms, differ by a slip."""
    one, other = left.surface.lower(), right.surface.lower()
    if one[0] != other[0] or abs(len(one) - len(other)) > _LONGEST_ENDING:
        return False
    return _mistyped(one, other) or _mistyped(lemma(one), lemma(other))


def _compound(parts: Sequence[int], terms: Sequence[Term], whole: Term) -> tuple[int, int] | None:
    """Two neighbours among the left-over terms that together spell a left-over word (`pass word`)."""
    spelled = whole.surface.lower()
    for first, second in pairwise(parts):
        one, other = terms[first].surface, terms[second].surface
        if second == first + 1 and len(one) + len(other) == len(spelled) and (one + other).lower() == spelled:
            return first, second
    return None


def _reconcile(
    asked: Sequence[Term], stored: Sequence[Term], left: list[int], right: list[int]
) -> list[tuple[int, int]]:
    """Pairs left-over words that are one word typed otherwise, and takes them off the lists."""
    found: list[tuple[int, int]] = []
    for index in list(left):
        parts = _compound(right, stored, asked[index])
        if parts is not None:
            left.remove(index)
            right[:] = [other for other in right if other not in parts]
            found.append((index, parts[0]))
    for other in list(right):
        parts = _compound(left, asked, stored[other])
        if parts is not None:
            right.remove(other)
            left[:] = [index for index in left if index not in parts]
            found.append((parts[0], other))
    for index in list(left):
        for other in right:
            words = asked[index], stored[other]
            if words[0].kind is words[1].kind is Kind.WORD and _mistyped_forms(*words):
                left.remove(index)
                right.remove(other)
                found.append((index, other))
                break
    return found


_FROM_AND_TO: Final = tuple(
    [(first, first), (second, second)]
    for first, second in ((Role.SOURCE, Role.GOAL), (Role.GOAL, Role.SOURCE))
)
"""Roles of two moved phrases that keep their meaning in either order: `from Rome to Oslo`, `to Oslo from Rome`."""


def _governed_in_both(pair: tuple[Term, Term]) -> bool:
    return Role.NONE not in {pair[0].role, pair[1].role}


def _floats(term: Term) -> bool:
    """`why isn't it …` and `why is it not …`: the negation leads, whatever stands between."""
    return term.kind is Kind.NEGATION and term.role is Role.OTHER


def _inversion(
    asked: Sequence[Term], stored: Sequence[Term], pairs: Sequence[tuple[int, int]]
) -> tuple[Term, ...]:
    """Where the pairs, in the asked order, first step back in the stored order."""
    pairs = [pair for pair in pairs if not (_floats(asked[pair[0]]) or _floats(stored[pair[1]]))]
    backward = [at for at in range(1, len(pairs)) if pairs[at][1] < pairs[at - 1][1]]
    if not backward:
        return ()
    at = backward[0]
    if len(backward) == 1:
        start = sum(pairs[lead][1] < min(pair[1] for pair in pairs[at:]) for lead in range(at))
        moved = [(asked[index], stored[place]) for index, place in (pairs[start], pairs[at])]
        ends = start == 0 and pairs[-1][1] < pairs[0][1] and any(map(_governed_in_both, moved))
        if ends or [(one.role, other.role) for one, other in moved] in _FROM_AND_TO:
            return ()
    return (asked[pairs[at - 1][0]], asked[pairs[at][0]])


def align(asked: Sequence[Term], stored: Sequence[Term]) -> Alignment:
    """Pairs equal keys, the n-th mention with the n-th, then words typed otherwise.

    Linear in the number of terms: what is left over is compared word by word only where it is little.
    """
    places: dict[str, list[int]] = {}
    for place in range(len(stored) - 1, -1, -1):
        places.setdefault(stored[place].key, []).append(place)
    pairs: list[tuple[int, int]] = []
    left: list[int] = []
    for index, term in enumerate(asked):
        mentions = places.get(term.key)
        if mentions:
            pairs.append((index, mentions.pop()))
        else:
            left.append(index)
    right = sorted([place for mentions in places.values() for place in mentions])
    if left and right and max(len(left), len(right)) <= _MOST_LEFT_OVER:
        pairs = sorted(pairs + _reconcile(asked, stored, left, right))
    return Alignment(
        tuple([(asked[index], stored[place]) for index, place in pairs]),
        tuple([asked[index] for index in left]),
        tuple([stored[place] for place in right]),
        frozenset([asked[index].kind for index in left] + [stored[place].kind for place in right]),
        _inversion(asked, stored, pairs),
        arrange([place for _, place in pairs]),
    )

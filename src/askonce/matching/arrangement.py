"""How the order of the words that two questions share differs."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["IN_ORDER", "Arrangement", "arrange"]

_AROUND_A_MIDDLE: Final = 3
_SIDE_BY_SIDE: Final = 2
_MOST_BLOCKS: Final = 8


class Arrangement(NamedTuple):
    """Where the common words of one question stand in the other.

    Attributes:
        disorder: Share of the common words that must move for both orders to agree.
        moved: Indices of the common words whose rank differs.
        blocks: Index ranges of neighbours that stay neighbours, between the first and the last word out of place; at most
            eight are told apart.
    """

    disorder: float
    moved: tuple[int, ...]
    blocks: tuple[tuple[int, int], ...]

    @property
    def exchanged(self) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """The two blocks that have changed places around what stands between (`Ann called Bob`, `Bob called Ann`)."""
        return (self.blocks[0], self.blocks[-1]) if len(self.blocks) == _AROUND_A_MIDDLE else None

    @property
    def rotated(self) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """The two neighbouring blocks that have changed places (`in 2015 …`, `… in 2015`)."""
        return (self.blocks[0], self.blocks[1]) if len(self.blocks) == _SIDE_BY_SIDE else None


IN_ORDER: Final = Arrangement(0.0, (), ())
"""Nothing has moved."""


def _longest_run(ranks: Sequence[int]) -> int:
    """Length of the longest increasing subsequence (Schensted 1961), in n log n."""
    tails: list[int] = []
    for rank in ranks:
        at = bisect_left(tails, rank)
        tails[at : at + 1] = [rank]
    return len(tails)


def arrange(places: Sequence[int]) -> Arrangement:
    """Compares the order of common words: `places[i]` is where the i-th of one question stands in the other.

    Three blocks, told apart as they are, always stand in reversed order.

    """
    if all(left < right for left, right in pairwise(places)):
        return IN_ORDER
    rank_of = {place: rank for rank, place in enumerate(sorted(places))}
    ranks = [rank_of[place] for place in places]
    moved = tuple([index for index, rank in enumerate(ranks) if rank != index])
    first, last = moved[0], moved[-1] + 1
    starts = [first, *[at for at in range(first + 1, last) if ranks[at] != ranks[at - 1] + 1]][:_MOST_BLOCKS]
    blocks = tuple(pairwise([*starts, last]))
    return Arrangement(1.0 - _longest_run(ranks) / len(ranks), moved, blocks)

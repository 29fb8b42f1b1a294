"""The nearest questions of each question within its partition: found once, for all scenarios."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["Nearest", "nearest_within"]

_EARLIER: Final = 40
"""Of the questions that came before: more than the gateway's ten, since not all of them are stored in every scenario."""
_LATER: Final = 12
"""Of those that came after: they count when a question is asked again once its answer has expired."""
_BLOCK: Final = 256
_NEAR: Final = 0.5
"""Most neighbours that matter are nearer than that: only where they are few is the whole row looked through."""


class Nearest(NamedTuple):
    """A question's nearest, most similar first: their places among all questions, and the cosines."""

    places: Sequence[int]
    similarities: Sequence[float]


def nearest_within(
    members: NDArray[np.int32],
    vectors: NDArray[np.float32],
    floor: float,
    found: Callable[[int, Nearest], None],
) -> None:
    """Tells of each member's nearest; of none whose nearest is below the floor. Time grows with the members' square.

    Args:
        members: Places of a partition's questions, in order of arrival, (n,).
        vectors: Theirs, unit length, (n, dimensions).
        floor: Cosine below which nothing may answer.
        found: Told a member's place and its nearest.
    """
    for start in range(0, len(members), _BLOCK):
        block = vectors[start : start + _BLOCK] @ vectors.T
        rows = np.arange(len(block))
        block[rows, start + rows] = -1.0
        for row in np.flatnonzero(block.max(1) >= floor).tolist():
            similarities, own = block[row], start + row
            near = np.concatenate(
                (_top(similarities[:own], _EARLIER), own + 1 + _top(similarities[own + 1 :], _LATER))
            )
            near = near[np.argsort(-similarities[near], kind="stable")]
            found(int(members[own]), Nearest(members[near].tolist(), similarities[near].tolist()))


def _top(similarities: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Places of the highest, in any order."""
    if len(similarities) <= count:
        return np.arange(len(similarities))
    near = np.flatnonzero(similarities >= _NEAR)
    if len(near) < count:
        return np.argpartition(-similarities, count)[:count]
    return near[np.argpartition(-similarities[near], count - 1)[:count]]

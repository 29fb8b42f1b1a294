"""What a question's neighbours say together about each of them: margins and votes between answers, and their record.

One near neighbour proves little; ten that all hold one answer, with the next answer far away, prove a lot. The vote
is a kernel-weighted nearest-neighbour estimate (Nadaraya 1964, Watson 1964), the margin the distance to the decision
boundary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Near", "Neighbourhood", "Record", "neighbourhood"]

_Floats = NDArray[np.float64]

_SHARPNESS: Final = 16.0
"""Votes weigh exp(16 * similarity): 0.1 nearer counts five times."""
_DOUBT: Final = 0.02
"""Keeps the log odds of a unanimous vote finite."""
_HIGH: Final = 0.9
_LOW: Final = 0.75
_FULL: Final = 10
"""Neighbours that make a full neighbourhood."""
_MEMORY: Final = 0.7
"""What is left of a record's weight at each further verdict: what was right may have changed."""


class Record(NamedTuple):
    """What verdicts said of an answer whenever it was a candidate: decaying sums, weighted by its probability.

    An answer that was thought right and wasn't is suspect; one that hardly anybody believed in is not.
    """

    right: float = 0.0
    wrong: float = 0.0

    def after(self, *, right: bool, probability: float) -> Record:
        """The record with one more verdict, on an occasion where the answer's probability was `probability`."""
        gained = Record(probability, 0.0) if right else Record(0.0, probability)
        return Record(_MEMORY * self.right + gained.right, _MEMORY * self.wrong + gained.wrong)


class Near(NamedTuple):
    """One of the nearest stored questions.

    Attributes:
        similarity: Cosine to the asked question, in [-1, 1].
        pair_logit: What the pair alone says, in log odds; 0 where nothing is known.
        answer: The class of its answer.
        record: That answer's own.
    """

    similarity: float
    pair_logit: float
    answer: bytes
    record: Record = Record()


class Neighbourhood(NamedTuple):
    """Evidence for one candidate from all of them. "Rivals" are neighbours that hold another answer.

    Attributes:
        best: The highest similarity among those that share its answer.
        high: The same, cut above 0.9.
        low: How far the same falls short of 0.75.
        margin: `best` less the nearest rival's similarity; less the farthest neighbour's where there is no rival.
        vote: Log odds of its answer in the weighted vote.
        share: Share of neighbours that hold its answer.
        root_share: Square root of that.
        mean_margin: Mean similarity of its answer's holders less the mean of the rivals'.
        unanimous: 1 where there is no rival.
        lonely: 1 where nobody else holds its answer.
        farthest: The lowest similarity among all neighbours: how dense it is here.
        scarce: 1 where the neighbourhood isn't full.
        gap: `best` less its own similarity.
        pair_logit: Its own.
        pair_margin: The best pair logit among its answer's holders less the best among rivals; that best itself
            where there is no rival.
        right: Log of one more than the answer's record of right verdicts.
        wrong: The same of wrong ones.
        suspect: Share of wrong in the record, shrunk towards none.
    """

    best: float
    high: float
    low: float
    margin: float
    vote: float
    share: float
    root_share: float
    mean_margin: float
    unanimous: float
    lonely: float
    farthest: float
    scarce: float
    gap: float
    pair_logit: float
    pair_margin: float
    right: float
    wrong: float
    suspect: float


def neighbourhood(neighbours: Sequence[Near]) -> list[Neighbourhood]:
    """Evidence for each of the nearest stored questions, in the order given."""
    if not neighbours:
        return []
    similarity = np.array([near.similarity for near in neighbours])
    pair = np.array([near.pair_logit for near in neighbours])
    classes = {near.answer: place for place, near in enumerate(neighbours)}
    answers = np.array([classes[near.answer] for near in neighbours])
    same = answers[:, None] == answers
    holders = same.sum(1)
    count = len(neighbours)
    kernel = np.exp(_SHARPNESS * (similarity - similarity.max()))
    vote = same @ kernel / kernel.sum()
    best = np.where(same, similarity, -np.inf).max(1)
    farthest = similarity.min()
    rivals = count - holders
    rival = np.where(rivals > 0, np.where(same, -np.inf, similarity).max(1), farthest)
    rival_mean = np.where(
        rivals > 0, (similarity.sum() - same @ similarity) / np.maximum(rivals, 1), farthest
    )
    pair_rival = np.where(rivals > 0, np.where(same, -np.inf, pair).max(1), 0.0)
    right = np.array([near.record.right for near in neighbours])
    wrong = np.array([near.record.wrong for near in neighbours])
    columns: tuple[_Floats, ...] = (
        best,
        np.minimum(best, _HIGH),
        np.maximum(_LOW - best, 0.0),
        best - rival,
        np.log((vote + _DOUBT) / (1.0 - vote + _DOUBT)),
        holders / count,
        np.sqrt(holders / count),
        same @ similarity / holders - rival_mean,
        (rivals == 0).astype(np.float64),
        (holders == 1).astype(np.float64),
        np.full(count, farthest),
        np.full(count, float(count < _FULL)),
        best - similarity,
        pair,
        np.where(same, pair, -np.inf).max(1) - pair_rival,
        np.log1p(right),
        np.log1p(wrong),
        wrong / (right + wrong + 1.0),
    )
    return [Neighbourhood(*row) for row in np.column_stack(columns).tolist()]

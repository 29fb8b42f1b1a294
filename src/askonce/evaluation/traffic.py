"""Systems side by side on a stream: hits and wrong hits at each setting of each system's own knob."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.evaluation.baselines import VCachePolicy, play_together
from askonce.evaluation.streams import CosinePolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from askonce.evaluation.embeddings import Embedded
    from askonce.evaluation.sets import StreamSet
    from askonce.evaluation.streams import Policy, Tally

__all__ = ["WRONG_RATES", "StreamComparison", "StreamSystem", "compare_on", "vectors_of"]

WRONG_RATES: Final = (0.01, 0.02, 0.03, 0.04, 0.05)
"""Shares of wrong hits at which systems are compared."""
_THRESHOLDS: Final = (
    *(round(0.60 + 0.01 * step, 3) for step in range(30)),
    *(round(0.90 + 0.005 * step, 3) for step in range(20)),
)
_DELTAS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)


@dataclass(frozen=True, slots=True)
class StreamSystem:
    """One system on one stream.

    Attributes:
        name: The system's.
        knob: What its settings are: `threshold`, `delta` or `budget`.
        tallies: What each setting came to.
    """

    name: str
    knob: str
    tallies: dict[float, Tally]

    def best(self, wrong_rate: float) -> tuple[float, Tally] | None:
        """The setting with the most hits among those with at most this share of wrong hits; None without any hit."""
        within = [
            (setting, tally)
            for setting, tally in self.tallies.items()
            if tally.hits and tally.false_hit_rate <= wrong_rate
        ]
        return max(within, key=lambda pair: pair[1].hits, default=None)


@dataclass(frozen=True, slots=True)
class StreamComparison:
    """All systems on one stream, cosine first; `repeats` as in `StreamSet`."""

    name: str
    questions: int
    intents: int
    repeats: int
    systems: Sequence[StreamSystem]


class Entrant(NamedTuple):
    """A system's name, its knob, and a fresh policy for each setting."""

    name: str
    knob: str
    policies: dict[float, Policy]


def vectors_of(embedded: Sequence[Embedded]) -> NDArray[np.float32]:
    """The vectors as rows; zeros, which are near nothing, for texts without one."""
    known = next((each.vector for each in embedded if each is not None), np.zeros(1, np.float32))
    return np.array([np.zeros_like(known) if each is None else each.vector for each in embedded], np.float32)


def compare_on(
    stream: StreamSet, vectors: NDArray[np.float32], seed: int, advance: Callable[[int], None]
) -> StreamComparison:
    """Plays a stream against cosine at thresholds from 0.60 to 0.995 and vCache at bounds from 0.1 to 10 %.

    Args:
        stream: Questions in order of arrival.
        vectors: Theirs, (n, d).
        seed: Of policies that draw.
        advance: Told how many questions were played since it was last told.
    """
    length = len(stream.texts)
    names, answers = np.unique(np.array(stream.intents), return_inverse=True)
    entrants = [
        Entrant("cosine", "threshold", {level: CosinePolicy(level, length) for level in _THRESHOLDS}),
        Entrant("vcache", "delta", {delta: VCachePolicy(delta, length, seed) for delta in _DELTAS}),
    ]
    policies = [policy for entrant in entrants for policy in entrant.policies.values()]
    tallies = iter(play_together(vectors, answers.astype(np.int64), policies, advance))
    systems = [
        StreamSystem(each.name, each.knob, {setting: next(tallies) for setting in each.policies})
        for each in entrants
    ]
    return StreamComparison(stream.name, length, len(names), stream.repeats, systems)

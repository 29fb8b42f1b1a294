"""Systems side by side on a stream: hits and wrong hits at each setting of each system's own knob."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.evaluation.baselines import VCachePolicy, play_together
from askonce.evaluation.budgeted import BudgetedPolicy, Rules
from askonce.evaluation.questions import vectors_of
from askonce.evaluation.streams import CosinePolicy, best
from askonce.evaluation.tier import WordEyes
from askonce.matching.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.evaluation.questions import Embeddable
    from askonce.evaluation.sets import StreamSet
    from askonce.evaluation.streams import Policy, Tally
    from askonce.matching.verifier import Verifier

__all__ = ["STREAM_BUDGETS", "WRONG_RATES", "StreamComparison", "StreamSystem", "Tier", "compare_on"]

WRONG_RATES: Final = (0.01, 0.02, 0.03, 0.04, 0.05)
"""Shares of wrong hits at which systems are compared."""
_THRESHOLDS: Final = (
    *(round(0.60 + 0.01 * step, 3) for step in range(30)),
    *(round(0.90 + 0.005 * step, 3) for step in range(20)),
)
STREAM_BUDGETS: Final = (0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.085, 0.1)
"""The last two for the comparison at equal shares of wrong hits alone: what is kept is well below what is allowed."""
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
        """See `streams.best`."""
        return best(self.tallies, wrong_rate)


@dataclass(frozen=True, slots=True)
class StreamComparison:
    """All systems on one stream, first the baselines cosine and vcache; `repeats` as in `StreamSet`."""

    name: str
    questions: int
    intents: int
    repeats: int
    systems: Sequence[StreamSystem]


class Tier(NamedTuple):
    """askonce under test.

    Attributes:
        verifier: Its verifier.
        budgets: Largest shares of wrong hits, each played on its own.
        floor: Cosine below which a stored question isn't considered.
        seed: Of all policies that draw.
    """

    verifier: Verifier
    budgets: Sequence[float]
    floor: float
    seed: int

    def policy(self, questions: Sequence[Embeddable | None], budget: float) -> BudgetedPolicy:
        """A fresh policy for a stream."""
        rules = Rules(self.verifier.calibration, Budget(budget), seed=self.seed)
        return BudgetedPolicy(rules, len(questions), WordEyes(questions, self.verifier, floor=self.floor))


class Entrant(NamedTuple):
    """A system's name, its knob, and a fresh policy for each setting."""

    name: str
    knob: str
    policies: dict[float, Policy]


def compare_on(
    stream: StreamSet,
    questions: Sequence[Embeddable | None],
    tier: Tier,
    advance: Callable[[int], None] = lambda _: None,
) -> StreamComparison:
    """Plays a stream against askonce, cosine at thresholds from 0.60 to 0.995 and vCache at bounds from 0.1 to 10 %.

    Args:
        stream: Questions in order of arrival.
        questions: The same, embedded; None for those that the tier has nothing to do with.
        tier: askonce's own part.
        advance: Told how many questions were played since it was last told.
    """
    length = len(stream.texts)
    names, answers = np.unique(np.array(stream.intents), return_inverse=True)
    entrants = [
        Entrant("cosine", "threshold", {level: CosinePolicy(level, length) for level in _THRESHOLDS}),
        Entrant("vcache", "delta", {delta: VCachePolicy(delta, length, tier.seed) for delta in _DELTAS}),
        Entrant("askonce", "budget", {budget: tier.policy(questions, budget) for budget in tier.budgets}),
    ]
    policies = [policy for entrant in entrants for policy in entrant.policies.values()]
    tallies = iter(play_together(vectors_of(questions), answers.astype(np.int64), policies, advance))
    systems = [
        StreamSystem(each.name, each.knob, {setting: next(tallies) for setting in each.policies})
        for each in entrants
    ]
    return StreamComparison(stream.name, length, len(names), stream.repeats, systems)

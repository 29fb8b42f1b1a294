"""Systems side by side on judged pairs: askonce, refitted too where asked for, and plain cosine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.evaluation.measures import (
    Accepted,
    Bin,
    Curve,
    accepted,
    calibration_error,
    curve_of,
    reliability,
    within_budget,
)
from askonce.matching.budget import Budget, Traffic, settle
from askonce.matching.calibration import Label, Source, refit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from askonce.evaluation.measures import Flags
    from askonce.evaluation.pairs import JudgedPairs
    from askonce.matching.calibration import Calibration, Refit

__all__ = ["BUDGETS", "COSINES", "RECALLS", "Category", "Comparison", "Measured", "compare"]

RECALLS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
BUDGETS: Final = (0.005, 0.01, 0.02, 0.05)
COSINES: Final = (0.80, 0.85, 0.90, 0.95, 0.98)
"""Thresholds that semantic caches ship with."""
_RECALL: Final = 0.6
"""At which kinds of pairs are compared."""
ASKONCE: Final = "askonce"
REFITTED: Final = "askonce-refitted"
COSINE: Final = "cosine"


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One system on one set.

    Attributes:
        name: The system's.
        curve: What its thresholds accept.
        false_hit_rates: By recall; None where a kind of pair is missing.
        hindsight: By budget: the threshold with the most hits within it, as nobody knows it beforehand.
        served: By budget: what the gateway's own threshold accepts; empty for systems without budgets.
        fixed: By threshold: what thresholds in common use accept; empty for systems with budgets.
        bins: Probabilities against labels; empty for systems whose scores aren't probabilities.
    """

    name: str
    curve: Curve
    false_hit_rates: Mapping[float, float | None]
    hindsight: Mapping[float, Accepted]
    served: Mapping[float, Accepted]
    fixed: Mapping[float, Accepted]
    bins: Sequence[Bin]

    @property
    def calibration_error(self) -> float | None:
        """The bins' expected calibration error; None for systems without probabilities."""
        return calibration_error(self.bins) if self.bins else None


class Category(NamedTuple):
    """Pairs of one kind: how many of each label, and which shares of both each system serves.

    Attributes:
        name: The file's word for it.
        right: Pairs with label 1.
        wrong: Pairs with label 0: the traps.
        served: Shares of the right and of the wrong pairs accepted, by system and setting; None where there are none.
        reason: What the guards say most often of the wrong pairs; "" where they say nothing.
    """

    name: str
    right: int
    wrong: int
    served: Mapping[str, tuple[float | None, float | None]]
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """All systems on one set.

    Attributes:
        name: The set's.
        pairs: The pairs that were measured.
        systems: In the order in which to show them.
        categories: Empty where the file names none.
        refit: What a refit on other pairs of the set came to; None where none was asked for.
        labels: Pairs that the refit was given.
    """

    name: str
    pairs: JudgedPairs
    systems: Sequence[Measured]
    categories: Sequence[Category]
    refit: Refit | None
    labels: int


def compare(
    pairs: JudgedPairs, shipped: Calibration, budgets: Sequence[float], *, labels: int = 0, seed: int = 0
) -> Comparison:
    """Scores the systems.

    Args:
        pairs: As judged; more than `labels`.
        shipped: The verifier's last layer.
        budgets: Largest shares of wrong hits to measure at.
        labels: Pairs to refit the last layer on; all systems are then measured on the others.
        seed: Chooses those.
    """
    order = np.random.default_rng(seed).permutation(len(pairs))
    audits = _labels(pairs.only(order[:labels].tolist()))
    rest = pairs.only(sorted(order[labels:].tolist())) if labels else pairs
    systems = [_cosine(rest, budgets), _askonce(ASKONCE, rest, shipped, _thresholds(shipped, [], budgets))]
    fitted = refit(shipped, audits) if labels else None
    if fitted is not None:
        thresholds = _thresholds(shipped, audits, budgets)
        systems.append(_askonce(REFITTED, rest, fitted.calibration, thresholds))
    return Comparison(pairs.name, rest, systems, _categories(rest, systems, shipped, budgets), fitted, labels)


def _labels(pairs: JudgedPairs) -> list[Label]:
    """Labels as shadow mode makes them: a pair that no guard objects to is a would-be hit, and its answer is free."""
    return [
        Label(
            pairs.evidence[place].astype(np.float32),
            right=bool(pairs.right[place]),
            propensity=1.0,
            at=float(place),
            served=False,
            source=Source.SHADOW,
        )
        for place in np.flatnonzero(~pairs.vetoed).tolist()
    ]


def _thresholds(
    shipped: Calibration, labels: Sequence[Label], budgets: Sequence[float]
) -> dict[float, float]:
    """The gateway's own threshold for each budget."""
    return {
        budget: settle(
            shipped, labels, Budget(budget), traffic=Traffic(len(labels), 0), now=float(len(labels))
        ).threshold
        for budget in budgets
    }


def _cosine(pairs: JudgedPairs, budgets: Sequence[float]) -> Measured:
    curve = curve_of(pairs.cosines, pairs.right)
    fixed = {level: accepted(curve, level) for level in COSINES}
    rates, hindsight = _ranked(curve, budgets)
    return Measured(COSINE, curve, rates, hindsight, {}, fixed, [])


def _askonce(
    name: str, pairs: JudgedPairs, calibration: Calibration, thresholds: Mapping[float, float]
) -> Measured:
    curve = curve_of(pairs.scores(calibration), pairs.right)
    served = {budget: accepted(curve, threshold) for budget, threshold in thresholds.items()}
    bins = reliability(pairs.probabilities(calibration), pairs.right)
    rates, hindsight = _ranked(curve, list(thresholds))
    return Measured(name, curve, rates, hindsight, served, {}, bins)


def _ranked(
    curve: Curve, budgets: Sequence[float]
) -> tuple[dict[float, float | None], dict[float, Accepted]]:
    """What any ranking has: false-hit rates by recall, and the best threshold in hindsight by budget."""
    return (
        {recall: curve.false_hit_rate(recall) for recall in RECALLS},
        {budget: within_budget(curve, budget) for budget in budgets},
    )


def _categories(
    pairs: JudgedPairs, systems: Sequence[Measured], shipped: Calibration, budgets: Sequence[float]
) -> list[Category]:
    """Each kind of pair: what guards forbid, what is served at budgets and thresholds, and what at equal recall."""
    names = sorted(set(pairs.categories) - {""})
    if not names:
        return []
    scores = pairs.scores(shipped)
    cosine, own = systems[0], systems[1]
    rules: dict[str, Flags] = {"guards let through": ~pairs.vetoed}
    for budget in budgets:
        rules[f"{ASKONCE} {budget:.1%}"] = scores >= (own.served[budget].threshold or np.inf)
    rules[f"{ASKONCE} at {_RECALL:.0%} recall"] = scores >= own.curve.threshold(_RECALL)
    for level in COSINES[::2]:
        rules[f"{COSINE} {level:.2f}"] = pairs.cosines >= level
    rules[f"{COSINE} at {_RECALL:.0%} recall"] = pairs.cosines >= cosine.curve.threshold(_RECALL)
    kinds = np.array(pairs.categories)
    return [_category(name, pairs, kinds == name, rules) for name in names]


def _category(name: str, pairs: JudgedPairs, own: Flags, rules: Mapping[str, Flags]) -> Category:
    right, wrong = own & pairs.right, own & ~pairs.right
    reasons = Counter(pairs.vetoes[place] for place in np.flatnonzero(wrong).tolist() if pairs.vetoes[place])
    served = {rule: (_share(accepts, right), _share(accepts, wrong)) for rule, accepts in rules.items()}
    common = reasons.most_common(1)
    return Category(name, int(right.sum()), int(wrong.sum()), served, common[0][0] if common else "")


def _share(accepts: Flags, among: Flags) -> float | None:
    return float(accepts[among].mean()) if among.any() else None

"""What each error budget would have come to, from a feature's own audits.

Audits are split by time. A budget's threshold comes from the older half, as the gateway would have set it then, and is
measured on the newer half, which it hasn't seen. Each audit stands for 1 / propensity requests that had a candidate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

from askonce.matching.bounds import Interval, interval
from askonce.matching.budget import Budget, Traffic, settle
from askonce.matching.calibration import label_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.matching.budget import Setting
    from askonce.matching.calibration import Calibration, Label
    from askonce.model import Audit

__all__ = ["FEWEST_AUDITS", "FeatureAdvice", "FeatureRecord", "Proposal", "Proposed", "advise", "recommended"]

FEWEST_AUDITS: Final = 100
"""With fewer of them nothing is proposed."""
_ENOUGH_HITS: Final = 0.8
_DAY_S: Final = 86_400.0
_HOUR_S: Final = 3_600.0


class FeatureRecord(NamedTuple):
    """What a store knows of a feature.

    Attributes:
        feature: Its name.
        audits: Its own, in any order.
        requests: Those that the tier was asked about since it began to count; None if it never did.
        cost_usd: Mean cost of the answers stored; None where no price is known.
    """

    feature: str
    audits: Sequence[Audit]
    requests: int | None
    cost_usd: float | None


class Proposal(NamedTuple):
    """What a budget would have come to.

    Attributes:
        budget: Largest share of wrong hits.
        threshold: What the probability has to reach now, from all audits; above 1: serve nothing yet.
        hit_rate: Hits among requests that had a candidate.
        hit_rate_of_requests: Hits among all requests that the tier was asked about; None where nobody counted them.
        wrong_among_hits: Wrong ones among those hits; from 0 to 1 where there was no hit.
        hits_per_day: How many.
        saving_usd_per_day: What they would have cost upstream; None where no price is known.
    """

    budget: float
    threshold: float
    hit_rate: Interval
    hit_rate_of_requests: Interval | None
    wrong_among_hits: Interval
    hits_per_day: Interval
    saving_usd_per_day: Interval | None


class FeatureAdvice(NamedTuple):
    """What is known of a feature.

    Attributes:
        feature: Its name.
        audits: Audits that count: of the present verifier, with evidence, not mere feedback.
        others: Audits left out: feedback, or of another verifier or embedder.
        days: From the first of them to the last.
        proposals: One for each budget; empty with fewer than `FEWEST_AUDITS`.
    """

    feature: str
    audits: int
    others: int
    days: float
    proposals: Sequence[Proposal]


def advise(
    record: FeatureRecord, shipped: Calibration, budgets: Sequence[float], confidence: float = 0.95
) -> FeatureAdvice:
    """Proposals from a feature's audits.

    Args:
        record: What the store knows of the feature.
        shipped: The present verifier's last layer; audits whose evidence isn't of its kind are left out.
        budgets: Largest shares of wrong hits.
        confidence: Of each bound.
    """
    audits = sorted(record.audits, key=lambda audit: audit.at)
    engine = audits[-1].engine if audits else ""
    made = (label_of(audit, shipped) for audit in audits if audit.engine == engine)
    labels = [label for label in made if label is not None]
    others = len(audits) - len(labels)
    days = (labels[-1].at - labels[0].at) / _DAY_S if labels else 0.0
    if len(labels) < FEWEST_AUDITS:
        return FeatureAdvice(record.feature, len(labels), others, days, ())
    proposals = [_proposal(record, shipped, labels, budget, confidence) for budget in budgets]
    return FeatureAdvice(record.feature, len(labels), others, days, proposals)


class Proposed(Protocol):
    """What recommendations look at."""

    @property
    def budget(self) -> float:
        """Largest share of wrong hits."""
        ...

    @property
    def hit_rate(self) -> Interval:
        """Share of hits."""
        ...

    @property
    def wrong_among_hits(self) -> Interval:
        """Share of wrong ones among them."""
        ...


def recommended(proposals: Sequence[Proposed]) -> float | None:
    """The strictest budget that keeps four fifths of the most hits, among the budgets that hold what they promise.

    One that doesn't is one whose share of wrong hits is surely above it. None where no budget serves anything.
    """
    holding = [
        each for each in proposals if each.hit_rate.estimate > 0 and each.wrong_among_hits.low <= each.budget
    ]
    most = max((each.hit_rate.estimate for each in holding), default=0.0)
    enough = [each.budget for each in holding if each.hit_rate.estimate >= _ENOUGH_HITS * most]
    return min(enough, default=None)


def _proposal(
    record: FeatureRecord, shipped: Calibration, labels: Sequence[Label], budget: float, confidence: float
) -> Proposal:
    older, newer = labels[: len(labels) // 2], labels[len(labels) // 2 :]
    before = _setting(shipped, older, budget, confidence)
    chances = before.calibration.probabilities(np.stack([label.evidence for label in newer]))
    hits = chances >= before.threshold
    weights = np.array([1 / label.propensity for label in newer])
    wrong = np.array([not label.right for label in newer], np.float64)
    level = np.ones(len(newer))
    rate = interval(hits.astype(np.float64), weights, level, confidence)
    # At least an hour: a burst of audits says nothing of a day.
    days = max(newer[-1].at - newer[0].at, _HOUR_S) / _DAY_S
    a_day = _times(rate, float(weights.sum()) / days)
    candidates = sum(1 / label.propensity for label in labels)
    return Proposal(
        budget,
        _setting(shipped, labels, budget, confidence).threshold,
        rate,
        None if record.requests is None else _times(rate, min(1.0, candidates / max(1, record.requests))),
        interval(wrong[hits], weights[hits], level[hits], confidence),
        a_day,
        None if record.cost_usd is None else _times(a_day, record.cost_usd),
    )


def _times(rate: Interval, factor: float) -> Interval:
    return Interval(*(bound * factor for bound in rate))


def _setting(shipped: Calibration, labels: Sequence[Label], budget: float, confidence: float) -> Setting:
    return settle(
        shipped, labels, Budget(budget, confidence), traffic=Traffic(len(labels), 0), now=labels[-1].at
    )

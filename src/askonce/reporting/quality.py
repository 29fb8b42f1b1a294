"""How often semantic hits were wrong, from audits: no model, only what judges said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.matching.bounds import Interval, interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from askonce.model import Audit
    from askonce.ports import Span

__all__ = ["CONFIDENCE", "Judged", "Quality", "qualities"]

CONFIDENCE: Final = 0.95
"""Of each bound."""
_HOUR_S: Final = 3_600


class Judged(NamedTuple):
    """Answers that were judged, how many of them were wrong, and the rate among all from which they were drawn."""

    audits: int
    wrong: int
    rate: Interval


class Quality(NamedTuple):
    """A feature's semantic hits.

    Attributes:
        feature: Its name.
        hits: Served hits that were audited.
        shadow: Hits that shadow mode would have served, judged by the fresh answer.
        budget: The share of wrong hits that was promised; None where it isn't known.
    """

    feature: str
    hits: Judged
    shadow: Judged
    budget: float | None


def qualities(audits: Iterable[Audit], budgets: Mapping[str, float], span: Span) -> tuple[Quality, ...]:
    """Each feature's that was audited within a span, by name.

    Audits of hits are drawn with known propensities, which the rate makes up for. Feedback isn't, so it is left out.

    Args:
        audits: Of any features and times.
        budgets: Promised shares by feature.
        span: Whose hours count.
    """
    since_s, until_s = (hour * _HOUR_S for hour in span)
    kept: dict[str, list[Audit]] = {}
    for audit in audits:
        if since_s <= audit.at < until_s and 0 < audit.propensity <= 1:
            kept.setdefault(audit.feature, []).append(audit)
    found = (
        Quality(feature, _judged(own, "hit"), _judged(own, "shadow"), budgets.get(feature))
        for feature, own in sorted(kept.items())
    )
    return tuple(each for each in found if each.hits.audits or each.shadow.audits)


def _judged(audits: Sequence[Audit], source: str) -> Judged:
    own = sorted((audit for audit in audits if audit.source == source), key=lambda audit: audit.at)
    wrong = np.array([not audit.right for audit in own], np.float64)
    weights = np.array([1.0 / audit.propensity for audit in own])
    rate = interval(wrong, weights, np.ones(len(own)), CONFIDENCE)
    return Judged(len(own), int(wrong.sum()), rate)

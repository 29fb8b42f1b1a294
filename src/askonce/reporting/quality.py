"""How often semantic hits were wrong, from audits: no model, only what judges said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.matching.bounds import Interval, interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from askonce.model import Audit
    from askonce.ports import Span

__all__ = ["CONFIDENCE", "Judged", "Quality", "qualities"]

CONFIDENCE: Final = 0.95
"""Of each bound."""
_HOUR_S: Final = 3_600
_SOURCES: Final = ("hit", "shadow")


class _Verdict(NamedTuple):
    """When it was made, whether the answer was wrong, and how many hits it stands for."""

    at: float
    wrong: bool
    weight: float


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
    # There may be a million of them: what isn't needed isn't kept.
    kept: dict[str, dict[str, list[_Verdict]]] = {}
    for audit in audits:
        if audit.source in _SOURCES and since_s <= audit.at < until_s and 0 < audit.propensity <= 1:
            of_feature = kept.setdefault(audit.feature, {source: [] for source in _SOURCES})
            of_feature[audit.source].append(_Verdict(audit.at, not audit.right, 1.0 / audit.propensity))
    return tuple(
        Quality(feature, _judged(own["hit"]), _judged(own["shadow"]), budgets.get(feature))
        for feature, own in sorted(kept.items())
    )


def _judged(verdicts: list[_Verdict]) -> Judged:
    verdicts.sort()
    wrong = np.array([verdict.wrong for verdict in verdicts], np.float64)
    weights = np.array([verdict.weight for verdict in verdicts])
    rate = interval(wrong, weights, np.ones(len(verdicts)), CONFIDENCE)
    return Judged(len(verdicts), int(wrong.sum()), rate)

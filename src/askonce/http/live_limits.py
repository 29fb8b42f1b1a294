"""How limits are used, as the dashboard is shown it: the fullest first."""

from __future__ import annotations

from heapq import nlargest
from itertools import chain
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from askonce.model import Json
    from askonce.pipeline.allowances import Allowances

__all__ = ["limits"]

_MOST: Final = 30


def limits(allowances: Allowances) -> list[Json]:
    """The limits that are used most: each of those who are named in the configuration, one for all credentials."""
    named = (
        {
            "tenant": one.tenant,
            "feature": one.feature,
            "limit": one.limit,
            "ratio": one.ratio,
            "used": one.used,
            "soft": one.soft,
            "hard": one.hard,
            "resets_at": round(one.resets_at),
        }
        for one in allowances.named()
    )
    others = (
        {"tenant": tenant, "feature": feature, "limit": limit, "ratio": ratio, "used": None}
        for (tenant, feature, limit), ratio in allowances.peaks()
    )
    return nlargest(_MOST, chain(named, others), key=lambda one: one["ratio"])

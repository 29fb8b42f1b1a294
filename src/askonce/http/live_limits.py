"""How limits are used, as the dashboard is shown it: the fullest first."""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from askonce.model import Json
    from askonce.pipeline.allowances import Allowances, Standing

__all__ = ["limits"]

_MOST: Final = 30


def limits(allowances: Allowances) -> list[Json]:
    """The limits that are used most: each of those who are named in the configuration, one for all credentials."""
    named = [_named(one) for one in nlargest(_MOST, allowances.named(), key=lambda one: one.ratio)]
    others = [
        {"tenant": tenant, "feature": feature, "limit": limit, "ratio": ratio, "used": None}
        for (tenant, feature, limit), ratio in allowances.peaks()
    ]
    return nlargest(_MOST, named + others, key=lambda one: one["ratio"])


def _named(one: Standing) -> Json:
    return {
        "tenant": one.tenant,
        "feature": one.feature,
        "limit": one.limit,
        "ratio": one.ratio,
        "used": one.used,
        "soft": one.soft,
        "hard": one.hard,
        "resets_at": round(one.resets_at),
    }

"""What charges, and what the books say of earlier ones, come to for those who pay.

What audits cost counts nowhere: they have a limit of their own. A batch's tokens aren't sent in any minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.ports import Charge, Share, Sums

__all__ = ["parts_of", "spent_of"]

_AUDIT: Final = "audit"
_BATCH: Final = "batch"
_CALLS: Final = frozenset({"fresh", "bypass", "abandoned", _BATCH})
"""Outcomes under which the books count calls without a price; under the others, requests."""


def parts_of(charge: Charge) -> Iterator[tuple[Share, int, int | None]]:
    """Who pays, the tokens that count, and the nano-dollars; None where the price isn't known."""
    usage = charge.usage or charge.estimate
    tokens = usage.prompt_tokens + usage.completion_tokens
    for place, share in enumerate(charge.shares):
        if share.outcome == _AUDIT:
            continue
        nanousd: int | None = share.nanousd
        if charge.usage is None:  # an estimate: the books have it in one sum
            nanousd = 0 if place else charge.cost_nanousd
        if charge.cost_nanousd is None:
            nanousd = None if tokens and not place else 0
        yield share, 0 if place or share.outcome == _BATCH else tokens, nanousd


def spent_of(sums: Sums, outcome: str, unknown_price_nanousd: int) -> int:
    """The nano-dollars of what was added up under an outcome."""
    if outcome == _AUDIT:
        return 0
    unpriced = sums.unpriced if outcome in _CALLS else 0
    return sums.spent_nanousd + sums.unsettled_nanousd + unpriced * unknown_price_nanousd

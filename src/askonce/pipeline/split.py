"""Who pays for an upstream call that several callers waited for."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from askonce.model import Bypass, Fresh
from askonce.ports import Share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Request
    from askonce.pipeline.flight import Flight
    from askonce.pipeline.seat import Seat

__all__ = ["CostPolicy", "flight_shares", "parts", "share", "tell_seats"]


class CostPolicy(StrEnum):
    """Who pays for a call that several callers share."""

    LEADER = "leader"
    """The caller that it was made for."""
    SPLIT = "split"
    """All that wait for it when its answer comes, in equal parts."""


def share(request: Request, outcome: str, nanousd: int) -> Share:
    """A caller's part of a cost."""
    caller = request.caller
    return Share(caller.account, request.policy.feature, outcome, nanousd, caller.label)


def parts(nanousd: int, count: int) -> list[int]:
    """So many parts that add up, as equal as whole numbers can be; what is left over is the first one's."""
    each, rest = divmod(nanousd, count)
    return [each + rest, *[each] * (count - 1)]


def flight_shares(flight: Flight, nanousd: int, policy: CostPolicy) -> tuple[Share, ...]:
    """Who of a flight's callers pays, the caller first whose the tokens are."""
    payers = _payers(flight, policy)
    if not payers:
        return (share(flight.lead.request, "abandoned", nanousd),)
    source = flight.source
    led = source.name if isinstance(source, Fresh | Bypass) else Fresh.name
    sums: dict[Share, int] = {}
    for seat, part in zip(payers, parts(nanousd, len(payers)), strict=True):
        whose = share(seat.request, led if seat is flight.lead else "joined", 0)
        sums[whose] = sums.get(whose, 0) + part
    return tuple(whose._replace(nanousd=part) for whose, part in sums.items())


def tell_seats(flight: Flight, nanousd: int, policy: CostPolicy) -> None:
    """Writes down what a call cost each of a flight's callers, before they are told of its answer."""
    payers = _payers(flight, policy)
    for seat, part in zip(payers, parts(nanousd, len(payers) or 1), strict=False):
        seat.spent_nanousd += part


def _payers(flight: Flight, policy: CostPolicy) -> Sequence[Seat]:
    """Callers of another flight, which this one's answer serves too, never pay: that flight's question was another."""
    aboard = flight.aboard
    if not aboard or policy is CostPolicy.LEADER:
        return [flight.lead] if aboard else []
    waiting = [seat for seat in aboard if not seat.follows and seat is not flight.lead]
    lead = [flight.lead] if flight.lead in aboard else []
    return [*lead, *waiting] or [flight.lead]

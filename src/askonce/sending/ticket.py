"""Who wants to send: what the queue knows of an upstream call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from askonce.model import Lane

__all__ = ["Ticket"]

_ORDER: Final = {lane: place for place, lane in enumerate(Lane)}


@dataclass(slots=True, eq=False)
class Ticket:
    """A call that wants to go out, made anew for every attempt.

    Attributes:
        tenant: Isolation identity of the leading caller, "" if unknown: lines are shared fairly between tenants.
        lane: How soon the answer is wanted. May be raised while the ticket waits, through `Line.hurry` alone.
        tokens: Estimated prompt and completion tokens.
        deadline: Event-loop time by which an answer is wanted.
        sent: Whether the call went out, by itself rather than with others.
    """

    tenant: str
    lane: Lane
    tokens: int
    deadline: float
    sent: bool = False

    def is_behind(self, lane: Lane) -> bool:
        """Whether calls of that lane go before this one."""
        return _ORDER[lane] < _ORDER[self.lane]

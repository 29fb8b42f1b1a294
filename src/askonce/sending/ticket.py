"""Who wants to send: what the queue knows of an upstream call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from askonce.model import Lane

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Ticket"]

_ORDER: Final = {lane: place for place, lane in enumerate(Lane)}


def _unheard(call: str, part: int) -> None:
    """Nobody keeps account of the call."""


@dataclass(slots=True, eq=False)
class Ticket:
    """A call that wants to go out, made anew for every attempt.

    Attributes:
        tenant: Isolation identity of the leading caller, "" if unknown: lines are shared fairly between tenants.
        lane: How soon the answer is wanted. May be raised while the ticket waits, through `Line.hurry` alone.
        tokens: Estimated prompt and completion tokens.
        deadline: Event-loop time by which an answer is wanted.
        sent: Whether the call went out, by itself rather than with others.
        leaves: Told when it is about to go out: the upstream call's id, and which of those that share it this one is
            (0 for the first). Told again where a batch was refused as a whole and is sent again in pieces.
    """

    tenant: str
    lane: Lane
    tokens: int
    deadline: float
    sent: bool = False
    leaves: Callable[[str, int], None] = _unheard

    def is_behind(self, lane: Lane) -> bool:
        """Whether calls of that lane go before this one."""
        return _ORDER[lane] < _ORDER[self.lane]

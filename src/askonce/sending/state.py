"""What there is to see of a line: for metrics and the operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from askonce.model import Lane

__all__ = ["KeyState", "LineState"]


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key; it is known by its index alone.

    Attributes:
        index: Which of the upstream's keys, from 0.
        in_use: Calls under way.
        paused_s: Seconds for which the upstream wants none.
        requests_per_s: The rate in force, declared or learned; None where none is known.
        learned_per_s: The rate learned from refusals; None where there was none.
        requests_left: What the provider said is left of its requests; None where it doesn't say.
        tokens_left: The same of its tokens.
        refusals: Calls that were answered 429.
    """

    index: int
    in_use: int
    paused_s: float
    requests_per_s: float | None
    learned_per_s: float | None
    requests_left: float | None
    tokens_left: float | None
    refusals: int


@dataclass(frozen=True, slots=True)
class LineState:
    """One upstream and model.

    Attributes:
        limit: Calls that may be under way at a time, now.
        in_use: Calls under way.
        queued: Waiting calls by lane.
        wait_s: Seconds that a newcomer of a new tenant would wait, by lane; an estimate.
        drain_per_s: Calls per second that leave the queue; None where too little was seen.
        keys: The gateway's own keys; passed-through credentials aren't listed.
        avoided_429: Calls that waited for a limit on requests or tokens instead of being refused upstream.
        refused_429: Calls that the upstream answered 429.
        turned_away: Calls that were told `queue_full`.
        given_up: Calls that were told `deadline_unreachable`.
    """

    limit: int
    in_use: int
    queued: dict[Lane, int]
    wait_s: dict[Lane, float]
    drain_per_s: float | None
    keys: tuple[KeyState, ...]
    avoided_429: int
    refused_429: int
    turned_away: int
    given_up: int

"""What callers are told whose turn doesn't come: always when to come back."""

from __future__ import annotations

from typing import Final

from askonce.errors import Refusal

__all__ = ["in_vain", "queue_full", "unreachable"]

_TOO_MANY: Final = 429
_RETRY_S: Final = (1.0, 600.0)
"""The shortest and the longest time after which a caller is asked to come back, in seconds."""

_SURE: Final = 0.8
"""The share of a wait's estimate that must outlast a deadline before its call is given up: estimates waver."""


def in_vain(wait_s: float, deadline: float, now: float) -> bool:
    """Whether a wait of about so many seconds will not be over by the deadline."""
    return now + wait_s * _SURE > deadline


def queue_full(name: str, waiting: int, wait_s: float) -> Refusal:
    """So many wait for `name` already; the queue drains in `wait_s` seconds."""
    retry_s = _retry_s(wait_s)
    sentence = f"{waiting} requests wait for {name} already; try again in {retry_s:.0f} s."
    return Refusal(_TOO_MANY, "queue_full", sentence, retry_after_s=retry_s)


def unreachable(name: str, wait_s: float) -> Refusal:
    """The turn comes in `wait_s` seconds, after the deadline."""
    retry_s = _retry_s(wait_s)
    sentence = (
        f"{name} could be asked in about {retry_s:.0f} s, which is after this request's deadline; allow more time with "
        "X-Askonce-Timeout, or try again then."
    )
    return Refusal(_TOO_MANY, "deadline_unreachable", sentence, retry_after_s=retry_s)


def _retry_s(wait_s: float) -> float:
    least, most = _RETRY_S
    return max(least, min(wait_s, most))

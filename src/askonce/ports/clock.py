"""Wall-clock time."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Clock"]


class Clock(Protocol):
    """Wall-clock time; waiting and deadlines use the event loop's own monotonic clock."""

    def now(self) -> float:
        """Unix seconds."""
        ...

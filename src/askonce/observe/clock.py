"""The machine's clock."""

from __future__ import annotations

import time

__all__ = ["SystemClock"]


class SystemClock:
    """Unix time as the machine has it. It may jump: expiry follows it, deadlines don't."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

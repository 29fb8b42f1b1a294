"""What may be sent: the limits of one upstream and model, as the operator declares them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What an upstream is known to bear; what isn't declared is learned.

    Attributes:
        max_concurrency: The most upstream calls at a time.
        min_concurrency: What overload never reduces the calls at a time below.
        target_latency_s: Seconds to the first byte that overload is told by; None: by the upstream's refusals alone.
        requests_per_minute: Of each key; None: no limit is known.
        tokens_per_minute: Of each key, prompt and completion together; None: no limit is known.
        max_queue: The most calls that wait.
    """

    max_concurrency: int = 512
    min_concurrency: int = 4
    target_latency_s: float | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    max_queue: int = 1_000

"""What a simulated upstream counts: how tests and benchmarks see what a gateway really sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from askonce.model import Endpoint, Json

__all__ = ["Counters"]


@dataclass(slots=True)
class Counters:
    """Counts since the start or the last `reset`.

    Attributes:
        calls: Inference calls that came in, refused ones included.
        by_endpoint: The same by path (`chat/completions`).
        by_outcome: Ended calls: `ok`, `html`, `garbage`, `half`, `cancelled`, `severed` (an outage took the
            connection), or the error's status (`429`).
        streams: Calls that asked for events.
        rate_limited: Calls refused because they were above a rate limit.
        in_outage: Calls that came while the upstream was dead.
        inputs: Conversations, prompts and texts of the answered calls: above `calls` where they came in lists.
        images: Images in the answered calls.
        running: Calls under way now.
        max_running: The most that were under way at once.
        prompt_tokens: Tokens asked, of answered calls.
        completion_tokens: Tokens generated, those of streams cut short as far as they came included.
        spent_nanousd: What these tokens would have cost at the models' prices.
    """

    calls: int = 0
    by_endpoint: dict[str, int] = field(default_factory=dict)
    by_outcome: dict[str, int] = field(default_factory=dict)
    streams: int = 0
    rate_limited: int = 0
    in_outage: int = 0
    inputs: int = 0
    images: int = 0
    running: int = 0
    max_running: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    spent_nanousd: int = 0

    @property
    def cancelled(self) -> int:
        """Calls whose caller left before the end."""
        return self.by_outcome.get("cancelled", 0)

    def begin(self, endpoint: Endpoint, *, stream: bool) -> None:
        """A call has come in."""
        self.calls += 1
        self.streams += stream
        self.by_endpoint[endpoint.value] = self.by_endpoint.get(endpoint.value, 0) + 1
        self.running += 1
        self.max_running = max(self.max_running, self.running)

    def end(self, outcome: str) -> None:
        """A call has ended."""
        self.running -= 1
        self.by_outcome[outcome] = self.by_outcome.get(outcome, 0) + 1

    def reset(self) -> None:
        """Starts again from zero; calls under way stay counted as such."""
        self.calls = self.streams = self.inputs = self.images = 0
        self.rate_limited = self.in_outage = 0
        self.prompt_tokens = self.completion_tokens = self.spent_nanousd = 0
        self.by_endpoint = {}
        self.by_outcome = {}
        self.max_running = self.running

    def as_json(self) -> Json:
        """All counts, by name."""
        return {
            "calls": self.calls,
            "by_endpoint": dict(self.by_endpoint),
            "by_outcome": dict(self.by_outcome),
            "cancelled": self.cancelled,
            "streams": self.streams,
            "rate_limited": self.rate_limited,
            "in_outage": self.in_outage,
            "inputs": self.inputs,
            "images": self.images,
            "running": self.running,
            "max_running": self.max_running,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "spent_nanousd": self.spent_nanousd,
        }

"""What a simulation can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from askonce.upstreams.simulated.limits import RateLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.upstreams.simulated.outages import PlannedOutage

__all__ = ["SimulatedModel", "Simulation"]

_WHOLE: Final = 1 + 1e-9
"""1, with room for the rounding of a sum."""


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """A model on offer and its prices, in US dollars per million tokens."""

    name: str
    prompt_usd_per_million: float = 0.0
    completion_usd_per_million: float = 0.0

    def cost_nanousd(self, prompt_tokens: int, completion_tokens: int) -> int:
        """What so many tokens cost, in nano-dollars (a dollar per million tokens is 1,000 of them a token)."""
        dollars_per_million = (
            prompt_tokens * self.prompt_usd_per_million + completion_tokens * self.completion_usd_per_million
        )
        return round(dollars_per_million * 1000)


@dataclass(frozen=True, slots=True)
class Simulation:
    """How a simulated upstream behaves. The same options and requests bring the same answers and faults.

    Attributes:
        name: The upstream's name in the configuration.
        seed: Everything made up is a function of it and of the request.
        ttft_ms: Time until the first token (or the error) comes.
        tokens_per_second: Pace of the tokens after the first, per choice; None sends them all at once.
        concurrency_knee: Beyond so many calls in flight the time per token grows in proportion; None: never.
        error_rate: Share of calls that fail with 500.
        rate_limit_rate: Share of calls that fail with 429 and `Retry-After`.
        garbage_rate: Share of calls answered 200 with HTML or broken JSON (in streams: with a broken event).
        half_stream_rate: Share of calls whose answer breaks off half-way.
        retry_after_s: What rate-limited calls are told to wait.
        slots: Calls that are worked on at a time, each until it has been answered; the others wait in the order in
            which they came. None: any number.
        call_ms: Fixed time that a call takes, before its first token.
        item_ms: Time that each of a call's conversations, prompts or texts takes, before its first token.
        rate_limits: What is refused with 429 because it is too much.
        outages: When the upstream is dead.
        answers: Answers by question; questions are compared without case and surplus white space.
        models: The models on offer; empty accepts any name, at no price.
        embedding_dimensions: Length of embeddings where the request doesn't say.
    """

    name: str = "simulated"
    seed: int = 0
    ttft_ms: float = 0.0
    tokens_per_second: float | None = None
    concurrency_knee: int | None = None
    error_rate: float = 0.0
    rate_limit_rate: float = 0.0
    garbage_rate: float = 0.0
    half_stream_rate: float = 0.0
    retry_after_s: float = 1.0
    slots: int | None = None
    call_ms: float = 0.0
    item_ms: float = 0.0
    rate_limits: RateLimits = field(default_factory=RateLimits)
    outages: tuple[PlannedOutage, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    models: tuple[SimulatedModel, ...] = ()
    embedding_dimensions: int = 1536

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            ValueError: a rate isn't a share, the rates exceed 1 together, or a time or size makes no sense.
        """
        rates = (self.error_rate, self.rate_limit_rate, self.garbage_rate, self.half_stream_rate)
        if any(not 0 <= rate <= 1 for rate in rates) or sum(rates) > _WHOLE:
            raise ValueError("each rate lies between 0 and 1, and so does their sum")
        if min(self.ttft_ms, self.call_ms, self.item_ms) < 0:
            raise ValueError("`ttft_ms`, `call_ms` and `item_ms` are at least 0")
        if self.tokens_per_second is not None and self.tokens_per_second <= 0:
            raise ValueError("`tokens_per_second` is above 0")
        if self.slots is not None and self.slots < 1:
            raise ValueError("`slots` is at least 1")
        if self.concurrency_knee is not None and self.concurrency_knee < 1:
            raise ValueError("`concurrency_knee` is at least 1")

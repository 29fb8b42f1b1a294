"""What becomes of one call: as its `x_simulate` field says, or else as the dice fall."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from askonce.upstreams.simulated.failures import invalid

if TYPE_CHECKING:
    from askonce.upstreams.simulated.dice import Dice
    from askonce.upstreams.simulated.options import Simulation

__all__ = ["FIELD", "Directive", "Fault", "read_directive", "roll"]

FIELD: Final = "x_simulate"
"""The request field that directs a call."""


class Fault(StrEnum):
    """What is wrong with an answer of status 200; the value is the call's outcome in the counters."""

    NONE = "ok"
    HTML = "html"
    """The body is a page of HTML."""
    GARBAGE = "garbage"
    """The body, or an event, is broken JSON."""
    HALF = "half"
    """The connection breaks off before the end."""


@dataclass(frozen=True, slots=True)
class Directive:
    """The request field `x_simulate`: overrides the simulation for that call, chance included.

    Attributes:
        status: Fail with this HTTP status (400 to 599).
        code: The error's code, where the status's usual one won't do.
        retry_after_s: Sent with the failure.
        ttft_ms: Time until the first token or the failure.
        tokens: Length of each text, in tokens.
        break_after_events: Break off after so many events (a plain answer: half-way).
        garbage: Answer 200 with broken JSON; in streams the third event is broken.
        html: Answer with a page of HTML; together with `status`, under that status.
        no_store: Forbid keeping the answer.
        max_age_s: Say how long the answer may be kept.
        attempts: Apply only to the first so many calls with this content.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    status: Annotated[int, Field(ge=400, le=599)] | None = None
    code: str | None = None
    retry_after_s: Annotated[float, Field(ge=0)] | None = None
    ttft_ms: Annotated[float, Field(ge=0)] | None = None
    tokens: Annotated[int, Field(ge=1, le=100_000)] | None = None
    break_after_events: Annotated[int, Field(ge=0)] | None = None
    garbage: bool = False
    html: bool = False
    no_store: bool = False
    max_age_s: Annotated[float, Field(ge=0)] | None = None
    attempts: Annotated[int, Field(ge=0)] | None = None

    @property
    def fault(self) -> Fault:
        """What is wrong with an answer of status 200."""
        if self.html:
            return Fault.HTML
        if self.garbage:
            return Fault.GARBAGE
        return Fault.NONE if self.break_after_events is None else Fault.HALF


_ADAPTER: Final = TypeAdapter(Directive)
PLAIN: Final = Directive()


def read_directive(raw: bytes, attempt: int) -> Directive:
    """The directive (JSON) of a call that is the `attempt`-th with its content (from 0).

    Raises:
        UpstreamFailure: it isn't a directive.
    """
    try:
        directive = _ADAPTER.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join([FIELD, *map(str, first["loc"])])
        raise invalid(f"Invalid `{where}`: {first['msg']}.", where) from None
    return PLAIN if directive.attempts is not None and attempt >= directive.attempts else directive


def roll(simulation: Simulation, dice: Dice, *, stream: bool) -> Directive:
    """What chance makes of a call."""
    share = dice.share()
    if share < (bound := simulation.error_rate):
        return Directive(status=500)
    if share < (bound := bound + simulation.rate_limit_rate):
        return Directive(status=429, retry_after_s=simulation.retry_after_s)
    if share < (bound := bound + simulation.garbage_rate):
        return Directive(garbage=True) if stream or dice.below(2) else Directive(html=True)
    if share < bound + simulation.half_stream_rate:
        return Directive(break_after_events=1 + dice.below(8))
    return PLAIN

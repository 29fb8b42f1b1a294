"""How an answer arrives: at its pace, whole or broken."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from askonce.errors import Sharing, UpstreamFailure
from askonce.upstreams.simulated.directive import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.upstreams.simulated.books import CallBooks
    from askonce.upstreams.simulated.counters import Counters
    from askonce.upstreams.simulated.directive import Directive
    from askonce.upstreams.simulated.engine import Engine
    from askonce.upstreams.simulated.generation import Generation
    from askonce.upstreams.simulated.options import SimulatedModel, Simulation

__all__ = ["Pace", "SimulatedReply", "Tally"]

_HTML: Final = (
    b"<!DOCTYPE html><html><head><title>Simulated</title></head><body>No answer here.</body></html>"
)
_BROKEN: Final = b'{"id":"chatcmpl-simulated","choices":[{"index":0,"delta":{"conte'
_GARBAGE_EVENT: Final = 2
"""Which event of a stream is broken, where it has as many."""
_SLICE_S: Final = 0.05
"""The longest sleep of a plain answer whose pace may change meanwhile."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast tokens come, given how many calls are under way."""

    simulation: Simulation
    counters: Counters

    @property
    def token_s(self) -> float:
        """Seconds that a token takes now: 1/speed, times running/knee beyond the knee."""
        speed, knee = self.simulation.tokens_per_second, self.simulation.concurrency_knee
        if speed is None:
            return 0.0
        crowd = 1.0 if knee is None else max(1.0, self.counters.running / knee)
        return crowd / speed

    async def wait(self, tokens: int) -> None:
        """Sleeps for as long as so many tokens take."""
        if self.simulation.tokens_per_second is None:
            return
        while tokens > 0:
            token_s = self.token_s
            count = tokens
            if self.simulation.concurrency_knee is not None:
                count = min(tokens, max(1, int(_SLICE_S / token_s)))
            await asyncio.sleep(count * token_s)
            tokens -= count


@dataclass(frozen=True, slots=True)
class Tally:
    """What is told that an answer has ended: the counters, the books, and the engine, which is free then."""

    counters: Counters
    model: SimulatedModel | None
    engine: Engine
    books: CallBooks
    call: str

    def end(self, outcome: str, prompt_tokens: int, completion_tokens: int) -> None:
        """Counts an accepted call's end."""
        counters = self.counters
        counters.prompt_tokens += prompt_tokens
        counters.completion_tokens += completion_tokens
        if self.model is not None:
            counters.spent_nanousd += self.model.cost_nanousd(prompt_tokens, completion_tokens)
        counters.end(outcome)
        self.books.end(self.call, outcome, prompt_tokens, completion_tokens)
        self.engine.finish()


class SimulatedReply:
    """An accepted call: its body, or its events at their pace.

    Attributes:
        fault: What is wrong with the answer.
        streamed: Whether it comes as events.
        no_store: Whether keeping it is forbidden.
        max_age_s: How long it may be kept, where that was directed.
        headers: Response headers as a provider sends.
    """

    def __init__(
        self,
        generation: Generation,
        directive: Directive,
        pace: Pace,
        tally: Tally,
        *,
        limit_headers: Sequence[tuple[str, str]],
        check: Callable[[], None],
    ) -> None:
        """`check` raises UpstreamFailure once the upstream is dead for this call."""
        self.fault = directive.fault
        self.streamed = bool(generation.steps)
        self.no_store = directive.no_store
        self.max_age_s = directive.max_age_s
        self.headers: Sequence[tuple[str, str]] = (("openai-version", "2020-10-01"), *limit_headers)
        self._check = check
        self._generation = generation
        self._break_after = directive.break_after_events if self.fault is Fault.HALF else None
        self._pace = pace
        self._tally = tally
        self._position = 0
        self._events_sent = 0
        self._tokens_sent = 0
        self._due_s = asyncio.get_running_loop().time()
        self._settled = False

    @property
    def finished(self) -> bool:
        """Whether the stream has come to its end."""
        return (
            self._settled and self._position == len(self._generation.steps) and self.fault is not Fault.HALF
        )

    async def body(self) -> bytes:
        """The whole body, or what the fault makes of it."""
        self._settle(self.fault, self._generation.tokens.completion)
        whole = self._generation.whole
        match self.fault:
            case Fault.HTML:
                return _HTML
            case Fault.GARBAGE:
                return _BROKEN
            case Fault.HALF:
                return whole[: len(whole) // 2]
            case Fault.NONE:
                return whole

    async def read(self) -> Sequence[bytes]:
        """The events that are due, at least one; empty at the end.

        Raises:
            UpstreamFailure: the stream breaks off here, or is no stream.
        """
        if self.fault is Fault.HTML:
            self._settle(self.fault, 0)
            raise _broken("upstream_garbage", "The simulated upstream answered with HTML.")
        steps = self._generation.steps
        if self._position == len(steps) or self._broken_off:
            return self._end()
        loop = asyncio.get_running_loop()
        wait_s = self._due_s - loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        self._check_alive()
        events = self._take()
        now = loop.time()
        while self._position < len(steps) and self._due_s <= now:
            events += self._take()
        return self._sendable(events) or self._end()

    async def aclose(self) -> None:
        """Stops generating; an answer that wasn't read to its end counts as cancelled."""
        generation = self._generation
        self._settle("cancelled", self._tokens_sent if generation.steps else generation.tokens.completion)

    def _check_alive(self) -> None:
        try:
            self._check()
        except UpstreamFailure:
            self._settle("severed", self._tokens_sent)
            raise

    @property
    def _broken_off(self) -> bool:
        return self._break_after is not None and self._events_sent >= self._break_after

    def _take(self) -> list[bytes]:
        step = self._generation.steps[self._position]
        self._position += 1
        self._tokens_sent += step.tokens
        self._due_s += self._pace.token_s
        return list(step.events)

    def _sendable(self, events: list[bytes]) -> Sequence[bytes]:
        """What the fault leaves of the next events."""
        if self._break_after is not None:
            events = events[: self._break_after - self._events_sent]
        first, self._events_sent = self._events_sent, self._events_sent + len(events)
        if self.fault is Fault.GARBAGE and first <= _GARBAGE_EVENT < self._events_sent:
            events[_GARBAGE_EVENT - first] = _BROKEN
        if self._position == len(self._generation.steps) and self._break_after is None:
            self._settle(self.fault, self._tokens_sent)
        return events

    def _end(self) -> Sequence[bytes]:
        self._settle(self.fault, self._tokens_sent)
        if self.fault is Fault.HALF:
            raise _broken(
                "upstream_broke_off", "The simulated upstream broke off in the middle of its answer."
            )
        return ()

    def _settle(self, outcome: str, completion_tokens: int) -> None:
        if not self._settled:
            self._settled = True
            self._tally.end(str(outcome), self._generation.tokens.prompt, completion_tokens)


def _broken(code: str, sentence: str) -> UpstreamFailure:
    return UpstreamFailure(502, code, sentence, sharing=Sharing.TRANSIENT, began=True)

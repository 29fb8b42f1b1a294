"""A line through random histories: never more than it may send, never a slot lost, never a turn withheld."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from askonce.errors import Refusal, Sharing, UpstreamFailure
from askonce.model import Lane
from askonce.sending.limits import Limits
from askonce.sending.line import Line
from askonce.sending.ticket import Ticket
from sending.limiters import CALL, Reply
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from askonce.model import Call, Json
    from askonce.sending.passage import Passage
    from askonce.sending.state import LineState

PER_SECOND = 100
LIMITS = Limits(max_concurrency=2, min_concurrency=1, requests_per_minute=60 * PER_SECOND, max_queue=12)


@dataclass
class HeldUpstream:
    """Answers when it is told to."""

    line: Line | None = None
    under_way: list[asyncio.Future[Reply]] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)
    name: str = "held"

    async def open(self, call: Call) -> Reply:  # noqa: ARG002 - all calls are alike
        assert self.line is not None
        state = self.line.state()
        assert state.in_use <= LIMITS.max_concurrency
        loop = asyncio.get_running_loop()
        self.sent_at.append(loop.time())
        turn: asyncio.Future[Reply] = loop.create_future()
        self.under_way.append(turn)
        try:
            return await turn
        finally:
            self.under_way.remove(turn)

    async def models(self, credential: str | None) -> list[Json]:
        raise NotImplementedError

    async def close(self) -> None:
        return


class AdmissionMachine(RuleBasedStateMachine):
    """Arrivals, answers, failures, cancellations and time, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.upstream = HeldUpstream()
        self.line = Line(self.upstream, "m", LIMITS)
        self.upstream.line = self.line
        self.calls: list[tuple[Ticket, asyncio.Task[Passage]]] = []

    @rule(
        tenant=st.sampled_from("abc"),
        lane=st.sampled_from(Lane),
        tokens=st.integers(0, 1_000),
        patience_s=st.sampled_from([0.01, 1.0, 1_000.0]),
    )
    def arrive(self, tenant: str, lane: Lane, tokens: int, patience_s: float) -> None:
        """A call wants to go out."""
        ticket = Ticket(tenant, lane, tokens, self.loop.time() + patience_s)
        self.calls.append((ticket, self.loop.create_task(self.line.open(CALL, ticket))))
        self.loop.settle()

    @precondition(lambda self: self.upstream.under_way)
    @rule(place=st.integers(0, 20), status=st.sampled_from([200, 200, 200, 400, 429, 503]))
    def answer(self, place: int, status: int) -> None:
        """The upstream takes a call, or doesn't."""
        turn = self.upstream.under_way[place % len(self.upstream.under_way)]
        if status == 200:
            turn.set_result(Reply(0.0))
        else:
            sharing = Sharing.FATAL if status == 400 else Sharing.TRANSIENT
            turn.set_exception(UpstreamFailure(status, f"upstream_{status}", "no", sharing=sharing))
        self.loop.settle()

    @precondition(lambda self: self.calls)
    @rule(place=st.integers(0, 50), others_leave=st.booleans())
    def close(self, place: int, others_leave: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        """A passage is closed, twice; perhaps whoever waits leaves in the moment in which its turn comes."""
        call = self.calls[place % len(self.calls)]
        task = call[1]
        if task.done() and not task.cancelled() and task.exception() is None:
            self.calls.remove(call)
            self.loop.run_until_complete(self._close(task.result(), others_leave=others_leave))
        self.loop.settle()

    async def _close(self, passage: Passage, *, others_leave: bool) -> None:
        await passage.aclose()
        await passage.aclose()
        for _, task in self.calls if others_leave else ():
            task.cancel()

    @precondition(lambda self: self.calls)
    @rule(place=st.integers(0, 50), together=st.booleans())
    def cancel(self, place: int, together: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        """A caller leaves, wherever its call is; perhaps in the very moment in which an answer comes."""
        if together and self.upstream.under_way:
            self.upstream.under_way[0].set_exception(UpstreamFailure(400, "bad", "no", sharing=Sharing.FATAL))
        self.calls[place % len(self.calls)][1].cancel()
        self.loop.settle()

    @precondition(lambda self: self.calls)
    @rule(place=st.integers(0, 50), lane=st.sampled_from(Lane))
    def hurry(self, place: int, lane: Lane) -> None:
        """A caller in another lane joins."""
        ticket, _ = self.calls[place % len(self.calls)]
        before = list(Lane).index(ticket.lane)
        self.loop.call_soon(self.line.hurry, ticket, lane)
        self.loop.settle()
        assert list(Lane).index(ticket.lane) == min(before, list(Lane).index(lane))

    @rule(seconds=st.sampled_from([0.001, 0.05, 1.0, 30.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.loop.advance(seconds)

    @invariant()
    def a_slot_is_held_by_those_that_hold_one(self) -> None:
        """In use is what is under way or open, no more and no less; the queue stays within its bound."""
        state = self._state()
        opened = sum(
            task.done() and not task.cancelled() and task.exception() is None for _, task in self.calls
        )
        assert state.in_use == len(self.upstream.under_way) + opened
        assert 0 <= state.in_use <= LIMITS.max_concurrency
        assert sum(state.queued.values()) <= LIMITS.max_queue
        waiting = sum(not task.done() for _, task in self.calls) - len(self.upstream.under_way)
        assert sum(state.queued.values()) == waiting
        assert sum(key.in_use for key in state.keys) == state.in_use

    @invariant()
    def nobody_waits_without_a_reason(self) -> None:
        """Whoever waits, waits for a slot or for a key that is held back by a timer."""
        state = self._state()
        if sum(state.queued.values()):
            admission = self.line._admission
            assert state.in_use >= state.limit or admission._ring.own.held is not None

    @invariant()
    def the_declared_rate_is_kept(self) -> None:
        """No minute and no second has more calls than were declared."""
        times = self.upstream.sent_at
        for start in times[-30:]:
            assert sum(start <= at < start + 0.999 for at in times) <= PER_SECOND

    def teardown(self) -> None:
        """When all have left, every slot can be had again, by anybody."""
        for _, task in self.calls:
            task.cancel()
        self.loop.settle()
        for _, task in self.calls:
            if not task.cancelled() and task.exception() is None:
                self.loop.run_until_complete(task.result().aclose())
            elif not task.cancelled():
                assert isinstance(task.exception(), Refusal)
        assert self.line.idle
        self.loop.advance(700)
        again = [
            self.loop.create_task(self.line.open(CALL, Ticket("z", Lane.BATCH, 1, self.loop.time() + 1e6)))
            for _ in range(self._state().limit)
        ]
        self.loop.advance(60)
        assert len(self.upstream.under_way) == len(again)
        for task in again:
            task.cancel()
        self.loop.settle()
        assert self.line.idle
        self.loop.close()

    def _state(self) -> LineState:
        async def look() -> LineState:
            return self.line.state()

        return self.loop.run_until_complete(look())


TestAdmissionMachine = AdmissionMachine.TestCase
TestAdmissionMachine.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


@pytest.mark.slow
def test_long_histories() -> None:
    """The same, longer and more often."""
    run_state_machine_as_test(
        AdmissionMachine, settings=settings(max_examples=400, stateful_step_count=60, deadline=None)
    )

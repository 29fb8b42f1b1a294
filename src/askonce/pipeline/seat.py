"""One caller's place on a flight: what it has read, how long it waits, what it is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from askonce.errors import CallerGone, Refusal
from askonce.model import Bypass, Fresh, Joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Answer, Chunk, Outcome, Request
    from askonce.pipeline.answers import Stamp
    from askonce.pipeline.broadcast import Log
    from askonce.pipeline.flight import Flight
    from askonce.trace import Trace

__all__ = ["Seat"]


class Seat:
    """One caller's place on a flight.

    Attributes:
        request: What it asked; what the flight is led by, should this seat get the lead.
        follows: Whether it belongs to another flight, which asks an equivalent question: it reads events whatever
            its callers want, never leads, and waits as long as they do.
        position: Events read so far; 0 also for callers that want the answer whole.
        events: Whether it reads events rather than the answer.
        led: Whether the upstream was asked on this seat's behalf.
        spent_nanousd: This caller's part of what upstream calls cost so far.
        deadline: Event-loop time at which it stops waiting; for a seat that follows, about when its callers do.
    """

    __slots__ = (
        "_failure", "_flight", "_log", "_timer", "_waker", "deadline", "events", "follows", "led", "position", "request",
        "spent_nanousd",
    )  # fmt: skip

    def __init__(self, flight: Flight, request: Request, *, follows: bool = False) -> None:
        self.request = request
        self.follows = follows
        self.position = 0
        self.events = follows or request.ask.stream
        self.led = False
        self.spent_nanousd = 0
        self._flight = flight
        self._log = flight.log
        self._log.hold()
        self._failure: Refusal | CallerGone | None = None
        self._waker: asyncio.Future[None] | None = None
        loop = asyncio.get_running_loop()
        self.deadline = loop.time() + request.policy.timeout_s
        self._timer = None if follows else loop.call_at(self.deadline, self._expire)

    @property
    def outcome(self) -> Outcome:
        """How this caller is answered; settled once `read` or `answer` has returned."""
        source, way = self._flight.source, self._flight.sent[0]
        if not isinstance(source, Fresh | Bypass):
            return source
        if not self.led:
            return Joined()
        return replace(source, reason=f"{source.reason}-{way}") if way else source

    @property
    def erased(self) -> bool:
        """Whether nothing is to be kept of this, since somebody on board has been erased."""
        return self._flight.erased

    @property
    def stamp(self) -> Stamp | None:
        """The upstream's own mark on the answer, for the caller on whose behalf it was asked."""
        return self._flight.stamp if self.led else None

    @property
    def model(self) -> str:
        """The answering model as the upstream reports it."""
        return self._flight.model

    @property
    def upstream_first_byte_s(self) -> float | None:
        """How long the upstream took to begin its answer, for the caller on whose behalf it was asked."""
        flight = self._flight
        asked = self.led and flight.asked_at and flight.told_at
        return flight.told_at - flight.asked_at if asked else None

    @property
    def waited_s(self) -> float:
        """How long it took until the call that was answered went out, for whom it was made; 0 where it went at once."""
        return self._flight.sent[1] if self.led else 0.0

    @property
    def call(self) -> Trace | None:
        """The span of the upstream call that brings the answer, whoever it was made for; None where there is none."""
        return self._flight.call

    @property
    def id_prefix(self) -> str:
        """Prefix of the ids that copies of the answer get."""
        return self._flight.id_prefix

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """The upstream's response headers, for the caller on whose behalf it was asked."""
        return self._flight.headers if self.led else ()

    async def read(self) -> Sequence[Chunk]:
        """The next events, all that there are; empty at the answer's end.

        Raises:
            Refusal: the flight failed, or this caller's deadline has passed. Whoever has had events gets those that
                came before the failure first; whoever has had none is told at once.
            CallerGone: this caller has left.
        """
        while True:
            if self._failure is not None and (not self.position or isinstance(self._failure, CallerGone)):
                raise self._failure
            if self.position < len(self._log):
                chunks = self._log.read(self.position)
                self.position = len(self._log)
                self._flight.trim()
                return chunks
            if self._failure is not None:
                raise self._failure
            if self._flight.answer is not None:
                return ()
            await self._news()

    async def answer(self) -> Answer:
        """The whole answer. Raises as `read` does."""
        while True:
            if self._failure is not None:
                raise self._failure
            if self._flight.answer is not None:
                return self._flight.answer
            await self._news()

    def leave(self) -> None:
        """Gives the seat up; safe to call again. The flight goes on for the others."""
        if self._timer is not None:
            self._timer.cancel()
        if self._flight.part_with(self):
            self._log.let_go()
            self._flight.trim()

    def gone(self) -> None:
        """The client's connection is closed: whoever waits on this seat is told."""
        if self._failure is None:
            self._failure = CallerGone()
            self.wake()

    def fail(self, failure: Refusal) -> None:
        """Ends this seat's journey, unless the answer has landed already or it was told something before."""
        if self._failure is None and self._flight.answer is None:
            self._failure = failure
            self.wake()

    def may_lead(self, wait_s: float) -> bool:
        """Whether the upstream can be asked again on its behalf after that many seconds.

        Not for those that have had bytes (their answer can't begin again), were told a failure or will be by then.
        """
        if self.follows or self.position or self._failure is not None:
            return False
        return self.deadline > asyncio.get_running_loop().time() + wait_s

    def reads(self, log: Log) -> bool:
        """Whether it follows the events of that log."""
        return self.events and self._log is log

    def change_log(self, log: Log) -> None:
        """Starts over on another log: nothing of the former one was read."""
        log.hold()
        self._log.let_go()
        self._log = log

    def wake(self) -> None:
        """Lets the waiting reader look again."""
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    async def _news(self) -> None:
        self._waker = asyncio.get_running_loop().create_future()
        try:
            await self._waker
        finally:
            self._waker = None

    def _expire(self) -> None:
        seconds = self.request.policy.timeout_s
        self.fail(
            Refusal(
                504,
                "deadline_exceeded",
                f"No answer within {seconds:g} s; ask again, or allow more time with X-Askonce-Timeout.",
            )
        )

"""One answer under way: its log, its callers' seats, and who is told when it fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from askonce.errors import CallerGone, Refusal, Sharing, UpstreamFailure
from askonce.model import Bypass, Fresh, Joined
from askonce.pipeline.answers import split
from askonce.pipeline.broadcast import Log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Answer, Chunk, Outcome, Question, Request
    from askonce.pipeline.answers import Stamp
    from askonce.pipeline.broadcast import LogMemory

__all__ = ["Flight", "Seat", "Tower"]


class Tower(Protocol):
    """What a flight needs of the table that it is in."""

    @property
    def memory(self) -> LogMemory:
        """The bytes that all logs share."""
        ...

    def remove(self, flight: Flight) -> None:
        """Takes it out of the table, so that nobody joins any more."""
        ...

    def cancel(self, flight: Flight) -> None:
        """Ends it: nobody waits for it."""
        ...

    def mark_unshareable(self, key: bytes) -> None:
        """Hit-for-miss: for a while, callers of this key are not queued behind each other."""
        ...


class Seat:
    """One caller's place on a flight.

    Attributes:
        request: What it asked; what the flight is led by, should this seat get the lead.
        position: Events read so far; 0 also for callers that want the answer whole.
        events: Whether it reads events rather than the answer.
        led: Whether the upstream was asked on this seat's behalf.
    """

    __slots__ = ("_deadline", "_failure", "_flight", "_log", "_waker", "events", "led", "position", "request")

    def __init__(self, flight: Flight, request: Request, *, events: bool) -> None:
        self.request = request
        self.position = 0
        self.events = events
        self.led = False
        self._flight = flight
        self._log = flight.log
        self._log.hold()
        self._failure: Refusal | CallerGone | None = None
        self._waker: asyncio.Future[None] | None = None
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(request.policy.timeout_s, self._expire)

    @property
    def outcome(self) -> Outcome:
        """How this caller is answered; settled once `read` or `answer` has returned."""
        source = self._flight.source
        return Joined() if isinstance(source, Fresh | Bypass) and not self.led else source

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
        return flight.told_at - flight.asked_at if self.led and flight.asked_at else None

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
            Refusal: the flight failed, or this caller's deadline has passed.
            CallerGone: this caller has left.
        """
        while True:
            if isinstance(self._failure, CallerGone):
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
        self._deadline.cancel()
        if self._flight.part_with(self):
            self._log.let_go()
            self._flight.trim()

    def gone(self) -> None:
        """The client's connection is closed: whoever waits on this seat is told."""
        self.fail(CallerGone())

    def fail(self, failure: Refusal | CallerGone) -> None:
        """Ends this seat's journey; events that are already in its log can still be read."""
        if self._failure is None:
            self._failure = failure
            self.wake()

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


class Flight:
    """One answer under way, and those who wait for it.

    Attributes:
        key: Its place in the table; None for a flight that nobody may join.
        lead: The seat on whose behalf the upstream is asked.
        log: The events so far, where the upstream streams.
        source: How the flight comes by its answer.
        stamp: The upstream's own mark, once known.
        id_prefix: Prefix of the ids that copies of the answer get, once known.
        model: The answering model as the upstream reports it, once known.
        headers: The upstream's response headers for the lead.
        answer: The whole answer, once it has landed.
        question: What the semantic tier finds it by, once embedded.
        started_at: Event loop time.
        asked_at: Event loop time at which the upstream was asked; 0 where it wasn't.
        told_at: Event loop time of its first event or whole answer; 0 before.
    """

    def __init__(self, tower: Tower, key: bytes | None, request: Request, source: Outcome) -> None:
        self.key = key
        self.source = source
        self.stamp: Stamp | None = None
        self.id_prefix = ""
        self.model = ""
        self.headers: Sequence[tuple[str, str]] = ()
        self.answer: Answer | None = None
        self.question: Question | None = None
        self.started_at = asyncio.get_running_loop().time()
        self.asked_at = 0.0
        self.told_at = 0.0
        self.log = Log(tower.memory)
        self.log.hold()
        self._tower = tower
        self._seats: dict[Seat, None] = {}
        self._handed_over = False
        self._linger_s = request.policy.linger_s
        self._linger: asyncio.TimerHandle | None = None
        self.lead = self.admit(request)
        self.lead.led = True

    @property
    def seats(self) -> int:
        """Callers on board."""
        return len(self._seats)

    def admit(self, request: Request, *, follow: bool = False) -> Seat:
        """One more caller; `follow` for another flight, which reads events whatever its callers want."""
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        seat = Seat(self, request, events=follow or request.ask.stream)
        self._seats[seat] = None
        return seat

    def part_with(self, seat: Seat) -> bool:
        """Takes a seat out; False where it had left before."""
        if seat not in self._seats:
            return False
        del self._seats[seat]
        if not self._seats and self.answer is None and self._linger_s is not None:
            self._linger = asyncio.get_running_loop().call_later(self._linger_s, self._tower.cancel, self)
        return True

    def describe(self, stamp: Stamp | None, id_prefix: str, model: str) -> None:
        """Says what the answer's envelopes are made of; before the first event, or with the answer."""
        self.stamp, self.id_prefix, self.model = stamp, id_prefix, model
        self.told_at = self.told_at or asyncio.get_running_loop().time()

    def publish(self, chunk: Chunk) -> None:
        """Adds an event for all to read."""
        self.log.append(chunk)
        if self.log.overfull:
            self._tower.remove(self)
            self.trim()
        self._wake_all()

    def land(self, answer: Answer, source: Outcome) -> None:
        """Completes the flight: store first, then call this; it leaves the table in the same breath."""
        self.source = source
        self.answer = answer
        self.describe(self.stamp, answer.id_prefix, answer.model)
        if not len(self.log) and any(seat.events for seat in self._seats):
            for chunk in split(answer):
                self.log.append(chunk)
        self._tower.remove(self)
        self._wake_all()

    def mark_unshareable(self) -> None:
        """The upstream forbids to keep the answer: the next callers need not wait for each other in vain."""
        if self.key is not None:
            self._tower.mark_unshareable(self.key)

    def crash(self, failure: Refusal) -> None:
        """Ends the flight for everybody."""
        self._tower.remove(self)
        for seat in self._seats:
            seat.fail(failure)

    def hand_over(self, failure: Refusal) -> bool:
        """Tells those whom a failure concerns; True where somebody is left who leads from now on.

        A transient failure hands over once per flight. A personal one is told to its leader alone, however often.
        Those that have had bytes are always told: their answer can't begin again.
        """
        personal = isinstance(failure, UpstreamFailure) and failure.sharing is Sharing.PERSONAL
        transient = isinstance(failure, UpstreamFailure) and failure.sharing is Sharing.TRANSIENT
        if not (personal or (transient and not self._handed_over)):
            self.crash(failure)
            return False
        self._handed_over = self._handed_over or transient
        waiting = [seat for seat in self._seats if seat is not self.lead and not seat.position]
        for seat in self._seats:
            if seat not in waiting:
                seat.fail(failure)
        if not waiting:
            self._tower.remove(self)
            return False
        self._restart(waiting)
        return True

    def longest_wait_s(self) -> float:
        """Seconds until the last deadline of those on board."""
        now = asyncio.get_running_loop().time()
        return max((seat._deadline.when() - now for seat in self._seats), default=0.0)  # noqa: SLF001 - its own seats

    def trim(self) -> None:
        """Drops what every reader has read from an overfull log."""
        if self.log.overfull:
            positions = (seat.position for seat in self._seats if seat.reads(self.log))
            self.log.drop_before(min(positions, default=len(self.log)))

    def _restart(self, waiting: list[Seat]) -> None:
        if len(self.log):
            former, self.log = self.log, Log(self._tower.memory)
            self.log.hold()
            for seat in waiting:
                seat.change_log(self.log)
            former.let_go()
        self.stamp = None
        self.headers = ()
        self.lead = waiting[0]
        self.lead.led = True

    def _wake_all(self) -> None:
        for seat in self._seats:
            seat.wake()

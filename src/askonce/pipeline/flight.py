"""One answer under way: its log, its callers' seats, and who is told when it fails."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Final, Protocol

from askonce.errors import Sharing, UpstreamFailure
from askonce.model import Lane
from askonce.pipeline.answers import split
from askonce.pipeline.broadcast import Log
from askonce.pipeline.seat import Seat

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from askonce.errors import Refusal
    from askonce.model import Answer, Chunk, Outcome, Question, Request
    from askonce.pipeline.answers import Stamp
    from askonce.pipeline.broadcast import LogMemory
    from askonce.pipeline.decision import Decision
    from askonce.pipeline.journey import Journey
    from askonce.trace import Trace

__all__ = ["Flight", "Seat", "Tower", "pause_s"]

_SENT: Final = ("", 0.0)


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
        candidates: Stored answers that weren't served, likeliest first: to be compared with this one, once landed.
        journey: Its way to an upstream's answer, once it is asked for.
        diverted: Whether another model stands in for the asked one.
        erased: Whether one of those who asked has been erased meanwhile: its callers are answered, and nothing of it is kept.
        sent: What there is to say of that way, as a reason code ("" for nothing), and the seconds until the call that
            was answered went out.
        call: The span of that call, where requests are traced.
        started_at: Event loop time.
        asked_at: `perf_counter` time at which the upstream was asked; 0 where it wasn't. (The loop's own clock may
            count whole milliseconds.)
        told_at: The same of its first event or whole answer; 0 before.
    """

    def __init__(self, tower: Tower, key: bytes | None, request: Request, source: Outcome) -> None:
        self.key = key
        self.source = self._own_source = source
        self.stamp: Stamp | None = None
        self.id_prefix = ""
        self.model = ""
        self.headers: Sequence[tuple[str, str]] = ()
        self.answer: Answer | None = None
        self.question: Question | None = None
        self.candidates: tuple[Decision, ...] = ()
        self.journey: Journey | None = None
        self.diverted = False
        self.erased = False
        self.sent = _SENT
        self.call: Trace | None = None
        self.started_at = asyncio.get_running_loop().time()
        self.asked_at = 0.0
        self.told_at = 0.0
        self.log = Log(tower.memory)
        self.log.hold()
        self._tower = tower
        self._seats: dict[Seat, None] = {}
        self._handed_over = False
        self._over = False
        self._linger_s = request.policy.linger_s
        self._linger: asyncio.TimerHandle | None = None
        self.lead = self.admit(request)
        self.lead.led = True

    @property
    def seats(self) -> int:
        """Callers on board."""
        return len(self._seats)

    @property
    def aboard(self) -> Collection[Seat]:
        """Who is on board, in the order in which they came."""
        return self._seats.keys()

    @property
    def asked(self) -> Iterator[Request]:
        """What it is asked by whoever leads it, and by those on board who may come to."""
        yield self.lead.request
        yield from (seat.request for seat in self._seats if not seat.follows)

    @property
    def lane(self) -> Lane:
        """The most urgent one of its callers."""
        if len(self._seats) == 1:
            return next(iter(self._seats)).request.policy.lane
        lanes = {seat.request.policy.lane for seat in self._seats}
        return next((lane for lane in Lane if lane in lanes), self.lead.request.policy.lane)

    @property
    def deadline(self) -> float:
        """Event-loop time by which the most patient of its callers wants the answer."""
        return max((seat.deadline for seat in self._seats), default=self.lead.deadline)

    def admit(self, request: Request, *, follows: bool = False) -> Seat:
        """One more caller; `follows` for another flight, which asks an equivalent question."""
        self._stop_lingering()
        seat = Seat(self, request, follows=follows)
        self._seats[seat] = None
        if self.journey is not None:
            self.journey.hurry()
        return seat

    def part_with(self, seat: Seat) -> bool:
        """Takes a seat out; False where it had left before."""
        if seat not in self._seats:
            return False
        del self._seats[seat]
        if not self._seats and not self._over and self._linger_s is not None:
            self._linger = asyncio.get_running_loop().call_later(self._linger_s, self._tower.cancel, self)
        return True

    def describe(self, stamp: Stamp | None, id_prefix: str, model: str) -> None:
        """Says what the answer's envelopes are made of; before the first event, or with the answer."""
        self.stamp, self.id_prefix, self.model = stamp, id_prefix, model
        self.told_at = self.told_at or perf_counter()

    def divert(self) -> None:
        """Another model stands in: what it answers says nothing of what the asked model's answers are worth.

        So nothing stored is compared with it, and flights that follow this one go their own way.
        """
        self.diverted = True
        self.candidates = ()
        for seat in self._seats:
            if seat.follows:
                seat.fail(_broken_off())

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
        self._end()
        self._wake_all()

    def mark_unshareable(self) -> None:
        """The upstream forbids to keep the answer: the next callers need not wait for each other in vain."""
        if self.key is not None:
            self._tower.mark_unshareable(self.key)

    def crash(self, failure: Refusal) -> None:
        """Ends the flight for everybody; those that have the answer, or were told before, keep what they have."""
        self._end()
        for seat in self._seats:
            seat.fail(failure)

    def hand_over(self, failure: Refusal) -> bool:
        """Tells those whom a failure concerns; True where somebody is left who leads from now on.

        A transient failure hands over once per flight, to those whose deadlines outlast its `Retry-After`. A personal
        one is told to callers with the leader's credential alone, however often. Those that have had bytes are always
        told something: their answer can't begin again. So are other flights that follow this one: what it brings next
        may answer another question.
        """
        sharing = failure.sharing if isinstance(failure, UpstreamFailure) else Sharing.FATAL
        personal = sharing is Sharing.PERSONAL
        again = personal or (sharing is Sharing.TRANSIENT and not self._handed_over)
        wait_s = pause_s(failure)
        credential = self.lead.request.caller.identity
        heirs: dict[Seat, None] = {}
        for seat in self._seats:
            concerned = not personal or seat.request.caller.identity == credential
            spared = not concerned if personal else seat is not self.lead
            if again and spared and seat.may_lead(wait_s):
                heirs[seat] = None
            else:
                seat.fail(failure if concerned else _broken_off())
        if not heirs:
            self._end()
            return False
        self._handed_over = self._handed_over or not personal
        self._restart(heirs)
        return True

    def appoint(self) -> None:
        """Passes the lead on where its holder has left or was told a failure while it waited."""
        if self.lead not in self._seats or not self.lead.may_lead(0):
            self._lead(next((seat for seat in self._seats if seat.may_lead(0)), self.lead))

    def erase(self) -> None:
        """One of those who asked is erased: nobody else joins, and nothing of it is kept."""
        self.erased = True
        self.question = None
        self.candidates = ()
        self._tower.remove(self)

    def trim(self) -> None:
        """Drops what every reader has read from an overfull log."""
        if self.log.overfull:
            positions = (seat.position for seat in self._seats if seat.reads(self.log))
            self.log.drop_before(min(positions, default=len(self.log)))

    def _restart(self, heirs: Iterable[Seat]) -> None:
        if len(self.log):
            former, self.log = self.log, Log(self._tower.memory)
            self.log.hold()
            for seat in heirs:
                seat.change_log(self.log)
            former.let_go()
        self.source = self._own_source
        self.stamp = None
        self.id_prefix = self.model = ""
        self.headers = ()
        self.journey = None
        self.diverted = False
        self.sent = _SENT
        self.call = None
        self.asked_at = self.told_at = 0.0
        self._lead(next(iter(heirs)))

    def _lead(self, seat: Seat) -> None:
        self.lead = seat
        seat.led = True

    def _end(self) -> None:
        """Nobody joins any more, and nothing is left to cancel."""
        self._over = True
        self._tower.remove(self)
        self._stop_lingering()

    def _stop_lingering(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None

    def _wake_all(self) -> None:
        for seat in self._seats:
            seat.wake()


def pause_s(failure: Refusal) -> float:
    """Seconds to wait before somebody else asks again: a transient failure's `Retry-After`."""
    transient = isinstance(failure, UpstreamFailure) and failure.sharing is Sharing.TRANSIENT
    return (failure.retry_after_s or 0.0) if transient else 0.0


def _broken_off() -> UpstreamFailure:
    """What others are told whose answer ended with a failure that is the leader's own."""
    sentence = "The upstream broke off in the middle of its answer; try again."
    return UpstreamFailure(502, "upstream_broke_off", sentence, sharing=Sharing.TRANSIENT)

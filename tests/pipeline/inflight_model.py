"""What flights should do, said plainly: lists and times, no tasks, no futures.

The machine in `test_inflight_machine` drives this model and the real thing through the same history and compares.
Times are event loop seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from askonce.errors import Refusal, Sharing, UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from askonce.model import Request

__all__ = ["MARK_S", "ModelFlight", "ModelSeat", "Sky"]

MARK_S = 30.0


@dataclass(eq=False, repr=False)
class ModelSeat:
    """A caller: `log` is the list of events of the attempt that it reads, shared with the flight."""

    request: Request
    log: list[bytes]
    deadline_at: float | None
    follows: bool
    led: bool = False
    position: int = 0
    told: str | None = None
    """Code of the failure that it was told."""
    landed: bool = False

    @property
    def events(self) -> bool:
        return self.follows or self.request.ask.stream

    def may_lead(self, when: float) -> bool:
        fresh = not self.follows and not self.position and self.told is None
        return fresh and self.deadline_at is not None and self.deadline_at > when

    def fail(self, code: str) -> None:
        if self.told is None and not self.landed:
            self.told = code


@dataclass(eq=False, repr=False)
class ModelFlight:
    """An answer under way; `state` is `asking`, `resting` (for `Retry-After`), `landed`, `crashed` or `cancelled`."""

    key: bytes | None
    started_at: float
    linger_s: float | None
    state: str = "asking"
    asked: bool = False
    seats: list[ModelSeat] = field(default_factory=list)
    log: list[bytes] = field(default_factory=list)
    lead: ModelSeat | None = None
    handed_over: bool = False
    linger_at: float | None = None
    rest_until: float | None = None
    attempts: int = 1

    @property
    def running(self) -> bool:
        return self.state in {"asking", "resting"}

    @property
    def streams(self) -> bool:
        """Whether the upstream is asked for events: the leader's wish."""
        return self.lead is not None and self.lead.request.ask.stream


class Sky:
    """All flights, and the table of those that can be joined."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.flights: list[ModelFlight] = []
        self.table: dict[bytes, ModelFlight] = {}
        self.marks: dict[bytes, float] = {}
        self.seen: set[str] = set()
        """What has happened so far: the test proves that its histories go everywhere."""

    @property
    def running(self) -> list[ModelFlight]:
        return [flight for flight in self.flights if flight.running]

    def board(self, request: Request, key: bytes | None, *, join: bool) -> tuple[ModelFlight, ModelSeat]:
        if key is not None and self.marks.get(key, 0) > self.now:
            self.seen.add("hit-for-miss")
            key = None
        flight = self.table.get(key) if key is not None else None
        if flight is not None and self.now - flight.started_at < request.policy.max_flight_age_s:
            if join:
                return flight, self._admit(flight, request)
            self.seen.add("not joinable")
            key = None
        elif flight is not None:
            self.seen.add("no longer trusted")
        flight = ModelFlight(key, self.now, request.policy.linger_s)
        self.flights.append(flight)
        if key is not None:
            self.table[key] = flight
        seat = self._admit(flight, request)
        self._lead(flight, seat)
        return flight, seat

    def follow(self, key: bytes, request: Request) -> tuple[ModelFlight, ModelSeat] | None:
        flight = self.table.get(key)
        if flight is None or self.now - flight.started_at >= request.policy.max_flight_age_s:
            return None
        if not flight.asked:
            self.seen.add("not to be followed yet")
            return None
        self.seen.add("followed")
        return flight, self._admit(flight, request, follows=True)

    def _admit(self, flight: ModelFlight, request: Request, *, follows: bool = False) -> ModelSeat:
        if flight.linger_at is not None:
            self.seen.add("newcomer while lingering")
        if flight.log:
            self.seen.add("late joiner")
        flight.linger_at = None
        deadline_at = None if follows else self.now + request.policy.timeout_s
        seat = ModelSeat(request, flight.log, deadline_at, follows)
        flight.seats.append(seat)
        return seat

    def leave(self, flight: ModelFlight, seat: ModelSeat) -> None:
        if seat not in flight.seats:
            return
        flight.seats.remove(seat)
        if flight.running and flight.seats and seat is flight.lead:
            self.seen.add("leader leaves others")
        if not flight.seats and flight.running and flight.linger_s is not None:
            flight.linger_at = self.now + flight.linger_s

    def land(self, flight: ModelFlight, pieces: Callable[[], list[bytes]]) -> None:
        if not flight.log and any(seat.events for seat in flight.seats):
            self.seen.add("events of a plain answer")
            flight.log.extend(pieces())
        for seat in flight.seats:
            seat.landed = seat.told is None
        if not flight.seats:
            self.seen.add("lands for nobody")
        self._end(flight, "landed")

    def crash(self, flight: ModelFlight, code: str) -> None:
        for seat in flight.seats:
            seat.fail(code)
        self._end(flight, "crashed")

    def fail(self, flight: ModelFlight, failure: Refusal) -> None:
        """Promises 4 and 5: who is told, who goes on."""
        lead = flight.lead
        assert lead is not None
        sharing = failure.sharing if isinstance(failure, UpstreamFailure) else Sharing.FATAL
        when = "mid-stream" if flight.log else "before the first byte"
        self.seen.add(f"{sharing} {when}")
        if sharing is Sharing.TRANSIENT and not flight.handed_over:
            wait_s = failure.retry_after_s or 0.0
            heirs = [seat for seat in flight.seats if seat is not lead and seat.may_lead(self.now + wait_s)]
            flight.handed_over = bool(heirs)
        elif sharing is Sharing.PERSONAL:
            wait_s = 0.0
            owner = lead.request.caller.identity
            heirs = [
                seat
                for seat in flight.seats
                if seat.request.caller.identity != owner and seat.may_lead(self.now)
            ]
        else:
            wait_s, heirs = 0.0, []
        for seat in flight.seats:
            if seat in heirs:
                continue
            stranger = seat.request.caller.identity != lead.request.caller.identity
            seat.fail("upstream_broke_off" if sharing is Sharing.PERSONAL and stranger else failure.code)
        if not heirs:
            self._end(flight, "crashed")
            return
        self.seen.add(f"handed over after {sharing} {when}")
        flight.log = []
        for seat in heirs:
            seat.log = flight.log
        flight.asked = False
        self._lead(flight, heirs[0])
        flight.state, flight.rest_until = "resting", self.now + wait_s
        if wait_s:
            self.seen.add("rests for Retry-After")

    def drain(self) -> int:
        late = self.running
        for flight in late:
            self.crash(flight, "shutting_down")
        return len(late)

    def next_event(self) -> tuple[float, Callable[[], None]] | None:
        """The next thing that time brings."""
        return min(self._timers(), key=lambda timer: timer[0], default=None)

    def _timers(self) -> Iterator[tuple[float, Callable[[], None]]]:
        for flight in self.flights:
            for seat in flight.seats:
                if seat.deadline_at is not None and seat.told is None and not seat.landed:
                    yield seat.deadline_at, partial(self._expire, seat)
            if flight.running and flight.linger_at is not None:
                yield flight.linger_at, partial(self._abandon, flight)
            if flight.rest_until is not None and flight.running:
                yield flight.rest_until, partial(self._rested, flight)

    def _expire(self, seat: ModelSeat) -> None:
        self.seen.add("deadline mid-stream" if seat.position else "deadline before the first byte")
        seat.fail("deadline_exceeded")

    def _abandon(self, flight: ModelFlight) -> None:
        self.seen.add("cancelled after lingering")
        self._end(flight, "cancelled")

    def _rested(self, flight: ModelFlight) -> None:
        flight.state, flight.rest_until = "asking", None
        flight.attempts += 1
        if flight.lead is None or flight.lead not in flight.seats or not flight.lead.may_lead(self.now):
            heir = next((seat for seat in flight.seats if seat.may_lead(self.now)), None)
            if heir is not None:
                self.seen.add("lead passed on while resting")
                self._lead(flight, heir)

    def _lead(self, flight: ModelFlight, seat: ModelSeat) -> None:
        flight.lead = seat
        seat.led = True

    def _end(self, flight: ModelFlight, state: str) -> None:
        flight.state = state
        flight.linger_at = flight.rest_until = None
        self.delist(flight)

    def delist(self, flight: ModelFlight) -> None:
        """Takes *this* flight out of the table, not its successor."""
        if flight.key is not None and self.table.get(flight.key) is flight:
            del self.table[flight.key]
        elif flight.key is not None and flight.key in self.table:
            self.seen.add("ends after its successor has started")

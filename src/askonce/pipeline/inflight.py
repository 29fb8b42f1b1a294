"""Request coalescing: identical requests in flight share one upstream call.

The upstream call belongs to a *flight*, never to a client: a flight's task asks the upstream, its callers hold
*seats* and follow the flight's log, each at its own pace. Leaving removes a seat and nothing else. DESIGN's
eleven promises are kept here, in `flight` and `seat` (1, 2, 4 to 8), in `broadcast` (3) and `answers` (9); 10 and 11
are `gateway`'s order.

What a flight does in the air is its *pilot*'s business: `gateway.py` passes one in.
"""

from __future__ import annotations

import asyncio
import functools
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog

from askonce.errors import Refusal
from askonce.model import Fresh
from askonce.pipeline.flight import Flight, pause_s

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from askonce.model import Outcome, Owner, Request
    from askonce.pipeline.allowances import Allotment
    from askonce.pipeline.broadcast import LogMemory
    from askonce.pipeline.flight import Seat

__all__ = ["Flights", "Pilot"]

_MARK_S: Final = 30.0
"""Seconds that callers of an uncacheable answer are not queued behind each other."""
_MARKS: Final = 10_000
_log = structlog.get_logger("askonce.inflight")


Pilot: TypeAlias = "Callable[[Flight], Awaitable[None]]"
"""Brings a flight to its answer: publishes, then lands it. Raises Refusal where there is none."""


class Flights:
    """The table of flights by exact key, and the owner of their tasks.

    Attributes:
        memory: Bytes held by all logs.
        joined: Callers that have joined a running flight so far.
        started: Flights so far.
    """

    def __init__(self, pilot: Pilot, memory: LogMemory, *, joiners_pay: bool = False) -> None:
        self.memory = memory
        self.joined = 0
        self.started = 0
        self._pilot = pilot
        self._joiners_pay = joiners_pay
        self._table: dict[bytes, Flight] = {}
        self._tasks: dict[Flight, asyncio.Task[None]] = {}
        self._marks: OrderedDict[bytes, float] = OrderedDict()

    @property
    def running(self) -> int:
        """Flights in the air."""
        return len(self._tasks)

    @property
    def waiting(self) -> int:
        """Callers on board of all of them."""
        return sum(flight.seats for flight in self._tasks)

    def __iter__(self) -> Iterator[Flight]:
        """Flights in the air, oldest first."""
        return iter(self._tasks)

    def board(
        self,
        request: Request,
        key: bytes | None,
        source: Outcome,
        *,
        join: bool,
        allotment: Allotment | None = None,
    ) -> Seat:
        """A seat on the running flight of the same key, or on a new one.

        Args:
            request: The caller's request.
            key: Its exact key; None for a flight that nobody may join.
            source: What a caller is told that leads: `Fresh`, or `Bypass` where nothing may be shared.
            join: Whether this caller may join; if not, it may still lead a flight that others join.
            allotment: What is held back for this request: told where it joins, and released when its flight is over.
        """
        if key is not None and self._marked(key):
            key, source = None, Fresh("hit-for-miss")
        flight = self._table.get(key) if key is not None else None
        if flight is not None and self._trusted(flight, request):
            if join:
                self.joined += 1
                if allotment is not None:
                    allotment.joined(pays=self._joiners_pay)
                    self._release_after(flight, allotment)
                return flight.admit(request)
            key = None
        flight = self._start(key, request, source)
        if allotment is not None:
            self._release_after(flight, allotment)
        return flight.lead

    def follow(self, key: bytes, request: Request) -> Seat | None:
        """A seat on the running flight of another, equivalent request; None where there is none to trust.

        Only a flight that has asked the upstream can be followed. One that has not may itself end up with the answer
        to a third question, which nobody has compared with this one, or wait for the very flight that would follow it.
        Nor can one be followed that another model answers than the one that was asked.
        """
        flight = self._table.get(key)
        if flight is None or not flight.asked_at or flight.diverted or not self._trusted(flight, request):
            return None
        return flight.admit(request, follows=True)

    def __contains__(self, key: bytes) -> bool:
        """Whether an answer is under way under a key, for whomever."""
        return key in self._table

    def mark_unshareable(self, key: bytes) -> None:
        """Hit-for-miss: for a while, callers of this key are not queued behind each other."""
        self._marks[key] = asyncio.get_running_loop().time() + _MARK_S
        self._marks.move_to_end(key)
        if len(self._marks) > _MARKS:
            self._marks.popitem(last=False)

    def remove(self, flight: Flight) -> None:
        """Takes *this* flight out of the table, not its successor under the same key."""
        if flight.key is not None and self._table.get(flight.key) is flight:
            del self._table[flight.key]

    def cancel(self, flight: Flight) -> None:
        """Ends a flight that nobody waits for: out of the table first, lest a newcomer board a dying flight."""
        self.remove(flight)
        task = self._tasks.get(flight)
        if task is not None:
            task.cancel()

    def erase(self, owner: Owner) -> list[Request]:
        """Nothing is kept of what flights bring that an owner has led, or may yet lead; returns what they ask."""
        concerned = [flight for flight in self._tasks if any(map(owner.asked, flight.asked))]
        for flight in concerned:
            flight.erase()
        return [flight.lead.request for flight in concerned]

    async def drain(self, timeout_s: float) -> int:
        """Waits for all flights to end; cancels those that don't in time, and returns how many."""
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=timeout_s)
        late = list(self._tasks.items())
        for flight, task in late:
            flight.crash(
                Refusal(503, "shutting_down", "The gateway is shutting down; ask again.", retry_after_s=1)
            )
            task.cancel()
        if late:
            await asyncio.wait([task for _, task in late], timeout=1)
        return len(late)

    def _release_after(self, flight: Flight, allotment: Allotment) -> None:
        self._tasks[flight].add_done_callback(lambda _: allotment.release())

    def _trusted(self, flight: Flight, request: Request) -> bool:
        age_s = asyncio.get_running_loop().time() - flight.started_at
        return age_s < request.policy.max_flight_age_s

    def _marked(self, key: bytes) -> bool:
        until = self._marks.get(key)
        if until is None:
            return False
        if until > asyncio.get_running_loop().time():
            return True
        del self._marks[key]
        return False

    def _start(self, key: bytes | None, request: Request, source: Outcome) -> Flight:
        flight = Flight(self, key, request, source)
        if key is not None:
            self._table[key] = flight
        self.started += 1
        task = asyncio.create_task(self._fly(flight), name="flight")  # noqa: TID251 - flights are owned here
        self._tasks[flight] = task
        task.add_done_callback(functools.partial(self._ended, flight))
        return flight

    async def _fly(self, flight: Flight) -> None:
        try:
            while not await self._attempt(flight):
                pass
        except Exception:  # noqa: BLE001 - a bug must not leave callers waiting for ever
            _log.exception("flight failed")
        finally:
            if flight.answer is None:
                flight.crash(Refusal(500, "internal_error", "The gateway failed on this request; ask again."))

    def _ended(self, flight: Flight, _: asyncio.Task[None]) -> None:
        """Also runs where a task was cancelled before its first step."""
        self.remove(flight)
        del self._tasks[flight]
        flight.log.let_go()

    async def _attempt(self, flight: Flight) -> bool:
        """One try at an answer; False where another seat has the lead for a further one."""
        try:
            await self._pilot(flight)
        except Refusal as failure:
            if flight.answer is not None or not flight.hand_over(failure):
                return True
            await asyncio.sleep(pause_s(failure))
            flight.appoint()
            return False
        return True

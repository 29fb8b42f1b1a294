"""Who takes part in the histories of `test_inflight_machine`: pilots that do as they are told, and callers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson

from askonce.errors import CallerGone, Refusal
from askonce.model import Answer, Usage

if TYPE_CHECKING:
    from askonce.pipeline.flight import Flight, Seat
    from pipeline.inflight_model import ModelFlight, ModelSeat

__all__ = ["Attempt", "Pair", "Reader"]


class Attempt:
    """One call of the pilot, flown by the machine: steps are taken in the flight's own task."""

    def __init__(self, number: int, flight: Flight) -> None:
        self.number = number
        self.flight = flight
        self.request = flight.lead.request
        self.published = 0
        self.cancelled = False
        self._steps: asyncio.Queue[list[Any]] = asyncio.Queue()

    def take(self, *steps: Any) -> None:
        """Steps to take in one go, without letting anybody read in between."""
        self._steps.put_nowait(list(steps))

    async def fly(self) -> None:
        try:
            while True:
                for step in await self._steps.get():
                    if step == "return":
                        return
                    if isinstance(step, BaseException):
                        raise step
                    step()
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    def answer(self) -> Answer:
        body = {"choices": [{"index": 0, "message": {"content": str(self.number)}, "finish_reason": "stop"}]}
        return Answer(orjson.dumps(body)[1:-1], b"", "m", "chatcmpl-", Usage(), None)


class Reader:
    """A caller that takes its answer: at once, or only as often as it is told (`permits`)."""

    def __init__(self, seat: Seat, *, slow: bool, stays: bool) -> None:
        self.seat = seat
        self.slow = slow
        self.stays = stays
        self.got: list[bytes] = []
        self.answer: Answer | None = None
        self.error: Exception | None = None
        self.over = False
        self.permits = asyncio.Semaphore(0)
        self.waiting_for_permit = False
        self.task = asyncio.get_event_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            await (self._read() if self.seat.events else self._take())
        except (Refusal, CallerGone) as error:
            self.error = error
        finally:
            self.over = True
            if not self.stays:
                self.seat.leave()

    async def _permit(self) -> None:
        if self.slow:
            self.waiting_for_permit = True
            await self.permits.acquire()
            self.waiting_for_permit = False

    async def _read(self) -> None:
        await self._permit()
        while chunks := await self.seat.read():
            self.got += [chunk.fields for chunk in chunks]
            await self._permit()
        await self._take()

    async def _take(self) -> None:
        self.answer = await self.seat.answer()


class Pair:
    """A real caller and the model of it."""

    def __init__(self, flight: ModelFlight, model: ModelSeat, reader: Reader) -> None:
        self.flight = flight
        self.model = model
        self.reader = reader
        self.gone = False

    @property
    def aboard(self) -> bool:
        return self.model in self.flight.seats

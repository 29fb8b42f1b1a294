"""An airport for tests: flights that do what a function says, and callers that take what they get."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson

from askonce.errors import Refusal, Sharing, UpstreamFailure
from askonce.model import Answer, Chunk, Fresh, Usage
from askonce.pipeline.broadcast import LogMemory
from askonce.pipeline.inflight import Flights
from fakes import request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from askonce.pipeline.flight import Flight, Seat

FRESH = Fresh("miss")
BODY = {"choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}
ANSWER = Answer(orjson.dumps(BODY)[1:-1], b"", "m", "chatcmpl-", Usage(), 5)
STREAM = request(stream=True)
PLAIN = request()


def chunk(text: str) -> Chunk:
    return Chunk(text.encode(), b"", bare=False)


def failure(sharing: Sharing, code: str = "boom", retry_after_s: float | None = None) -> UpstreamFailure:
    return UpstreamFailure(503, code, "Boom.", sharing=sharing, retry_after_s=retry_after_s)


async def taken(seat: Seat) -> Any:
    """What a caller gets in the end: its events as one text, its whole answer, or the failure's code."""
    text = b""
    try:
        if not seat.events:
            return await seat.answer()
        while chunks := await seat.read():
            text += b"".join(one.fields for one in chunks)
    except Refusal as refusal:
        return (text.decode() + "!" if text else "") + refusal.code
    finally:
        seat.leave()
    return text.decode()


class Airport:
    """Flights that do what a function says, and a note of each upstream call."""

    def __init__(self, fly: Callable[[Flight, int], Awaitable[None]], each: int = 10**6) -> None:
        self._fly = fly
        self.calls: list[float] = []
        self.cancelled: list[float] = []
        self.flights = Flights(self._pilot, LogMemory(each, 10**6))

    async def _pilot(self, flight: Flight) -> None:
        loop = asyncio.get_running_loop()
        flight.asked_at = loop.time()
        self.calls.append(loop.time())
        try:
            await self._fly(flight, len(self.calls))
        except asyncio.CancelledError:
            self.cancelled.append(loop.time())
            raise

    def board(self, asked: Any = PLAIN, key: bytes | None = b"key", *, join: bool = True) -> Seat:
        return self.flights.board(asked, key, FRESH, join=join)

    def take(self, asked: Any = PLAIN) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(taken(self.board(asked)))


async def land_after_one(flight: Flight, _: int) -> None:
    await asyncio.sleep(1)
    flight.land(ANSWER, flight.source)


async def stream_abc(flight: Flight, _: int) -> None:
    for letter in "abc":
        await asyncio.sleep(1)
        flight.publish(chunk(letter))
    flight.land(ANSWER, flight.source)

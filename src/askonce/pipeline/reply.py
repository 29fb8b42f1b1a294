"""A caller's view of its answer, whichever way it comes: stored, shared or fresh; whole or as events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.errors import Refusal
from askonce.model import Bypass, Fresh
from askonce.pipeline.answers import Envelope, Stamp, split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Answer, Chunk, Outcome, Request
    from askonce.pipeline.allowances import Allotment
    from askonce.pipeline.flight import Seat
    from askonce.ports import Clock
    from askonce.trace import Trace

__all__ = ["Reply"]


class Reply:
    """One caller's answer: `start` it, then take it `whole` or as `events`, and `leave` in any case.

    Attributes:
        request: What was asked.
        outcome: How it is answered; None until it has started.
        answer: The whole answer, as soon as it is there.
        seat: The place on a flight; None for an answer that was stored already.
        allotment: What the request was allotted of its limits; None where it isn't held to any.
    """

    __slots__ = ("_chunks", "_clock", "_envelope", "allotment", "answer", "outcome", "request", "seat")

    def __init__(
        self, request: Request, clock: Clock, seat: Seat | None, allotment: Allotment | None = None
    ) -> None:
        self.request = request
        self.seat = seat
        self.allotment = allotment
        self.outcome: Outcome | None = None
        self.answer: Answer | None = None
        self._clock = clock
        self._envelope: Envelope | None = None
        self._chunks: Sequence[Chunk] = ()

    @classmethod
    def stored(
        cls,
        request: Request,
        clock: Clock,
        answer: Answer,
        outcome: Outcome,
        allotment: Allotment | None = None,
    ) -> Reply:
        """A reply that needs no waiting."""
        reply = cls(request, clock, None, allotment)
        reply.outcome = outcome
        reply.answer = answer
        reply._envelope = reply._wrap(None, answer.id_prefix, answer.model)
        if request.ask.stream:
            reply._chunks = split(answer)
        return reply

    async def start(self) -> None:
        """Waits until there is something to send: the answer, or its first events.

        Raises:
            Refusal: there won't be an answer.
            CallerGone: the caller left while it waited.
        """
        seat = self.seat
        if seat is None:
            return
        try:
            if self.request.ask.stream:
                self._chunks = await seat.read()
            else:
                self.answer = await seat.answer()
        except Refusal:
            if self.allotment is not None and self.allotment.refusal is not None:  # only the store was asked
                self.allotment.withdraw()
                raise self.allotment.refusal from None
            raise
        self.outcome = seat.outcome
        stamp = seat.stamp if isinstance(self.outcome, Fresh | Bypass) else None
        self._envelope = self._wrap(stamp, seat.id_prefix, seat.model)

    def whole(self) -> bytes:
        """The JSON body, once started."""
        if self._envelope is None or self.answer is None:
            raise RuntimeError("a reply is taken before it has started")
        return self._envelope.whole(self.answer)

    async def events(self) -> bytes:
        """The next server-sent events; empty at the end. Raises as `start` does."""
        if self._envelope is None:
            raise RuntimeError("a reply is taken before it has started")
        while True:
            chunks, self._chunks = self._chunks, ()
            if not chunks and self.seat is not None:
                chunks = await self.seat.read()
            if not chunks:
                return await self._end()
            data = b"".join(map(self._envelope.event, chunks))
            if data:
                return data

    def leave(self) -> None:
        """Gives up the place on the flight, if there is one."""
        if self.seat is not None:
            self.seat.leave()

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """The upstream's response headers, where it was asked for this caller."""
        return self.seat.headers if self.seat is not None else ()

    @property
    def waited_s(self) -> float:
        """How long it took until the upstream call made for it went out; 0 where it went at once, or there was none."""
        asked = self.seat is not None and isinstance(self.outcome, Fresh | Bypass)
        return self.seat.waited_s if asked and self.seat is not None else 0.0

    @property
    def upstream_first_byte_s(self) -> float | None:
        """How long the upstream took to begin: 0 for stored answers, None for those that waited on others."""
        return 0.0 if self.seat is None else self.seat.upstream_first_byte_s

    @property
    def answered_by(self) -> Trace | None:
        """The span of the upstream call that brings the answer, whoever it was made for; None where there is none."""
        return None if self.seat is None else self.seat.call

    @property
    def spent_nanousd(self) -> int | None:
        """What the answer cost this caller; None where that isn't known (yet)."""
        if self.answer is None or self.answer.cost_nanousd is None:
            return None
        return 0 if self.seat is None else self.seat.spent_nanousd

    @property
    def saved_nanousd(self) -> int | None:
        """What the answer didn't cost this caller; None where that isn't known (yet)."""
        spent = self.spent_nanousd
        if self.answer is None or self.answer.cost_nanousd is None or spent is None:
            return None
        return max(0, self.answer.cost_nanousd - spent)

    async def _end(self) -> bytes:
        if self.seat is not None:
            self.answer = await self.seat.answer()
        return b""

    def _wrap(self, stamp: Stamp | None, id_prefix: str, model: str) -> Envelope:
        ask = self.request.ask
        name = ask.model if ask.model != ask.route.model else model
        if stamp is None:
            stamp = Envelope.new_stamp(id_prefix, int(self._clock.now()), name)
        elif stamp.model != name:
            stamp = Stamp(stamp.id, stamp.created, name)
        return Envelope(stamp, ask.include_usage)

"""What a journey is made of: where it stops, what it is for, and each call on its way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from askonce.errors import Sharing, UpstreamFailure
from askonce.ports import UpstreamCall

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from askonce.model import Answer, Call, Lane, Request, Route
    from askonce.pipeline.bill import Bill
    from askonce.ports import Share
    from askonce.sending.breaker import Breakers
    from askonce.sending.outlet import Outlet
    from askonce.sending.passage import Passage

__all__ = ["Divert", "Errand", "Leg", "Stop"]

_SERVER_ERROR: Final = 500
_UNREACHED: Final = "upstream_unreachable"


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a request may be answered: the upstream's outlet, the model's route, and how to ask there."""

    outlet: Outlet
    route: Route
    call: Callable[[Request], Call]


Divert: TypeAlias = "Callable[[Request, Route], Awaitable[Request | None]]"
"""Makes of a request what it is for a fallback's route; None where that needn't be asked any more."""


class Errand(Protocol):
    """What a journey is for."""

    @property
    def lane(self) -> Lane:
        """How soon the answer is wanted, by whoever wants it soonest."""
        ...

    @property
    def deadline(self) -> float:
        """Event-loop time by which the most patient one wants it."""
        ...

    @property
    def begun(self) -> bool:
        """Whether somebody has had a part of an answer, so that there is no other try."""
        ...

    def payers(self, nanousd: int) -> tuple[Share, ...]:
        """Who pays so much for a call, as of now: at least one share."""
        ...

    async def take(self, leg: Leg, passage: Passage) -> None:
        """Takes an accepted call's answer in, and has it charged. Raises UpstreamFailure."""
        ...


class Leg:
    """One call on its way, and what the breakers are told of it.

    Attributes:
        request: As it was understood for the upstream that is asked.
        bill: What it comes to.
        trace: Its span; None where requests aren't traced.
        sent: Whether the upstream was asked, as far as is known.
        counts: Whether it stands for its upstream call where these are counted: of those that share one, one does.
        batched: Requests that went together.
        queued_s: Seconds that this call waited in its line.
        answer: What it brought, once that is whole.
        way: What there is to say of the journey so far, as a reason code; "" for nothing.
        waited_s: Seconds that the journey took until this call went out, where there is something to say of it.
    """

    __slots__ = (
        "_began", "_breakers", "_first_s", "_given", "_told", "answer", "batched", "bill", "counts", "queued_s", "request", "sent",
        "trace", "waited_s", "way",
    )  # fmt: skip

    def __init__(self, request: Request, breakers: Breakers, now: float, bill: Bill) -> None:
        self.request = request
        self.bill = bill
        self.trace = None if request.trace is None else request.trace.child()
        self.sent = False
        self.counts = True
        self.batched = 1
        self.answer: Answer | None = None
        self._began = perf_counter()
        self._first_s: float | None = None
        self.queued_s = 0.0
        self.way = ""
        self.waited_s = 0.0
        self._breakers = breakers
        self._given = breakers.enter(request.ask.route.model, now)
        self._told = False

    def answered(self) -> None:
        """The upstream has begun to answer."""
        if not self._told:
            self._told = True
            self._first_s = self._took_s
            tell = self._breakers.succeeded if self.counts else self._breakers.refused
            tell(self._given, asyncio.get_running_loop().time())

    def failed(self, failure: UpstreamFailure) -> None:
        """The call has failed: 4xx and 429 are an upstream's that works. A probe has, whoever shared its call."""
        model, now = self.request.ask.route.model, asyncio.get_running_loop().time()
        if not (self.counts or self._given.probes):
            return
        if failure.sharing is Sharing.TRANSIENT and failure.status >= _SERVER_ERROR:
            self._breakers.failed(self._given, model, now, unreached=failure.code == _UNREACHED)
        elif not self._told:
            self._breakers.refused(self._given, now)
        self._told = True

    def end(self) -> None:
        """The call is over, whatever came of it."""
        if not self._told:
            self._breakers.abandoned(self._given, asyncio.get_running_loop().time())

    def account(self, upstream: str, status: str) -> UpstreamCall:
        """What there is to say of it, now that it is over."""
        streamed = self.request.ask.stream
        return UpstreamCall(
            upstream=upstream,
            request=self.request,
            status=status,
            duration_s=self._took_s,
            queued_s=self.queued_s,
            first_s=self._first_s if streamed else None,
            counts=self.counts,
            batched=self.batched,
            answer=self.answer,
            trace=self.trace,
        )

    @property
    def _took_s(self) -> float:
        """Seconds since it was sent."""
        return perf_counter() - self._began - self.queued_s

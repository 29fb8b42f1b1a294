"""One request's way to an answer: attempt after attempt, upstream after upstream.

A failed call is sent again while its upstream's rules, its budget of retries and the callers' deadlines allow; then the
request goes on to its fallbacks, each by the same rules. Nothing is sent again once callers have had a part of an
answer.

A journey makes at most (1 + `attempts`) calls at each of its stops, and up to `_TURNS` more where they are refused with
429: those take no work and no retry of the budget, as the line knows when the next one may go. What is left when a
journey ends with a failure is the flight's to hand over, once: at most two journeys.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from askonce.errors import Refusal, Sharing, UpstreamFailure
from askonce.pipeline.leg import Leg
from askonce.sending.estimate import estimated_tokens
from askonce.sending.ticket import Ticket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Request
    from askonce.pipeline.bill import Billing
    from askonce.pipeline.leg import Divert, Errand, Stop
    from askonce.ports import Observer

__all__ = ["Journey"]

_TURNS: Final = 8
"""Refusals with 429 after which a request gives a stop up."""
_RATE_LIMITED: Final = 429
_SERVER_ERROR: Final = 500
_UNREACHED: Final = "upstream_unreachable"
_CREDENTIAL: Final = "upstream_credential"
_BUSY: Final = "upstream_busy"
_WAYS: Final = ("", "lingered", "queued", "rate-limited", "retried", "fallback")
"""What can be said of a journey; of several, the last counts."""
_WAITED: Final = {
    "linger": "lingered",
    "concurrency": "queued",
    "requests-per-minute": "rate-limited",
    "tokens-per-minute": "rate-limited",
    "upstream-paused": "rate-limited",
}
_CAUSES: Final = {
    _UNREACHED: "unreachable",
    _CREDENTIAL: "credential",
    "upstream_unavailable": "breaker-open",
    "upstream_timeout": "timeout",
    "upstream_broke_off": "broke-off",
    "upstream_garbage": "garbage",
    "upstream_reported_error": "reported-error",
    _BUSY: "busy",
    "queue_full": "queue-full",
    "deadline_unreachable": "deadline",
}


class Journey:
    """One request's way. Made for one `travel`."""

    def __init__(
        self,
        stops: Sequence[Stop],
        errand: Errand,
        observer: Observer,
        billing: Billing,
        divert: Divert | None = None,
    ) -> None:
        """`stops`: the request's own, then its fallbacks. Without `divert` nothing but one call is made."""
        self._stops = stops
        self._errand = errand
        self._observer = observer
        self._billing = billing
        self._divert = divert
        self._at = 0
        self._ticket: Ticket | None = None
        self._way = ""
        self._began = _now()

    async def travel(self, request: Request) -> None:
        """Asks until the errand has taken an answer.

        Raises:
            Refusal: there is none. Where fallbacks failed too, it is what the request's own upstream said.
        """
        failure = first = await self._ask(request)
        while failure is not None and self._divert is not None and self._goes_on(failure):
            origin, self._at = self._stop, self._at + 1
            self._observer.fallback(origin.outlet.name, self._stop.outlet.name, _cause(failure))
            self._note("fallback")
            diverted = await self._divert(request, self._stop.route)
            if diverted is None:
                return
            failure = await self._ask(diverted)
        if failure is not None and first is not None:
            raise failure if self._errand.begun else first

    def hurry(self) -> None:
        """Somebody has joined who may be in more of a hurry, or have more patience."""
        if self._ticket is not None:
            self._ticket.deadline = max(self._ticket.deadline, self._errand.deadline)
            line = self._stop.outlet.line(self._stop.route.model)
            line.hurry(self._ticket, self._errand.lane)

    @property
    def upstream(self) -> str:
        """Who is being asked."""
        return self._stop.outlet.name

    @property
    def queued(self) -> bool:
        """Whether its call waits for its turn."""
        return self._ticket is not None and not self._ticket.sent

    @property
    def _stop(self) -> Stop:
        return self._stops[self._at]

    @property
    def _more(self) -> bool:
        """Whether there are fallbacks left."""
        return self._at + 1 < len(self._stops)

    def _goes_on(self, failure: Refusal) -> bool:
        return self._more and not self._errand.begun and _falls_back(failure)

    async def _ask(self, request: Request) -> Refusal | None:
        """Asks at one stop until there is an answer (None), or nothing more can be done there (what was said)."""
        said: UpstreamFailure | None = None
        retries = turns = refused_keys = 0
        self._stop.outlet.budget.deposit()
        while True:
            failure = await self._attempt(request)
            if not isinstance(failure, UpstreamFailure):
                # The gateway's own word on a further try is no news after the upstream's.
                return None if failure is None else said or failure
            said = failure
            limited = failure.status == _RATE_LIMITED
            if failure.code == _CREDENTIAL and refused_keys + 1 < self._stop.outlet.keys:
                refused_keys += 1
                continue
            pause_s = self._pause_s(failure, turns if limited else retries)
            if pause_s is None:
                return failure
            turns, retries = (turns + 1, retries) if limited else (turns, retries + 1)
            self._observer.retry(self._stop.outlet.name, _cause(failure))
            self._note("rate-limited" if limited else "retried")
            await asyncio.sleep(pause_s)

    def _pause_s(self, failure: UpstreamFailure, before: int) -> float | None:
        """Seconds until the next try at this stop, after so many of its kind; None where there is none."""
        outlet, now = self._stop.outlet, _now()
        if failure.sharing is not Sharing.TRANSIENT or self._errand.begun or self._divert is None:
            return None
        limited = failure.status == _RATE_LIMITED
        after_s = failure.retry_after_s or 0.0
        attempts = outlet.rules.attempts
        if before >= (_TURNS if limited and attempts else attempts):
            return None
        if self._more and after_s > outlet.rules.cap_s:
            return None
        # A line that was refused waits by itself, as long as it has no key that may go.
        pause_s = outlet.pause_s(failure, before) + (0.0 if limited else after_s)
        if now + max(pause_s, after_s) >= self._errand.deadline:
            return None
        if outlet.breakers.wait_s(self._stop.route.model, now):
            return None
        return pause_s if limited or outlet.may_retry(failure, now) else None

    async def _attempt(self, request: Request) -> Refusal | None:
        """One call: None where the errand has taken its answer, else what went wrong."""
        outlet = self._stop.outlet
        model, now = self._stop.route.model, _now()
        unavailable = outlet.unavailable(model, now)
        if unavailable is not None:
            return unavailable
        leg = Leg(request, outlet.breakers, now, self._billing.open(request, self._errand.payers))
        status = "cancelled"
        try:
            await self._send(leg, now)
        except UpstreamFailure as failure:
            status = failure.code if failure.code in _CAUSES else str(failure.status)
            leg.sent, leg.counts = True, outlet.is_new(failure)
            leg.failed(failure)
            leg.bill.failed(failure)
            outlet.dismiss(model, _now())
            return failure
        except Refusal as refusal:  # the line's own: the upstream wasn't asked
            leg.counts = False
            return refusal
        else:
            status = "ok"
            leg.answered()
            return None
        finally:
            leg.end()
            leg.bill.close()
            if leg.sent:
                self._observer.upstream_call(leg.account(outlet.name, status))

    async def _send(self, leg: Leg, began: float) -> None:
        errand, stop, request = self._errand, self._stop, leg.request
        call = stop.call(request)
        if leg.trace is not None:
            call = replace(call, trace=leg.trace)
        ticket = self._ticket = Ticket(
            tenant=request.caller.tenant or "",
            lane=errand.lane,
            tokens=estimated_tokens(request.ask),
            deadline=errand.deadline,
            leaves=leg.bill.leaves,
        )
        line = stop.outlet.line(stop.route.model)
        if self._more and (wait_s := line.wait_s(call, ticket)) > stop.outlet.rules.cap_s:
            raise _busy(stop.outlet.name, wait_s)
        try:
            passage = await line.open(call, ticket)
        except asyncio.CancelledError:
            leg.sent = leg.counts = ticket.sent
            raise
        finally:
            self._ticket = None
        try:
            leg.sent, leg.counts, leg.batched = True, passage.counts, passage.batched
            if leg.counts:
                self._observer.batch(stop.outlet.name, passage.batched)
            if passage.waited_s:
                self._observer.waited(stop.outlet.name, errand.lane, passage.waited_for, passage.waited_s)
                self._note(_WAITED.get(passage.waited_for, ""))
                leg.queued_s = passage.waited_s
            leg.way = self._way
            leg.waited_s = began + passage.waited_s - self._began if self._way else 0.0
            await errand.take(leg, passage)
        finally:
            await passage.aclose()

    def _note(self, way: str) -> None:
        self._way = max(self._way, way, key=_WAYS.index)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _falls_back(failure: Refusal) -> bool:
    """Whether another upstream may do better: not where the request or the caller's own key is at fault."""
    if not isinstance(failure, UpstreamFailure):
        return True
    return failure.sharing is Sharing.TRANSIENT or failure.code == _CREDENTIAL


def _cause(failure: Refusal) -> str:
    """A failure's kind, one of a few."""
    if failure.code in _CAUSES:
        return _CAUSES[failure.code]
    if failure.status == _RATE_LIMITED:
        return "rate-limited"
    return "server-error" if failure.status >= _SERVER_ERROR else "refused"


def _busy(name: str, wait_s: float) -> Refusal:
    sentence = (
        f"{name} could be asked in about {wait_s:.0f} s, and no other upstream has answered; ask again then."
    )
    return Refusal(503, _BUSY, sentence, retry_after_s=wait_s)

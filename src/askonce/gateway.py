"""A request's way, start to finish. Read it as a table of contents: each line's module has the detail.

`understand` is decided synchronously, before anything is spent; `answer` finds a stored answer or a seat on a
flight; `_fly` is what happens once per flight, however many callers it has.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from askonce.errors import Refusal
from askonce.model import Bypass, Exact, Fresh, Request, Semantic, SemanticMode
from askonce.pipeline.fingerprint import fingerprint, parse
from askonce.pipeline.identity import CREDENTIAL_HEADERS
from askonce.pipeline.inflight import Flights
from askonce.pipeline.policy import POLICY_HEADERS
from askonce.pipeline.reply import Reply
from askonce.pipeline.split import CostPolicy
from askonce.pipeline.stored import cache_key, exact, semantic, young_enough

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.model import Caller, Endpoint, Json, Stored
    from askonce.pipeline.allowances import Allotment, Allowances
    from askonce.pipeline.audit import Auditor
    from askonce.pipeline.broadcast import LogMemory
    from askonce.pipeline.budgets import Budgets
    from askonce.pipeline.dispatch import Dispatcher
    from askonce.pipeline.equivalence import Equivalence
    from askonce.pipeline.fetch import Fetcher
    from askonce.pipeline.flight import Flight, Seat
    from askonce.pipeline.identity import Identity
    from askonce.pipeline.policy import Policies
    from askonce.pipeline.semantic import SemanticTier
    from askonce.pipeline.users import Users
    from askonce.ports import Clock, Store

__all__ = ["SAID_HEADERS", "Gateway", "Parts"]

_PASSED_ON: Final = frozenset({b"openai-organization", b"openai-project", b"openai-beta"})
"""Request headers that change what the upstream answers: they travel with the call and count in its key."""
_RETRY: Final = b"x-stainless-retry-count"
"""The official SDKs' count of their own retries."""
SAID_HEADERS: Final = (*POLICY_HEADERS, *sorted(_PASSED_ON))
"""Request headers that say what is asked, apart from who asks."""
_TELLING: Final = (*CREDENTIAL_HEADERS, *SAID_HEADERS, _RETRY)
"""All request headers that `understand` reads."""
_MEMO: Final = 1_024
_MEMO_BODY_BYTES: Final = 4_096


@dataclass(frozen=True, slots=True)
class Parts:
    """What a gateway is made of; `wiring` chooses the adapters."""

    identity: Identity
    users: Users
    policies: Policies
    allowances: Allowances
    dispatcher: Dispatcher
    fetcher: Fetcher
    store: Store
    semantic: SemanticTier
    budgets: Budgets
    equivalence: Equivalence
    audits: Auditor
    clock: Clock
    log_memory: LogMemory


class Gateway:
    """Answers requests, never paying twice for the same answer."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        split = parts.fetcher.policy is CostPolicy.SPLIT
        self.flights = Flights(self._fly, parts.log_memory, joiners_pay=split)
        self._understood: OrderedDict[tuple[object, ...], Request] = OrderedDict()

    def understand(
        self, endpoint: Endpoint, headers: Mapping[bytes, bytes], raw: bytes, tenant: str | None = None
    ) -> Request:
        """Who asks what, under which policy and key; `tenant` as the body names it, where it does.

        Clients repeat themselves to the byte, so that what was understood of small bodies is remembered for a while.

        Raises:
            Refusal: before anything is spent.
        """
        if tenant is not None or len(raw) > _MEMO_BODY_BYTES:
            return self._understand(endpoint, headers, raw, tenant)
        said = (endpoint, raw, *map(headers.get, _TELLING))
        request = self._understood.get(said)
        if request is None:
            request = self._understand(endpoint, headers, raw, None)
            if len(self._understood) >= _MEMO:
                self._understood.popitem(last=False)
            self._understood[said] = request
        return request

    def forget_understood(self) -> None:
        """Who may ask, or under which policy, has changed: what was remembered of earlier requests doesn't count."""
        self._understood.clear()

    def _understand(
        self, endpoint: Endpoint, headers: Mapping[bytes, bytes], raw: bytes, tenant: str | None
    ) -> Request:
        return self.understand_as(self.caller(headers, tenant), endpoint, headers, raw)

    def caller(self, headers: Mapping[bytes, bytes], tenant: str | None) -> Caller:
        """Who asks, as the tenant that the request names, where it names one. Raises Refusal."""
        identity = self.parts.identity
        caller = identity.identify(headers)
        return caller if tenant is None else identity.narrow(caller, tenant)

    def understand_as(
        self, caller: Caller, endpoint: Endpoint, headers: Mapping[bytes, bytes], raw: bytes
    ) -> Request:
        """What a caller that is known already asks. Raises Refusal."""
        parts = self.parts
        policy = parts.policies.of(caller, headers)
        parsed = parse(endpoint, raw)
        route = parts.dispatcher.route(parsed.model)
        passed_on = _passed_on(headers)
        retry = headers.get(_RETRY, b"0") != b"0"
        ask = fingerprint(parsed, caller, policy, route, passed_on, retry)
        return Request(ask, caller, policy, passed_on, users=parts.users.of(parsed.body))

    def answer(self, request: Request, *, submitted: bool = False) -> Reply:
        """The answer, stored or to come; whoever takes the reply must `leave` it in the end.

        `submitted`: it belongs to a job, which was counted against its limits when it was handed in.

        Raises:
            Refusal: it is above a limit that is set for its tenant or feature.
        """
        clock, limits = self.parts.clock, self.parts.allowances
        key = cache_key(request)
        if key is not None:
            stored = self.parts.store.peek(key)
            outcome = self.outcome(stored, request)
            if stored is not None and outcome is not None:
                counted = limits.hit(request) if limits.count_hits and not submitted else None
                return Reply.stored(request, clock, stored.entry.answer, outcome, counted)
        allotment = limits.admit(request, submitted=submitted)
        return Reply(request, clock, self._board(request, allotment), allotment)

    def serves(self, model: str) -> bool:
        """Whether some upstream serves a model."""
        return self.parts.dispatcher.serves(model)

    async def models(self, headers: Mapping[bytes, bytes]) -> list[Json]:
        """What can be asked for. Raises Refusal."""
        caller = self.parts.identity.identify(headers)
        return await self.parts.dispatcher.models(caller)

    def served(self, reply: Reply, request_id: str) -> None:
        """Whoever is about to be sent an answer says so: all count, and an equivalent one may be audited.

        But for those who were erased while they waited: of them nothing is remembered.
        """
        if reply.allotment is not None:
            reply.allotment.served(reply.outcome)
            if reply.answer is not None:  # all of it is there: what it took is counted, and told
                reply.allotment.release()
        if isinstance(reply.outcome, Semantic):
            if reply.seat is None or not reply.seat.erased:
                self.parts.audits.served(reply.request, request_id, reply.outcome.entry, reply)
        elif not isinstance(reply.outcome, Exact):
            self.parts.equivalence.unserved(reply.request)

    async def feedback(
        self, headers: Mapping[bytes, bytes], name: str | bytes, *, correct: bool, tenant: str | None = None
    ) -> None:
        """What a caller says of an equivalent answer that it got, by request id (text) or entry (bytes).

        Raises:
            Refusal: 404, it got none of that name lately.
        """
        caller = self.caller(headers, tenant)
        if not await self.parts.audits.feedback(caller.tenant, name, correct=correct):
            raise Refusal(404, "unknown_answer", "You got no semantic hit of that name lately.")

    def shared_key(self, request: Request) -> bytes | None:
        """The key under which identical requests that wait are one; None where nobody may share this one's answer."""
        ask, policy = request.ask, request.policy
        key = None if ask.unshared else ask.exact_key
        if key is None or not (policy.inflight and policy.store) or policy.only_if_cached:
            return None
        if policy.max_age_s is not None:
            key = hashlib.sha256(key + b"max-age" + repr(policy.max_age_s).encode()).digest()
        return self.parts.equivalence.flight_key(request, key)

    def _board(self, request: Request, allotment: Allotment | None) -> Seat:
        """A seat on a flight: shared with identical requests wherever policy, headers and limits allow it."""
        if allotment is not None and allotment.refusal is not None:
            request = self._only_stored(request)
        ask, policy = request.ask, request.policy
        alone = ask.unshared or ("" if policy.store else "no-store")
        key = self.shared_key(request)
        source: Fresh | Bypass = Fresh("miss" if policy.read else "no-cache")
        if alone or ask.hot:
            source = Bypass(alone or "high-temperature")
        return self.flights.board(
            request, key, source, join=ask.joinable and policy.read, allotment=allotment
        )

    def _only_stored(self, request: Request) -> Request:
        """A request that no upstream is asked for; what would only be looked at in the `shadow` isn't looked up."""
        policy = replace(request.policy, only_if_cached=True)
        if self.parts.budgets.mode(policy) is not SemanticMode.ON:
            policy = replace(policy, semantic=SemanticMode.OFF)
        return request._replace(policy=policy)

    async def _fly(self, flight: Flight) -> None:
        """Once per flight: look in the cache again, find an equivalent answer, or ask the upstream."""
        request = flight.lead.request
        if await self._land_on_stored(flight, request):
            return
        if await self.parts.equivalence.land(flight, self.flights, request):
            return
        if request.policy.only_if_cached:
            raise Refusal(
                504, "not_cached", "Nothing is stored for this request, and it says only-if-cached."
            )
        try:
            await self.parts.fetcher.fetch(flight, request)
        finally:
            self.parts.equivalence.settle(flight, self.flights)
        self.parts.equivalence.learn(flight, request)

    async def _land_on_stored(self, flight: Flight, request: Request) -> bool:
        key = cache_key(request)
        stored = await self.parts.store.get(key) if key is not None else None
        outcome = self.outcome(stored, request)
        if stored is None or outcome is None:
            return False
        flight.land(stored.entry.answer, outcome)
        return True

    def outcome(self, stored: Stored | None, request: Request) -> Exact | Semantic | None:
        """What serving a stored answer would be called; None where policy or headers don't allow it."""
        now = self.parts.clock.now()
        if stored is None or not young_enough(stored.entry, request, now):
            return None
        link = stored.link
        if link is None:
            return exact(stored.entry, now)
        if not self.parts.budgets.serves_link(request, link.confidence):
            return None
        return semantic(stored.entry, link.confidence, "link", now)


def _passed_on(headers: Mapping[bytes, bytes]) -> tuple[tuple[str, str], ...]:
    if headers.keys().isdisjoint(_PASSED_ON):
        return ()
    return tuple(
        (name.decode(), headers[name].decode("latin-1")) for name in sorted(_PASSED_ON) if name in headers
    )

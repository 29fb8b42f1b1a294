"""The upstream call of a flight: sent, relayed to the flight's log, added up, and kept for those to come."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final

from askonce.errors import Sharing, UpstreamFailure
from askonce.model import Entry
from askonce.pipeline.answers import ID_PREFIXES, parse_whole
from askonce.pipeline.assembler import Assembler
from askonce.pipeline.fingerprint import rerouted
from askonce.pipeline.split import CostPolicy, flight_shares, tell_seats
from askonce.pipeline.stored import cache_key, exact, young_enough

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.model import Answer, Chunk, Json, Lane, Request, Route, Usage
    from askonce.pipeline.dispatch import Dispatcher
    from askonce.pipeline.flight import Flight
    from askonce.pipeline.leg import Leg
    from askonce.pipeline.prices import Prices
    from askonce.ports import Clock, Share, Store, UpstreamReply
    from askonce.sending.passage import Passage

__all__ = ["Fetcher"]

_HELD: Final = 64
"""Events without content that a stream may begin with before they are published all the same."""


class Fetcher:
    """Brings answers in."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        store: Store,
        prices: Prices,
        clock: Clock,
        policy: CostPolicy = CostPolicy.LEADER,
    ) -> None:
        """`policy`: who pays for a call that several wait for."""
        self._dispatcher = dispatcher
        self.store = store
        self.prices = prices
        self.clock = clock
        self.policy = policy

    async def fetch(self, flight: Flight, request: Request) -> None:
        """Asks, relays, keeps, and lands the flight, in this order. Raises Refusal."""
        flight.asked_at = perf_counter()
        delivery = _Delivery(flight, request, self)
        flight.journey = self._dispatcher.journey(request, delivery, delivery.divert)
        await flight.journey.travel(request)


class _Delivery:
    """What a flight's journey is for: its answer, from whichever upstream it comes."""

    def __init__(self, flight: Flight, request: Request, fetcher: Fetcher) -> None:
        self._flight = flight
        self._asked = request
        self._store = fetcher.store
        self._prices = fetcher.prices
        self._clock = fetcher.clock
        self._policy = fetcher.policy

    @property
    def lane(self) -> Lane:
        """The most urgent caller's."""
        return self._flight.lane

    @property
    def deadline(self) -> float:
        """The most patient caller's."""
        return self._flight.deadline

    @property
    def begun(self) -> bool:
        """Whether the log has events that callers may have read."""
        return len(self._flight.log) > 0

    def payers(self, nanousd: int) -> tuple[Share, ...]:
        """Those of its callers that the policy says."""
        return flight_shares(self._flight, nanousd, self._policy)

    async def divert(self, request: Request, route: Route) -> Request | None:
        """The request understood anew for a fallback; None where that one's answer is stored, and landed on."""
        self._flight.divert()
        diverted = rerouted(request, route)
        key = cache_key(diverted)
        stored = await self._store.get(key) if key is not None else None
        now = self._clock.now()
        if stored is None or stored.link is not None or not young_enough(stored.entry, diverted, now):
            return diverted
        self._flight.land(stored.entry.answer, exact(stored.entry, now))
        return None

    async def take(self, leg: Leg, passage: Passage) -> None:
        """Relays an answer, keeps it and lands the flight."""
        flight, reply = self._flight, passage.reply
        flight.headers = reply.headers
        flight.sent = leg.way, leg.waited_s
        flight.call = leg.trace
        receive = self._relay if reply.streamed else self._receive
        answer, keepable = await receive(leg, reply)
        leg.answer = answer
        passage.settle(answer.usage)
        self._keep(leg.request, answer, reply, keepable=keepable)
        if leg.bill.answered(answer):
            tell_seats(flight, answer.cost_nanousd or 0, self._policy)
        flight.land(answer, flight.source)

    async def _receive(self, leg: Leg, reply: UpstreamReply) -> tuple[Answer, bool]:
        body = await reply.body()
        answer, stamp, keepable = parse_whole(body, leg.request.ask.endpoint, self._cost(leg.request))
        self._flight.describe(stamp, answer.id_prefix, answer.model)
        return answer, keepable

    async def _relay(self, leg: Leg, reply: UpstreamReply) -> tuple[Answer, bool]:
        """Events wait for the first that says something: a stream that breaks off before can begin again unseen."""
        ask = leg.request.ask
        assembler = Assembler(ask.endpoint, _choice_count(ask.body))
        try:
            return await self._relay_to(assembler, leg, reply)
        except BaseException:
            leg.bill.heard(assembler.said_bytes)
            raise

    async def _relay_to(self, assembler: Assembler, leg: Leg, reply: UpstreamReply) -> tuple[Answer, bool]:
        ask = leg.request.ask
        held: list[Chunk] = []
        while payloads := await reply.read():
            for payload in payloads:
                chunk = assembler.feed(payload)
                if chunk is not None:
                    held.append(chunk)
                if held and (self.begun or assembler.speaks or len(held) > _HELD):
                    leg.answered()
                    self._publish(held, assembler)
        if not (reply.finished or assembler.ended):
            sentence = f"{ask.route.upstream} broke off in the middle of its answer; try again."
            raise UpstreamFailure(502, "upstream_broke_off", sentence, sharing=Sharing.TRANSIENT, began=True)
        self._publish(held, assembler)
        return assembler.finish(self._cost(leg.request))

    def _publish(self, held: list[Chunk], assembler: Assembler) -> None:
        """Publishes the events held, the first of them with the answer's mark."""
        flight, stamp = self._flight, assembler.stamp
        if held and not self.begun and stamp is not None:
            flight.describe(stamp, ID_PREFIXES[self._asked.ask.endpoint] if stamp.id else "", stamp.model)
        for chunk in held:
            flight.publish(chunk)
        held.clear()

    def _keep(self, request: Request, answer: Answer, reply: UpstreamReply, *, keepable: bool) -> None:
        """Stores the answer where policy, caller, upstream and the answer itself allow it.

        It is stored as the answer to what its upstream was asked: under the key of the model that answered. What
        finds the asked model's answers by their meaning doesn't find another model's.
        """
        ask, policy = request.ask, request.policy
        if ask.exact_key is None or ask.hot or not (policy.exact and policy.store) or self._flight.erased:
            return
        ttl_s = policy.ttl_s if reply.max_age_s is None else min(policy.ttl_s, reply.max_age_s)
        if reply.no_store or ttl_s <= 0:
            self._flight.mark_unshareable()
        elif keepable:
            now = self._clock.now()
            entry = Entry(
                key=ask.exact_key,
                answer=answer,
                created_at=now,
                expires_at=now + ttl_s,
                tenant=request.caller.tenant or "",
                feature=policy.feature,
                model=ask.route.model,
                tags=policy.tags,
                users=request.users,
            )
            self._store.put(entry, self._flight.question if request is self._asked else None)

    def _cost(self, request: Request) -> Callable[[Usage], int | None]:
        model = request.ask.route.model
        return lambda usage: self._prices.cost_nanousd(model, usage)


def _choice_count(body: Json) -> int:
    """How many choices a request asks for: `n` for each of its prompts."""
    count, prompt = body.get("n"), body.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    return prompts * (count if isinstance(count, int) else 1)

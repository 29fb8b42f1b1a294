"""The upstream call of a flight: sent, relayed to the flight's log, added up, and kept for those to come."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from askonce.errors import Sharing, UpstreamFailure
from askonce.model import Entry
from askonce.pipeline.answers import ID_PREFIXES, parse_whole
from askonce.pipeline.assembler import Assembler

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.model import Answer, Json, Request, Usage
    from askonce.pipeline.dispatch import Dispatcher
    from askonce.pipeline.flight import Flight
    from askonce.pipeline.prices import Prices
    from askonce.ports import Clock, Observer, Store, UpstreamReply

__all__ = ["Fetcher"]


class Fetcher:
    """Brings answers in."""

    def __init__(
        self, dispatcher: Dispatcher, store: Store, prices: Prices, clock: Clock, observer: Observer
    ) -> None:
        self._dispatcher = dispatcher
        self._store = store
        self._prices = prices
        self._clock = clock
        self._observer = observer

    async def fetch(self, flight: Flight, request: Request) -> None:
        """Asks, relays, keeps, and lands the flight, in this order. Raises UpstreamFailure."""
        began, status = perf_counter(), "cancelled"
        flight.asked_at = began
        try:
            reply = await self._dispatcher.open(request)
            try:
                flight.headers = reply.headers
                receive = self._relay if request.ask.stream else self._receive
                answer, keepable = await receive(flight, request, reply)
                self._keep(flight, request, answer, reply, keepable=keepable)
                flight.land(answer, flight.source)
                status = "ok"
            finally:
                await reply.aclose()
        except UpstreamFailure as failure:
            status = failure.code if failure.code.startswith("upstream_") else str(failure.status)
            raise
        finally:
            self._observer.upstream_call(request.ask.route.upstream, status, perf_counter() - began)

    async def _receive(self, flight: Flight, request: Request, reply: UpstreamReply) -> tuple[Answer, bool]:
        endpoint = request.ask.endpoint
        answer, stamp, keepable = parse_whole(await reply.body(), endpoint, self._cost(request))
        flight.describe(stamp, answer.id_prefix, answer.model)
        return answer, keepable

    async def _relay(self, flight: Flight, request: Request, reply: UpstreamReply) -> tuple[Answer, bool]:
        endpoint = request.ask.endpoint
        assembler = Assembler(endpoint, _choice_count(request.ask.body))
        while payloads := await reply.read():
            for payload in payloads:
                chunk = assembler.feed(payload)
                if chunk is None:
                    continue
                if not len(flight.log) and assembler.stamp is not None:
                    stamp = assembler.stamp
                    flight.describe(stamp, ID_PREFIXES[endpoint] if stamp.id else "", stamp.model)
                flight.publish(chunk)
        if not (reply.finished or assembler.ended):
            sentence = f"{request.ask.route.upstream} broke off in the middle of its answer; try again."
            raise UpstreamFailure(502, "upstream_broke_off", sentence, sharing=Sharing.TRANSIENT)
        return assembler.finish(self._cost(request))

    def _keep(
        self, flight: Flight, request: Request, answer: Answer, reply: UpstreamReply, *, keepable: bool
    ) -> None:
        """Stores the answer where policy, caller, upstream and the answer itself allow it."""
        ask, policy = request.ask, request.policy
        if ask.exact_key is None or ask.hot or not (policy.exact and policy.store):
            return
        ttl_s = policy.ttl_s if reply.max_age_s is None else min(policy.ttl_s, reply.max_age_s)
        if reply.no_store or ttl_s <= 0:
            flight.mark_unshareable()
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
            )
            self._store.put(entry, flight.question)

    def _cost(self, request: Request) -> Callable[[Usage], int | None]:
        model = request.ask.route.model
        return lambda usage: self._prices.cost_nanousd(model, usage)


def _choice_count(body: Json) -> int:
    """How many choices a request asks for: `n` for each of its prompts."""
    count, prompt = body.get("n"), body.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    return prompts * (count if isinstance(count, int) else 1)

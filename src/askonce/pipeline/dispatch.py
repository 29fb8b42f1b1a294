"""Routing: which upstream answers a model, which others stand in for it, and the call that asks each."""

from __future__ import annotations

import asyncio
import functools
import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

import orjson

from askonce.errors import Refusal
from askonce.model import Call, Endpoint, Json, Route, Scope
from askonce.pipeline.journey import Journey
from askonce.pipeline.leg import Stop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from askonce.model import Caller, Request
    from askonce.pipeline.bill import Billing
    from askonce.pipeline.leg import Divert, Errand
    from askonce.ports import Observer, Upstream
    from askonce.sending.outlet import Outlet

__all__ = ["Dispatcher", "Fallback", "Served", "unstreamed"]

_MEMO: Final = 1_000
_STREAMING: Final = frozenset({"stream", "stream_options"})


@dataclass(frozen=True, slots=True)
class Served:
    """What one upstream serves: model patterns, and aliases (`alias → its own name`).

    Its calls leave through `outlet`.
    """

    upstream: Upstream
    outlet: Outlet
    patterns: tuple[str, ...]
    aliases: Mapping[str, str]
    stream_usage: bool = True
    """Whether streams ask for the usage event, so that they can be accounted for."""
    own_key: bool = False
    """Whether calls go out with a key of the gateway's own (or need none) rather than the caller's."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """Who stands in for the models of a pattern, in order; the routes' models are the upstreams' own names.

    A route without a model is for the model as it was asked for. Embeddings have no other stand-ins than those of the same
    model: another one's vectors lie elsewhere, and nothing would show that they are of no use beside the others.
    """

    pattern: str
    routes: tuple[Route, ...]


class Dispatcher:
    """Knows the upstreams in the configuration's order; the first that serves a model gets it."""

    def __init__(
        self,
        served: Sequence[Served],
        observer: Observer,
        billing: Billing,
        fallbacks: Sequence[Fallback] = (),
    ) -> None:
        """`fallbacks`: the first whose pattern matches a model as callers name it counts."""
        self._served = {one.upstream.name: one for one in served}
        self._observer = observer
        self._billing = billing
        self._fallbacks = fallbacks
        self._routes: dict[str, Route] = {}
        self._stops: dict[tuple[str, Route, bool], tuple[Stop, ...]] = {}

    @property
    def outlets(self) -> list[Outlet]:
        """Where calls leave, in the configuration's order."""
        return [one.outlet for one in self._served.values()]

    def route(self, model: str) -> Route:
        """Where a model's requests go.

        Raises:
            Refusal: 404, nobody serves it.
        """
        route = self._routes.get(model)
        if route is None:
            route = self._find(model)
            if len(self._routes) >= _MEMO:
                self._routes.clear()
            self._routes[model] = route
        return route

    def serves(self, model: str) -> bool:
        """Whether some upstream serves a model."""
        try:
            self.route(model)
        except Refusal:
            return False
        return True

    def journey(self, request: Request, errand: Errand, divert: Divert) -> Journey:
        """The way of a request that callers wait for: again where a call fails, then to those that stand in."""
        ask = request.ask
        named = ask.model, ask.route, ask.endpoint is Endpoint.EMBEDDINGS
        stops = self._stops.get(named)
        if stops is None:
            if len(self._stops) >= _MEMO:
                self._stops.clear()
            stops = self._stops[named] = tuple(self._find_stops(*named))
        return Journey(stops, errand, self._observer, self._billing, divert)

    def single(self, request: Request, errand: Errand) -> Journey:
        """The way of a request that nobody waits for: one call to its own upstream, which takes no caller's retry."""
        return Journey([self._stop(request.ask.route)], errand, self._observer, self._billing)

    def spends_callers_key(self, request: Request) -> bool:
        """Whether a request's call is billed to its caller's own credential."""
        return request.caller.credential is not None and not self._served[request.ask.route.upstream].own_key

    async def models(self, caller: Caller) -> list[Json]:
        """All upstreams' models (those that answer), and the aliases.

        Raises:
            UpstreamFailure: no upstream answers.
        """
        listings = await asyncio.gather(
            *(one.upstream.models(caller.credential) for one in self._served.values()), return_exceptions=True
        )
        failures = [listing for listing in listings if isinstance(listing, BaseException)]
        if len(failures) == len(listings):
            raise failures[0]
        found: dict[str, Json] = {}
        for one, listing in zip(self._served.values(), listings, strict=True):
            if isinstance(listing, BaseException):
                continue
            for model in [*listing, *_alias_models(one, listing)]:
                found.setdefault(str(model.get("id")), model)
        return list(found.values())

    async def close(self) -> None:
        """Closes all upstreams."""
        for one in self._served.values():
            await one.upstream.close()

    def _find_stops(self, model: str, route: Route, same_model: bool) -> list[Stop]:  # noqa: FBT001 - part of a key
        chosen = next((one for one in self._fallbacks if fnmatchcase(model, one.pattern)), None)
        stand_ins = [
            self._named(one, model)
            for one in (() if chosen is None else chosen.routes)
            if not same_model or one.model in {"", model, route.model}
        ]
        return [self._stop(one) for one in dict.fromkeys([route, *stand_ins])]

    def _named(self, route: Route, model: str) -> Route:
        own_name = route.model or model
        return Route(route.upstream, self._served[route.upstream].aliases.get(own_name, own_name))

    def _stop(self, route: Route) -> Stop:
        served = self._served[route.upstream]
        return Stop(served.outlet, route, functools.partial(_call, served=served))

    def _find(self, model: str) -> Route:
        for name, one in self._served.items():
            if model in one.aliases:
                return Route(name, one.aliases[model])
        for name, one in self._served.items():
            if any(fnmatchcase(model, pattern) for pattern in one.patterns):
                return Route(name, model)
        raise Refusal(
            404,
            "model_not_found",
            f"No upstream serves the model {model[:100]!r}; GET /v1/models lists what there is.",
            param="model",
        )


def _alias_models(served: Served, listing: Sequence[Json]) -> list[Json]:
    by_id = {model.get("id"): model for model in listing}
    return [
        {
            "object": "model",
            "created": 0,
            "owned_by": served.upstream.name,
            **by_id.get(target, {}),
            "id": alias,
        }
        for alias, target in served.aliases.items()
    ]


def _call(request: Request, served: Served) -> Call:
    """The body goes on byte for byte unless something has to change: an alias, or the usage event of a stream.

    In a shared pool it is written anew: where a key comes twice, parsers differ in which one counts, and what one
    tenant makes the upstream answer is another's.
    """
    ask = request.ask
    changes: Json = {}
    shared = request.policy.scope is Scope.SHARED
    if ask.route.model != ask.model:
        changes["model"] = ask.route.model
    if (
        ask.stream
        and not ask.include_usage
        and served.stream_usage
        and ask.endpoint is not Endpoint.EMBEDDINGS
    ):
        changes["stream_options"] = {**(ask.body.get("stream_options") or {}), "include_usage": True}
    return Call(
        endpoint=ask.endpoint,
        model=ask.route.model,
        body=_dump({**ask.body, **changes}) if changes or shared else ask.raw,
        stream=ask.stream,
        credential=request.caller.credential,
        headers=request.headers,
    )


def unstreamed(request: Request) -> Request:
    """The same question, to be answered as a whole."""
    ask = request.ask
    if not ask.stream:
        return request
    body = {name: value for name, value in ask.body.items() if name not in _STREAMING}
    return request._replace(ask=ask._replace(raw=_dump(body), body=body, stream=False, include_usage=False))


def _dump(body: Json) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # integers beyond 64 bits: rare, and exact in the standard library alone
        return json.dumps(body, separators=(",", ":")).encode()

"""What operators and metrics are shown of upstreams and of how their calls leave."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from typing import TYPE_CHECKING, Final

from askonce.model import Lane
from askonce.observe.metrics import Reading
from askonce.sending.breaker import BreakerState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.model import Json
    from askonce.sending.breaker import Breaker
    from askonce.sending.outlet import Outlet
    from askonce.sending.state import LineState

__all__ = ["upstream_readings", "upstream_state"]

_STATES: Final = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


def upstream_state(outlet: Outlet) -> Json:
    """Breakers, the retry budget, and each model's line. Keys are known by their position alone."""
    now = asyncio.get_running_loop().time()
    models: Json = {model: _line(line.state()) for model, line in outlet.lines()}
    for model, breaker in outlet.breakers.models():
        models.setdefault(model, {})["breaker"] = _breaker(breaker, now)
    return {
        "breaker": _breaker(outlet.breakers.upstream, now),
        "retries_left": round(outlet.budget.tokens, 1),
        "models": models,
    }


def upstream_readings(outlet: Outlet) -> Iterator[Reading]:
    """How an upstream's calls leave, all of its models together: models are no labels."""
    upstream = (("upstream", outlet.name),)
    yield from _of_breakers(outlet, upstream)
    text = "Retries that an upstream's budget allows now."
    yield Reading("retry_budget", text, "gauge", outlet.budget.tokens, upstream)
    lines = [line.state() for _, line in outlet.lines()]
    for lane in Lane:
        queued = sum(line.queued.get(lane, 0) for line in lines)
        text = "Requests that wait for their turn."
        yield Reading("queue_depth", text, "gauge", queued, (*upstream, ("lane", lane)))
    yield from _of_lines(lines, upstream)


def _line(state: LineState) -> Json:
    """A line's state, with lanes by name and without what JSON can't say."""
    said: Json = dataclasses.asdict(state)
    said["queued"] = {lane.value: count for lane, count in state.queued.items()}
    waits = {lane.value: wait_s for lane, wait_s in state.wait_s.items()}
    said["wait_s"] = {
        lane: round(wait_s, 3) if math.isfinite(wait_s) else None for lane, wait_s in waits.items()
    }
    return said


def _breaker(breaker: Breaker, now: float) -> Json:
    return {
        "state": breaker.state,
        "probes_in_s": round(breaker.wait_s(now), 3),
        "opened": breaker.opened,
        "closed": breaker.closed,
    }


def _of_breakers(outlet: Outlet, upstream: tuple[tuple[str, str], ...]) -> Iterator[Reading]:
    breakers = outlet.breakers
    text = "An upstream's circuit breaker: 0 closed, 1 half open, 2 open."
    yield Reading("breaker_state", text, "gauge", _STATES[breakers.upstream.state], upstream)
    left_alone = sum(one.state is not BreakerState.CLOSED for _, one in breakers.models())
    text = "Models of an upstream whose own circuit breaker isn't closed."
    yield Reading("breaker_open_models", text, "gauge", left_alone, upstream)
    text = "Circuit breakers that opened, and closed again."
    for of, to, count in (
        ("upstream", "open", breakers.upstream.opened),
        ("upstream", "closed", breakers.upstream.closed),
        ("model", "open", breakers.models_opened),
        ("model", "closed", breakers.models_closed),
    ):
        yield Reading("breaker_transitions", text, "counter", count, (*upstream, ("of", of), ("to", to)))


def _of_lines(lines: Sequence[LineState], upstream: tuple[tuple[str, str], ...]) -> Iterator[Reading]:
    text = "Calls that may be under way at a time, for all models that were asked for together."
    yield Reading("concurrency_limit", text, "gauge", sum(line.limit for line in lines), upstream)
    text = "Calls under way."
    yield Reading("calls_in_use", text, "gauge", sum(line.in_use for line in lines), upstream)
    text = "Calls that the upstream answered 429."
    yield Reading("upstream_429", text, "counter", sum(line.refused_429 for line in lines), upstream)
    text = "Calls that waited for a rate limit instead of being answered 429."
    yield Reading("upstream_429_avoided", text, "counter", sum(line.avoided_429 for line in lines), upstream)
    text = "Requests that were told at once that waiting is of no use."
    for code, count in (
        ("queue_full", sum(line.turned_away for line in lines)),
        ("deadline_unreachable", sum(line.given_up for line in lines)),
    ):
        yield Reading("queue_refusals", text, "counter", count, (*upstream, ("code", code)))
    learned = [key.learned_per_s or 0.0 for line in lines for key in line.keys]
    text = (
        "Requests per second learned from refusals, all models and keys that were refused together; 0: none."
    )
    yield Reading("learned_requests_per_second", text, "gauge", sum(learned), upstream)

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
    upstream = (outlet.name,)
    yield from _of_breakers(outlet, upstream)
    yield Reading("retry_budget", outlet.budget.tokens, upstream)
    lines = [line.state() for _, line in outlet.lines()]
    for lane in Lane:
        queued = sum(line.queued.get(lane, 0) for line in lines)
        yield Reading("queue_depth", queued, (*upstream, lane))
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


def _of_breakers(outlet: Outlet, upstream: tuple[str]) -> Iterator[Reading]:
    breakers = outlet.breakers
    yield Reading("breaker_state", _STATES[breakers.upstream.state], upstream)
    left_alone = sum(one.state is not BreakerState.CLOSED for _, one in breakers.models())
    yield Reading("breaker_open_models", left_alone, upstream)
    for of, to, count in (
        ("upstream", "open", breakers.upstream.opened),
        ("upstream", "closed", breakers.upstream.closed),
        ("model", "open", breakers.models_opened),
        ("model", "closed", breakers.models_closed),
    ):
        yield Reading("breaker_transitions", count, (*upstream, of, to))


def _of_lines(lines: Sequence[LineState], upstream: tuple[str]) -> Iterator[Reading]:
    yield Reading("concurrency_limit", sum(line.limit for line in lines), upstream)
    yield Reading("calls_in_use", sum(line.in_use for line in lines), upstream)
    yield Reading("upstream_429", sum(line.refused_429 for line in lines), upstream)
    yield Reading("upstream_429_avoided", sum(line.avoided_429 for line in lines), upstream)
    for code, count in (
        ("queue_full", sum(line.turned_away for line in lines)),
        ("deadline_unreachable", sum(line.given_up for line in lines)),
    ):
        yield Reading("queue_refusals", count, (*upstream, code))
    learned = [key.learned_per_s or 0.0 for line in lines for key in line.keys]
    yield Reading("learned_requests_per_second", sum(learned), upstream)

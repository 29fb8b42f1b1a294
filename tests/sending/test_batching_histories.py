"""Batching under random histories: whoever asks gets their own answer or an error, and nothing is left behind."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.errors import Refusal, UpstreamFailure
from askonce.model import Lane
from askonce.sending.batches.pile import Load, Member, Pile
from askonce.sending.limits import Limits
from sending.engine import TRANSIENT, Engine, embedding, line, ticket, vectors
from virtual_time import virtual_time


@dataclass(frozen=True)
class Caller:
    """One request: when it comes, what it asks, and when its caller leaves, if it does."""

    at_ms: int
    asked: Any
    tenant: str
    lane: Lane
    size: int
    leaves_ms: int | None


TEXTS = st.sampled_from(["a", "b", "c", "bad one"])
CALLERS = st.builds(
    Caller,
    at_ms=st.integers(0, 120),
    asked=TEXTS | st.lists(TEXTS, min_size=1, max_size=4),
    tenant=st.sampled_from(["x", "y", "z"]),
    lane=st.sampled_from(Lane),
    size=st.integers(1, 2),
    leaves_ms=st.none() | st.none() | st.integers(0, 60),
)
ENGINES = st.builds(
    Engine,
    fixed_s=st.sampled_from([0.0, 0.010, 0.050]),
    most_items=st.sampled_from([3, 10_000]),
    failures=st.lists(st.just(UpstreamFailure(503, "busy", "Busy.", sharing=TRANSIENT)), max_size=2),
    serial=st.booleans(),
)


async def play(engine: Engine, callers: list[Caller], limits: Limits) -> list[Any]:
    sent = line(
        engine,
        limits,
        most=Load(6, 100_000, 2**20),
        linger_s={Lane.RELAXED: 0.02},
        linger_items=3,
        max_waiting=30,
    )

    async def one(caller: Caller) -> Any:
        await asyncio.sleep(caller.at_ms / 1000)
        held = ticket(caller.tenant, caller.lane, patience_s=5.0)
        asking = asyncio.create_task(vectors(sent, caller.asked, held, dimensions=caller.size))
        if caller.leaves_ms is not None:
            await asyncio.sleep(caller.leaves_ms / 1000)
            asking.cancel()
        await asyncio.wait([asking])
        return "left" if asking.cancelled() else asking.exception() or asking.result()

    told = await asyncio.gather(*map(one, callers))
    await asyncio.sleep(0.001)
    assert sent.idle
    assert sent.state().in_use == engine.running == 0
    assert sent._batches is not None
    assert not sent._batches._groups
    return told


@settings(max_examples=60)
@given(ENGINES, st.lists(CALLERS, max_size=20), st.sampled_from([1, 2, 100]))
def test_everybody_gets_their_own_or_an_error(engine: Engine, callers: list[Caller], slots: int) -> None:
    """No vector is crossed, whoever leaves, fails or is refused; the bad input's owner alone is told of it."""
    limits = Limits(max_concurrency=slots, min_concurrency=1)
    told = virtual_time(play)(engine, callers, limits)
    for caller, outcome in zip(callers, told, strict=True):
        asked = caller.asked if isinstance(caller.asked, list) else [caller.asked]
        if isinstance(outcome, list):
            assert outcome == asked
            assert "bad one" not in asked
        elif isinstance(outcome, UpstreamFailure) and outcome.status == 400:
            assert "bad one" in asked or len(asked) > engine.most_items
        elif isinstance(outcome, Refusal):
            assert outcome.status in {429, 503}
        else:
            assert outcome == "left"
            assert caller.leaves_ms is not None


@settings(max_examples=50)
@given(st.lists(CALLERS, min_size=1, max_size=30), st.integers(1, 8), st.data())
def test_a_pile_gives_everything_once_and_in_turn(
    callers: list[Caller], most: int, draw: st.DataObject
) -> None:
    """What is taken is at most the load, begins with the longest waiting, and leaves nobody out in the end."""

    async def play_pile() -> None:
        pile, form = Pile(), line(Engine())._batches
        assert form is not None
        members = []
        for caller in callers:
            part = form.read(embedding(caller.asked))
            assert part is not None
            share = asyncio.get_running_loop().create_future()
            members.append(Member(part, ticket(caller.tenant, caller.lane), share, 0.0, 0.0))
            pile.add(members[-1])
        hurried = draw.draw(st.sampled_from(members))
        pile.hurry(hurried, Lane.INTERACTIVE)
        left = draw.draw(st.sampled_from(members))
        pile.remove(left)
        waiting = [member for member in members if member is not left]
        assert pile.items == sum(len(member.part.items) for member in waiting)
        while waiting:
            taken = pile.take(Load(most, 100_000, 2**20))
            assert taken[0] is waiting[0]
            assert len(taken) == 1 or sum(len(member.part.items) for member in taken) <= most
            waiting = [member for member in waiting if member not in taken]
            assert list(pile) == waiting
        assert not pile.take(Load(most, 100_000, 2**20))
        assert (len(pile), pile.items) == (0, 0)

    virtual_time(play_pile)()

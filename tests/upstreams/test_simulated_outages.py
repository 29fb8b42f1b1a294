"""What a dead upstream looks like, and when it lives again."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any

import pytest

from askonce.errors import Sharing, UpstreamFailure
from askonce.upstreams.simulated import OutageKind, PlannedOutage, Severed, SimulatedUpstream
from upstreams.asking import call, chat, make, outcome
from virtual_time import virtual_time


def order(upstream: SimulatedUpstream, kind: str, seconds: float, after_s: float = 0.0) -> None:
    now = asyncio.get_running_loop().time()
    upstream.outages.order(PlannedOutage(OutageKind(kind), seconds, after_s), now)


@pytest.mark.parametrize(("kind", "status", "counted"), [("refuse", "502", "severed"), ("500", "500", "500")])
@virtual_time
async def test_an_outage_begins_and_ends(kind: str, status: str, counted: str) -> None:
    """Calls fail from the order on until its time is over; who came meanwhile is counted."""
    upstream = make()
    assert await outcome(upstream, chat()) == "ok"
    order(upstream, kind, 20)
    assert await outcome(upstream, chat()) == status
    await asyncio.sleep(19.9)
    assert await outcome(upstream, chat()) == status
    await asyncio.sleep(0.2)
    assert await outcome(upstream, chat()) == "ok"
    assert upstream.counters.in_outage == 2
    assert upstream.counters.by_outcome == {"ok": 2, counted: 2}


@virtual_time
async def test_a_dead_upstream_is_not_the_requests_fault() -> None:
    """Others may try again."""
    upstream = make()
    order(upstream, "refuse", 1)
    with pytest.raises(Severed) as caught:
        await upstream.open(call(chat()))
    assert caught.value.sharing is Sharing.TRANSIENT


@virtual_time
async def test_a_hanging_upstream_answers_nobody() -> None:
    """A call hangs until its caller gives up, or until the outage is over, whose end an order can bring forward."""
    upstream = make()
    loop = asyncio.get_running_loop()
    order(upstream, "hang", 20)
    began = loop.time()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(upstream.open(call(chat())), 5)
    hanging = asyncio.create_task(upstream.open(call(chat())))
    with pytest.raises(Severed):
        await hanging
    assert loop.time() - began == pytest.approx(20)
    order(upstream, "hang", 1_000)
    hanging = asyncio.create_task(upstream.open(call(chat())))
    await asyncio.sleep(1)
    order(upstream, "hang", 0)
    with pytest.raises(Severed):
        await hanging
    assert await outcome(upstream, chat()) == "ok"
    assert upstream.counters.by_outcome == {"cancelled": 1, "severed": 2, "ok": 1}
    assert upstream.counters.in_outage == 3


@pytest.mark.parametrize(("kind", "breaks"), [("reset", True), ("refuse", False), ("500", False)])
@virtual_time
async def test_only_a_reset_breaks_off_what_is_under_way(kind: str, breaks: bool) -> None:  # noqa: FBT001 - a case
    """Running streams and plain answers end with a `reset`, and come to their own end with the other kinds."""
    upstream = make(tokens_per_second=10)
    stream = await upstream.open(call(chat(stream=True, x_simulate={"tokens": 30})))
    plain = asyncio.create_task(upstream.open(call(chat(x_simulate={"tokens": 30}))))
    await asyncio.sleep(0.5)
    order(upstream, kind, 1)
    await asyncio.sleep(2)
    if breaks:
        with pytest.raises(Severed):
            await stream.read()
        with pytest.raises(Severed):
            await plain
        assert upstream.counters.by_outcome == {"severed": 2}
    else:
        while await stream.read():
            pass
        await (await plain).body()
        assert upstream.counters.by_outcome == {"ok": 2}
    assert await outcome(upstream, chat("after it")) == "ok"


@virtual_time
async def test_outages_can_be_planned() -> None:
    """A schedule counts from the first call; an order takes its place."""
    planned = (
        PlannedOutage(OutageKind.REFUSE, 5, after_s=10),
        PlannedOutage(OutageKind.ERROR, 5, after_s=30),
    )
    upstream = make(outages=planned)
    await asyncio.sleep(100)
    seen = []
    for _ in range(8):
        seen.append(await outcome(upstream, chat()))
        await asyncio.sleep(5)
    assert seen == ["ok", "ok", "502", "ok", "ok", "ok", "500", "ok"]
    order(upstream, "500", 5, after_s=5)
    seen = []
    for _ in range(3):
        seen.append(await outcome(upstream, chat()))
        await asyncio.sleep(5)
    assert seen == ["ok", "500", "ok"]


@virtual_time
async def test_slots_outlive_an_outage() -> None:
    """Answers that an outage breaks off give their slot back."""
    upstream = make(slots=1, tokens_per_second=10)
    stream = await upstream.open(call(chat(stream=True)))
    order(upstream, "reset", 1, after_s=0.1)
    await asyncio.sleep(2)
    with pytest.raises(UpstreamFailure):
        await stream.read()
    await stream.aclose()
    async with asyncio.timeout(60):
        assert await outcome(upstream, chat()) == "ok"


@pytest.mark.parametrize("times", [{"seconds": -1.0}, {"seconds": inf}, {"seconds": 1.0, "after_s": -1.0}])
def test_what_makes_no_sense_is_told(times: dict[str, Any]) -> None:
    """Times that lie in the past or never end."""
    with pytest.raises(ValueError, match="at least 0"):
        PlannedOutage(OutageKind.REFUSE, **times)

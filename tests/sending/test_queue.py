"""The queue: whose turn it is."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from askonce.model import Lane
from askonce.sending.key import Key
from askonce.sending.limits import Limits
from askonce.sending.pool import Pool
from askonce.sending.queue import Queue, Waiter
from askonce.sending.ticket import Ticket

if TYPE_CHECKING:
    from askonce.errors import Refusal
    from askonce.sending.grant import Grant

LANES = list(Lane)


def waiter(tenant: str, lane: Lane = Lane.INTERACTIVE, pool: Pool | None = None) -> Waiter:
    turn: asyncio.Future[Grant | Refusal] = asyncio.Future(loop=LOOP)
    return Waiter(Ticket(tenant, lane, 1, 1e9), pool or POOL, turn, 0.0)


POOL = Pool([Key(Limits())])
LOOP = asyncio.new_event_loop()
LOOP.close()  # nobody waits here


def drained(queue: Queue) -> list[Waiter]:
    order = []
    while (turn := queue.peek()) is not None:
        queue.take(turn)
        order.append(turn.waiter)
    return order


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=60))
def test_a_tenants_nth_call_goes_after_every_others_nth_first(tenants: list[str]) -> None:
    """Between two calls of a tenant, every other tenant that waits has its turn once, and once only."""
    queue = Queue()
    for tenant in tenants:
        queue.push(waiter(tenant))
    order = [one.ticket.tenant for one in drained(queue)]
    assert sorted(order) == sorted(tenants)
    for tenant in set(tenants):
        places = [place for place, one in enumerate(order) if one == tenant]
        for before, after in pairwise(places):
            between = order[before + 1 : after]
            assert len(between) == len(set(between))


def test_a_burst_of_thousands_lets_a_single_call_go_second() -> None:
    """One tenant's five thousand calls delay another's single call by one turn."""
    queue = Queue()
    for _ in range(5_000):
        queue.push(waiter("burst"))
    single = waiter("single")
    assert queue.ahead(single.ticket, POOL) == 1
    queue.push(single)
    assert drained(queue).index(single) == 1


@given(st.lists(st.sampled_from(LANES), min_size=1, max_size=120))
def test_no_lane_starves(lanes: list[Lane]) -> None:
    """Earlier lanes go first, but a lane in which somebody waits is passed over eleven times at most."""
    queue = Queue()
    for lane in lanes:
        queue.push(waiter("a", lane))
    order = [one.ticket.lane for one in drained(queue)]
    for lane in LANES:
        places = [-1, *(place for place, one in enumerate(order) if one is lane)]
        assert all(after - before <= 12 for before, after in pairwise(places))
    first = [lane for lane in order[:9] if lane is not LANES[0]]
    assert not first or lanes.count(LANES[0]) < 9


def test_a_hurried_call_moves_up_and_never_down() -> None:
    """A raised lane counts at once; a later lane changes nothing."""
    queue = Queue()
    relaxed, batch, interactive = waiter("a", Lane.RELAXED), waiter("b", Lane.BATCH), waiter("c")
    for one in (relaxed, batch, interactive):
        queue.push(one)
    queue.hurry(batch, Lane.INTERACTIVE)
    queue.hurry(interactive, Lane.BATCH)
    assert drained(queue) == [interactive, batch, relaxed]
    assert batch.ticket.lane is Lane.INTERACTIVE


def test_pools_that_are_held_back_hold_nobody_else_back() -> None:
    """Calls with another key pass those whose key may not send, and both keep their order."""
    other = Pool([Key(Limits())])
    queue = Queue()
    held = [waiter("a"), waiter("a")]
    free = waiter("b", pool=other)
    queue.hold(POOL)
    for one in (*held, free):
        queue.push(one)
    assert drained(queue) == [free]
    queue.free(POOL)
    assert drained(queue) == held


def test_whoever_has_most_waiting_makes_room() -> None:
    """In a full queue the longest line's last call makes way, from the last lane first, for a tenant with fewer."""
    queue = Queue()
    burst = [waiter("burst") for _ in range(5)]
    for one in burst:
        queue.push(one)
    queue.push(waiter("other"))
    assert queue.crowded_out(Ticket("new", Lane.INTERACTIVE, 1, 1e9), POOL) is burst[-1]
    assert queue.crowded_out(Ticket("burst", Lane.INTERACTIVE, 1, 1e9), POOL) is None
    assert queue.crowded_out(Ticket("new", Lane.BATCH, 1, 1e9), POOL) is None
    batch = waiter("b", Lane.BATCH)
    queue.push(batch)
    assert queue.crowded_out(Ticket("burst", Lane.INTERACTIVE, 1, 1e9), POOL) is batch


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(LANES), st.booleans()), max_size=40),
    st.sampled_from("abcd"),
    st.sampled_from(LANES),
)
def test_whoever_leaves_is_gone_and_places_are_counted_from_above(
    joined: list[tuple[str, Lane, bool]], tenant: str, lane: Lane
) -> None:
    """Depths and places fit what waits; a newcomer never waits for more than was said (lanes that are due aside)."""
    queue = Queue()
    waiters = [(waiter(one, lane), stays) for one, lane, stays in joined]
    for one, _ in waiters:
        queue.push(one)
    for one, stays in waiters:
        if not stays:
            queue.remove(one)
            queue.remove(one)
    stay = [one for one, stays in waiters if stays]
    assert len(queue) == sum(queue.depth().values()) == len(stay)
    assert {one for one, _ in queue.places()} == set(stay)
    newcomer = waiter(tenant, lane)
    said = queue.ahead(newcomer.ticket, POOL)
    queue.push(newcomer)
    order = drained(queue)
    later = {one for one in order if LANES.index(one.ticket.lane) > LANES.index(lane)}
    assert sum(one not in later for one in order[: order.index(newcomer)]) <= said
    assert set(order) == {*stay, newcomer}

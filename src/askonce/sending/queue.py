"""Who waits, and who is next: lanes by priority, keys and tenants in turn."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.model import Lane

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from askonce.errors import Refusal
    from askonce.sending.grant import Grant
    from askonce.sending.pool import Pool
    from askonce.sending.ticket import Ticket

__all__ = ["Queue", "Turn", "Waiter"]

_LANES: Final = tuple(Lane)
_PASSED_OVER: Final = 9
"""Times that a lane lets others go first: it is never given less than a tenth of the turns."""


@dataclass(slots=True, eq=False)
class Waiter:
    """A ticket in the queue since an event-loop time: `turn` is given the leave to go, or a refusal."""

    ticket: Ticket
    pool: Pool
    turn: asyncio.Future[Grant | Refusal]
    since: float


class Turn(NamedTuple):
    """Whose turn it is, and where it stands."""

    lane: int
    waiter: Waiter


@dataclass(slots=True)
class _Flows:
    """The waiters of one pool in one lane, by tenant; the first tenant is next."""

    tenants: OrderedDict[str, OrderedDict[Waiter, None]] = field(default_factory=OrderedDict)
    count: int = 0

    def first(self) -> Waiter:
        return next(iter(next(iter(self.tenants.values()))))

    def add(self, waiter: Waiter) -> None:
        self.tenants.setdefault(waiter.ticket.tenant, OrderedDict())[waiter] = None
        self.count += 1

    def remove(self, waiter: Waiter, *, rotate: bool) -> None:
        tenant = waiter.ticket.tenant
        waiters = self.tenants[tenant]
        del waiters[waiter]
        self.count -= 1
        if not waiters:
            del self.tenants[tenant]
        elif rotate:
            self.tenants.move_to_end(tenant)


@dataclass(slots=True)
class _LaneQueue:
    """One lane: pools that may send take turns, the others are held back."""

    ready: OrderedDict[Pool, _Flows] = field(default_factory=OrderedDict)
    held: dict[Pool, _Flows] = field(default_factory=dict)
    count: int = 0
    passed_over: int = 0

    def flows(self, pool: Pool) -> _Flows | None:
        return self.ready.get(pool) or self.held.get(pool)

    def all_flows(self) -> Iterator[_Flows]:
        yield from self.ready.values()
        yield from self.held.values()


class Queue:
    """All that wait for one upstream and model.

    An earlier lane goes first, but a lane in which somebody waits is passed over nine times at most. Within a lane, the
    pools of keys that may send take turns, and within a pool its tenants: a tenant's second call goes after the first
    one of every other tenant.
    """

    def __init__(self) -> None:
        self._lanes = [_LaneQueue() for _ in _LANES]
        self._waiters: dict[Ticket, Waiter] = {}
        self._held: set[Pool] = set()

    def __len__(self) -> int:
        return len(self._waiters)

    def depth(self) -> dict[Lane, int]:
        """Waiting calls by lane."""
        return {lane: queue.count for lane, queue in zip(_LANES, self._lanes, strict=True)}

    def find(self, ticket: Ticket) -> Waiter | None:
        """Where a ticket waits; None where it doesn't."""
        return self._waiters.get(ticket)

    def waiters(self) -> list[Waiter]:
        """All that wait."""
        return list(self._waiters.values())

    def push(self, waiter: Waiter) -> None:
        """Joins behind the other calls of its tenant."""
        lane = self._lane(waiter)
        flows = lane.flows(waiter.pool)
        if flows is None:
            flows = _Flows()
            (lane.held if waiter.pool in self._held else lane.ready)[waiter.pool] = flows
        flows.add(waiter)
        lane.count += 1
        self._waiters[waiter.ticket] = waiter

    def peek(self) -> Turn | None:
        """Whose turn it is, among the pools that aren't held back."""
        chosen = None
        for number, lane in enumerate(self._lanes):
            overdue = lane.passed_over >= _PASSED_OVER
            if lane.ready and (
                chosen is None or (overdue and lane.passed_over > self._lanes[chosen].passed_over)
            ):
                chosen = number
        if chosen is None:
            return None
        return Turn(chosen, next(iter(self._lanes[chosen].ready.values())).first())

    def take(self, turn: Turn) -> None:
        """The waiter goes; its tenant and pool stand at the end of their lines."""
        chosen, waiter = turn
        for number, lane in enumerate(self._lanes):
            lane.passed_over = lane.passed_over + 1 if lane.ready and number != chosen else 0
        self._remove(waiter, rotate=True)

    def remove(self, waiter: Waiter) -> None:
        """The waiter leaves without its turn; nobody else's place changes."""
        if waiter.ticket in self._waiters:
            self._remove(waiter, rotate=False)

    def hurry(self, waiter: Waiter, lane: Lane) -> None:
        """Moves to an earlier lane; a later one changes nothing."""
        if waiter.ticket.is_behind(lane):
            self._remove(waiter, rotate=False)
            waiter.ticket.lane = lane
            self.push(waiter)

    def hold(self, pool: Pool) -> None:
        """No key of this pool may send now."""
        self._held.add(pool)
        for lane in self._lanes:
            if flows := lane.ready.pop(pool, None):
                lane.held[pool] = flows

    def free(self, pool: Pool) -> None:
        """A key of this pool may send again: it is the last in turn."""
        self._held.discard(pool)
        for lane in self._lanes:
            if flows := lane.held.pop(pool, None):
                lane.ready[pool] = flows

    def crowded_out(self, ticket: Ticket, pool: Pool) -> Waiter | None:
        """Who makes room for a ticket in a full queue: the last call of the tenant that has most of them waiting.

        It comes from the last lane with anybody in it. In the ticket's own lane it is somebody who would have two more
        waiting than the ticket's tenant; None where there is nobody of that kind.
        """
        for number in range(len(_LANES) - 1, _LANES.index(ticket.lane) - 1, -1):
            lane = self._lanes[number]
            if not lane.count:
                continue
            longest = max((line for flows in lane.all_flows() for line in flows.tenants.values()), key=len)
            if number == _LANES.index(ticket.lane) and len(longest) < 2 + self._own(
                lane, pool, ticket.tenant
            ):
                return None
            return next(reversed(longest))
        return None

    def ahead(self, ticket: Ticket, pool: Pool) -> int:
        """Calls that go before one that waits, or would before a newcomer, as things stand."""
        number = _LANES.index(ticket.lane)
        lane = self._lanes[number]
        waiter = self._waiters.get(ticket)
        if waiter is not None and (flows := lane.flows(waiter.pool)) is not None:
            before = list(flows.tenants[ticket.tenant]).index(waiter)
            return self._before(number) + min(lane.count - 1, _place(lane, pool, before, known=True))
        own = self._own(lane, pool, ticket.tenant)
        return self._before(number) + min(lane.count, _place(lane, pool, own, known=own > 0))

    def places(self) -> Iterator[tuple[Waiter, int]]:
        """Every waiter, and how many go before it, as things stand."""
        for number, lane in enumerate(self._lanes):
            before = self._before(number)
            for flows in lane.all_flows():
                for line in flows.tenants.values():
                    for own, waiter in enumerate(line):
                        place = _place(lane, waiter.pool, own, known=True)
                        yield waiter, before + min(lane.count - 1, place)

    def _lane(self, waiter: Waiter) -> _LaneQueue:
        return self._lanes[_LANES.index(waiter.ticket.lane)]

    def _before(self, number: int) -> int:
        return sum(lane.count for lane in self._lanes[:number])

    def _own(self, lane: _LaneQueue, pool: Pool, tenant: str) -> int:
        flows = lane.flows(pool)
        return len(flows.tenants.get(tenant, ())) if flows is not None else 0

    def _remove(self, waiter: Waiter, *, rotate: bool) -> None:
        lane, pool = self._lane(waiter), waiter.pool
        flows = lane.flows(pool)
        if flows is None:
            raise LookupError("a waiter that isn't in its lane")
        flows.remove(waiter, rotate=rotate)
        lane.count -= 1
        del self._waiters[waiter.ticket]
        if not flows.count:
            lane.ready.pop(pool, None)
            lane.held.pop(pool, None)
        elif rotate and pool in lane.ready:
            lane.ready.move_to_end(pool)


def _place(lane: _LaneQueue, pool: Pool, own: int, *, known: bool) -> int:
    """Calls of a lane that go before the one that stands behind `own` others of its tenant.

    Everybody else has their first, second, ... call go before this tenant's first, second, ...: an estimate from above.
    `known` says whether the tenant is one of those counted in the lane.
    """
    flows = lane.flows(pool)
    tenants, count = (len(flows.tenants), flows.count) if flows is not None else (0, 0)
    in_pool = min(count, own + (tenants - known) * (own + 1))
    other_pools = len(lane.ready) + len(lane.held) - (flows is not None)
    return in_pool + other_pools * (in_pool + 1)

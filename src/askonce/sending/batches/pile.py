"""What waits to go together: calls of one group, taken up to a load, tenants in turn."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from askonce.model import Lane

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Iterator, Sequence

    from askonce.sending.batches.form import Part
    from askonce.sending.batches.share import Share
    from askonce.sending.ticket import Ticket

__all__ = ["Carrier", "Load", "Member", "Pile", "crowded_out"]


@dataclass(slots=True, eq=False)
class Carrier:
    """Who waits for a turn, and goes with all that has piled up by then.

    Attributes:
        ticket: What it waits with.
        members: Who went with it; none while it waits.
        under_way: Whether it counts among its group's batches under way.
        task: Its own.
    """

    ticket: Ticket
    members: list[Member] = field(default_factory=list)
    under_way: bool = False
    task: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Cancels the upstream call, or the wait for it."""
        if self.task is not None:
            self.task.cancel()


@dataclass(slots=True, eq=False)
class Member:
    """A call that waits for others, or is under way with them.

    Attributes:
        part: What it adds.
        ticket: Who asks.
        share: Where its caller waits; cancelled once it has left.
        since: Event-loop time at which it came.
        due: Event-loop time from which it doesn't wait for others any more.
        reason: Why it waits: `linger`, `concurrency` (others of its group are under way), or "".
        carrier: Who took it along; None while it waits.
    """

    part: Part
    ticket: Ticket
    share: asyncio.Future[Share]
    since: float
    due: float
    reason: str = ""
    carrier: Carrier | None = None

    @property
    def answered(self) -> bool:
        """Whether it has its share: it neither failed nor left."""
        return self.share.done() and not self.share.cancelled() and self.share.exception() is None

    def fail(self, error: BaseException) -> None:
        """Tells its caller, if that is still there."""
        if not self.share.done():
            self.share.set_exception(error)


@dataclass(frozen=True, slots=True)
class Load:
    """How much goes at a time: items, estimated tokens, and bytes of the calls' bodies."""

    items: int
    tokens: int
    size_bytes: int

    def __add__(self, other: Load) -> Load:
        return Load(self.items + other.items, self.tokens + other.tokens, self.size_bytes + other.size_bytes)

    def holds(self, other: Load) -> bool:
        """Whether the other is no more than this in any respect."""
        return (
            other.items <= self.items and other.tokens <= self.tokens and other.size_bytes <= self.size_bytes
        )

    @staticmethod
    def of(member: Member) -> Load:
        """What one call brings."""
        return Load(len(member.part.items), member.ticket.tokens, len(member.part.call.body))


@dataclass(slots=True)
class Pile:
    """The calls of one group that wait.

    The one that came first is always taken; the rest of the load goes to earlier lanes before later ones, and within a
    lane to tenants in turn. So a lane or tenant with much to send never keeps another's calls waiting for long.
    """

    _lanes: dict[Lane, OrderedDict[str, dict[Member, None]]] = field(
        default_factory=lambda: {lane: OrderedDict() for lane in Lane}
    )
    _members: dict[Member, None] = field(default_factory=dict)
    items: int = 0

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members)

    def __contains__(self, member: Member) -> bool:
        return member in self._members

    def add(self, member: Member) -> None:
        """One more call, behind the others of its tenant."""
        self._members[member] = None
        self.items += len(member.part.items)
        self._line_up(member)

    def remove(self, member: Member) -> None:
        """A call leaves; nobody else's place changes."""
        del self._members[member]
        self.items -= len(member.part.items)
        self._step_out(member)

    def hurry(self, member: Member, lane: Lane) -> None:
        """Moves a call to an earlier lane; a later one changes nothing."""
        if member.ticket.is_behind(lane):
            self._step_out(member)
            member.ticket.lane = lane
            self._line_up(member)

    def urgent(self) -> Member:
        """The call that is next in turn. Raises LookupError for an empty pile."""
        tenants = next(filter(None, self._lanes.values()), None)
        if tenants is None:
            raise LookupError("nothing waits")
        return next(iter(next(iter(tenants.values()))))

    def take(self, most: Load) -> list[Member]:
        """Takes what goes together now: at least one call, if there is any, and no more than `most` otherwise."""
        taken: list[Member] = []
        load = Load(0, 0, 0)
        while self._members:
            member = self.urgent() if taken else next(iter(self._members))
            load += Load.of(member)
            if taken and not most.holds(load):
                break
            self.remove(member)
            tenants = self._lanes[member.ticket.lane]
            if member.ticket.tenant in tenants:
                tenants.move_to_end(member.ticket.tenant)
            taken.append(member)
        return taken

    def lines(self, lane: Lane) -> Iterable[tuple[str, Sequence[Member]]]:
        """The tenants of a lane, each with its calls in the order in which they came."""
        return ((tenant, tuple(line)) for tenant, line in self._lanes[lane].items())

    def _line_up(self, member: Member) -> None:
        self._lanes[member.ticket.lane].setdefault(member.ticket.tenant, {})[member] = None

    def _step_out(self, member: Member) -> None:
        tenants = self._lanes[member.ticket.lane]
        line = tenants[member.ticket.tenant]
        del line[member]
        if not line:
            del tenants[member.ticket.tenant]


def crowded_out(piles: Sequence[Pile], ticket: Ticket) -> Member | None:
    """Who makes room for a ticket where no more may wait: the newest call of the tenant that has most of them waiting.

    It comes from the last lane with anybody in it. In the ticket's own lane it is somebody who would have two more
    waiting than the ticket's tenant; None where there is nobody of that kind. Lines have the same rule.
    """
    for lane in reversed(Lane):
        lines = [line for pile in piles for line in pile.lines(lane)]
        if lines:
            counts: Counter[str] = Counter()
            for tenant, members in lines:
                counts[tenant] += len(members)
            longest, count = counts.most_common(1)[0]
            if lane is ticket.lane and count < 2 + counts[ticket.tenant]:
                return None
            return max((line[-1] for tenant, line in lines if tenant == longest), key=lambda one: one.since)
        if lane is ticket.lane:
            break
    return None

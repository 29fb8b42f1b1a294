"""Group commit: calls that wait anyway go together, for upstreams that take several at a time.

A call that finds nobody under way and a slot free goes at once, alone. While it is under way the next ones pile up, and
when it is back and a slot is free all of them go as one call, up to the caps. So an idle gateway adds no wait, and batches
are as large as the load makes them. Only where a lane lingers does a call wait for others to come.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from askonce.errors import Refusal
from askonce.sending.batches.pile import Carrier, Member, Pile, crowded_out
from askonce.sending.batches.size import BatchSize
from askonce.sending.batches.width import Width
from askonce.sending.delivery import Delivery, Run
from askonce.sending.refusals import in_vain, queue_full, unreachable
from askonce.sending.ticket import Ticket

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from askonce.model import Call, Lane
    from askonce.sending.batches.form import Part
    from askonce.sending.batches.rules import BatchingRules
    from askonce.sending.batches.share import Share
    from askonce.sending.delivery import Gate

__all__ = ["Batches"]


@dataclass(slots=True, eq=False)
class _Group:
    """Calls that can go together: those that wait, who waits for a turn with them, and how many batches are under way."""

    key: Hashable
    run: Run
    pile: Pile = field(default_factory=Pile)
    waiting: Carrier | None = None
    in_flight: int = 0
    timer: asyncio.TimerHandle | None = None


class Batches:
    """Everything of one upstream and model that goes together. Belongs to one event loop; owns its carriers' tasks.

    Attributes:
        turned_away: Calls that were told `queue_full`.
        given_up: Calls that were told `deadline_unreachable` instead of joining others.
    """

    def __init__(self, name: str, rules: BatchingRules, gate: Gate) -> None:
        """`name` is the upstream's, for what callers are told."""
        self.turned_away = self.given_up = 0
        self._name = name
        self._rules = rules
        self._gate = gate
        self._delivery = Delivery(name, gate)
        self._runs = {
            endpoint: Run(form, BatchSize(rules.most.items, rules.target_s), Width(rules.in_flight))
            for endpoint, form in rules.forms.items()
        }
        self._groups: dict[Hashable, _Group] = {}
        self._waiting: dict[Ticket, tuple[_Group, Member]] = {}
        self._carriers: set[Carrier] = set()

    def depth(self) -> Counter[Lane]:
        """Waiting calls by lane, but for those that a carrier in the line's own queue stands for."""
        waiting = Counter(ticket.lane for ticket in self._waiting)
        waiting.subtract(
            group.waiting.ticket.lane for group in self._groups.values() if group.waiting is not None
        )
        return waiting

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and nothing waits."""
        return not self._carriers and not self._waiting

    def read(self, call: Call) -> Part | None:
        """What a call adds to a batch; None where it has to go alone."""
        form, most = self._rules.forms.get(call.endpoint), self._rules.most
        if form is None or len(call.body) > most.size_bytes:
            return None
        part = form.read(call)
        return part if part is not None and len(part.items) <= most.items else None

    async def open(self, part: Part, ticket: Ticket) -> Share:
        """Waits for its turn, and for its share of the answer.

        Raises:
            Refusal: 429 `queue_full` or `deadline_unreachable`, or what the gate told the carrier that waited for it.
            UpstreamFailure: the call failed.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._check_deadline(part, ticket, now)
        if len(self._waiting) > self._rules.max_waiting:
            self._make_room(part, ticket)
        group = self._group(part)
        member = Member(part, ticket, loop.create_future(), now, now + self._linger_s(ticket, now))
        if group.in_flight >= group.run.width.limit:
            member.reason = "concurrency"
        elif member.due > now:
            member.reason = "linger"
        group.pile.add(member)
        self._waiting[ticket] = (group, member)
        if group.waiting is not None:
            self._gate.hurry(group.waiting.ticket, ticket.lane)
        self._set_off(group)
        try:
            return await member.share
        finally:
            if member.share.cancelled():
                self._left(group, member)
            elif member.share.done():
                member.share.exception()  # seen, also where this caller is cancelled in the same breath

    def hurry(self, ticket: Ticket, lane: Lane) -> None:
        """Moves a call that waits to an earlier lane, and whoever waits for a turn on its behalf."""
        if ticket not in self._waiting:
            return
        group, member = self._waiting[ticket]
        group.pile.hurry(member, lane)
        now = asyncio.get_running_loop().time()
        member.due = min(member.due, now + self._linger_s(ticket, now))
        if group.waiting is not None:
            self._gate.hurry(group.waiting.ticket, lane)
        self._set_off(group)

    def dismiss(self, refusal: Callable[[], Refusal]) -> None:
        """Tells all that wait that their turn won't come; `refusal` makes what one of them is told."""
        for group, member in list(self._waiting.values()):
            self._take_out(group, member)
            member.fail(refusal())
        for group in list(self._groups.values()):
            self._set_off(group)

    def _group(self, part: Part) -> _Group:
        group = self._groups.get(part.group)
        if group is None:
            group = self._groups[part.group] = _Group(part.group, self._runs[part.call.endpoint])
        return group

    def _linger_s(self, ticket: Ticket, now: float) -> float:
        """How long a call waits for others: never more than half of the time that it has."""
        return max(0.0, min(self._rules.linger_s.get(ticket.lane, 0.0), (ticket.deadline - now) / 2))

    def _set_off(self, group: _Group) -> None:
        """Has a carrier wait for its turn where calls are due, none waits yet, and one more may be under way."""
        if group.timer is not None:
            group.timer.cancel()
            group.timer = None
        if not group.pile:
            self._tidy(group)
        elif group.in_flight >= group.run.width.limit:
            group.run.width.wanted()
        elif group.waiting is None:
            due = self._due(group.pile)
            if due is None:
                self._start(group, group.pile.urgent())
            else:
                group.timer = asyncio.get_running_loop().call_at(due, self._set_off, group)

    def _due(self, pile: Pile) -> float | None:
        """Until when more calls are waited for: event-loop time; None where they aren't."""
        if not self._rules.linger_s or pile.items >= self._rules.linger_items:
            return None
        due = min(member.due for member in pile)
        return due if due > asyncio.get_running_loop().time() else None

    def _tidy(self, group: _Group) -> None:
        """Nothing waits: nor need a carrier, nor is the group kept for its own sake."""
        if group.waiting is not None:
            group.waiting.stop()
        elif not group.in_flight:
            self._groups.pop(group.key, None)

    def _start(self, group: _Group, first: Member) -> None:
        told = first.ticket
        carrier = Carrier(Ticket(told.tenant, told.lane, told.tokens, told.deadline))
        group.waiting = carrier
        self._carriers.add(carrier)
        carrier.task = asyncio.create_task(  # noqa: TID251 - named, kept, and cancelled once nobody waits for it
            self._carry(group, carrier, first.part.call), name=f"batch-{self._name}"
        )
        carrier.task.add_done_callback(lambda _: self._over(group, carrier))

    async def _carry(self, group: _Group, carrier: Carrier, first: Call) -> None:
        """One batch's way; whatever becomes of it, everybody who went with it is told."""
        try:
            pieces = await self._delivery.deliver(
                group.run, carrier.ticket, first, lambda: self._take(group, carrier)
            )
            self._returned(group, carrier)
            await self._delivery.apart(group.run, pieces)
        except Exception as error:  # noqa: BLE001 - a bug must not leave callers waiting for ever
            for member in carrier.members or self._refused(group, carrier.ticket, error):
                member.fail(error)

    def _take(self, group: _Group, carrier: Carrier) -> list[Member]:
        """The carrier's turn has come: all that waits goes, up to the caps; what is left has another carrier wait."""
        group.waiting, carrier.under_way = None, True
        group.in_flight += 1
        carrier.members = group.pile.take(replace(self._rules.most, items=group.run.size.items))
        for member in carrier.members:
            member.carrier = carrier
            del self._waiting[member.ticket]
        self._set_off(group)
        return carrier.members

    def _refused(self, group: _Group, ticket: Ticket, error: Exception) -> list[Member]:
        """Who is told what a carrier was told that waited in vain: others of its tenant that can't wait longer.

        Everybody else's wait goes on, with another carrier.
        """
        told = [
            member
            for member in group.pile
            if not isinstance(error, Refusal)
            or (member.ticket.tenant == ticket.tenant and member.ticket.deadline <= ticket.deadline)
        ]
        for member in told:
            self._take_out(group, member)
        return told

    def _take_out(self, group: _Group, member: Member) -> None:
        group.pile.remove(member)
        del self._waiting[member.ticket]

    def _returned(self, group: _Group, carrier: Carrier) -> None:
        """A carrier is back, or will never go: the next one may. Safe to call again."""
        if group.waiting is carrier:
            group.waiting = None
        elif carrier.under_way:
            group.in_flight -= 1
        else:
            return
        carrier.under_way = False
        self._set_off(group)

    def _over(self, group: _Group, carrier: Carrier) -> None:
        """A carrier's task has ended, perhaps before it began."""
        self._carriers.discard(carrier)
        self._returned(group, carrier)
        for member in carrier.members:
            member.share.cancel()

    def _left(self, group: _Group, member: Member) -> None:
        """A caller doesn't wait any more: its call isn't sent, or is cancelled where it was the last of its batch."""
        if member in group.pile:
            self._take_out(group, member)
            self._set_off(group)
        elif member.carrier is not None and all(other.share.done() for other in member.carrier.members):
            member.carrier.stop()

    def _check_deadline(self, part: Part, ticket: Ticket, now: float) -> None:
        """Turns a call away that would join others which wait for longer than it can."""
        group = self._groups.get(part.group)
        if group is None:
            return
        wait_s = group.pile.items // group.run.size.items * group.run.round_s
        if group.waiting is not None:
            wait_s += self._gate.wait_s(part.call, group.waiting.ticket)
        if in_vain(wait_s, ticket.deadline, now):
            self.given_up += 1
            raise unreachable(self._name, wait_s)

    def _make_room(self, part: Part, ticket: Ticket) -> None:
        """No more may wait: a newcomer, or somebody in its favour, is turned away."""
        run, waiting = self._runs[part.call.endpoint], len(self._waiting)
        full = queue_full(self._name, waiting, waiting / run.size.items * run.round_s)
        self.turned_away += 1
        leaves = crowded_out([group.pile for group in self._groups.values()], ticket)
        if leaves is None:
            raise full
        group, _ = self._waiting[leaves.ticket]
        self._take_out(group, leaves)
        leaves.fail(full)
        self._set_off(group)

"""One batch's way: sent when its turn has come, its answer handed out, and taken apart where one call fails all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from askonce.errors import AskonceError, Refusal, UpstreamFailure
from askonce.model import Usage
from askonce.sending.batches.form import Mismatch, blamed_field, mismatch
from askonce.sending.batches.share import Share
from askonce.sending.refusals import unreachable
from askonce.sending.ticket import Ticket
from askonce.sending.whole import WholeReply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.model import Call, Lane
    from askonce.sending.batches.form import Form
    from askonce.sending.batches.pile import Member
    from askonce.sending.batches.size import BatchSize
    from askonce.sending.batches.width import Departure, Width
    from askonce.sending.passage import Passage

__all__ = ["Delivery", "Gate", "Run"]

_SERVER_ERROR: Final = 500


class Gate(Protocol):
    """What a line does for batches."""

    async def carry(self, first: Call, ticket: Ticket, load: Callable[[], Call]) -> Passage:
        """Waits for the turn of `ticket` with the key that `first` would take, and sends what `load` then gives.

        `load` sets the ticket's tokens to what it gives. What it raises is raised, and no slot is kept. Raises Refusal.
        """
        ...

    def wait_s(self, call: Call, ticket: Ticket) -> float:
        """Seconds that a call with this ticket waits for its turn, whether it waits already or not: an estimate."""
        ...

    def hurry(self, ticket: Ticket, lane: Lane) -> None:
        """Moves a waiting ticket to an earlier lane; a later one changes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """How batches of one kind go: how they are joined, how large they are, and how many are under way at a time."""

    form: Form
    size: BatchSize
    width: Width

    @property
    def round_s(self) -> float:
        """Seconds between one batch's coming back and the next one's, where enough wait; 0 before the first."""
        return self.size.latency_s / self.width.limit


class _NobodyLeft(AskonceError):
    """All calls that were to go have left meanwhile."""


class _Load:
    """What goes with one upstream call, from the moment at which its turn has come."""

    def __init__(self, name: str, run: Run, ticket: Ticket, take: Callable[[], Sequence[Member]]) -> None:
        self.run = run
        self._name = name
        self.members: Sequence[Member] = ()
        self.sent_at = 0.0
        self._departure: Departure | None = None
        self._ticket = ticket
        self._take = take

    @property
    def items(self) -> int:
        return sum(len(member.part.items) for member in self.members)

    def call(self) -> Call:
        """The one call for all that is to go and still wanted. Raises _NobodyLeft."""
        self.sent_at = asyncio.get_running_loop().time()
        taken = self._take()
        _tell(
            [one for one in taken if one.ticket.deadline < self.sent_at],
            unreachable(self._name, self.run.round_s),
        )
        self.members = [member for member in taken if not member.share.done()]
        if not self.members:
            raise _NobodyLeft
        self._ticket.tokens = sum(member.ticket.tokens for member in self.members)
        self._departure = self.run.width.sent()
        alone = len(self.members) == 1
        parts = [member.part for member in self.members]
        call = (parts[0].call if alone else self.run.form.join(parts)).named()
        for part, member in enumerate(self.members):
            member.ticket.leaves(call.id, part)
        return call

    def answered(self) -> None:
        """Notes how long it took."""
        now = asyncio.get_running_loop().time()
        self.run.size.answered(self.items, self.sent_at, now)
        self._back(now - self.sent_at)

    def over(self) -> None:
        """Notes that it is back, if it ever left and wasn't answered."""
        self._back(None)

    def _back(self, latency_s: float | None) -> None:
        if self._departure is not None:
            self.run.width.returned(self._departure, self.items, latency_s)
            self._departure = None

    def hand_out(self, body: bytes, passage: Passage) -> None:
        """Gives everybody what is theirs. Raises Mismatch, and gives nobody anything then."""
        bodies: Sequence[bytes | UpstreamFailure] = [body]
        if len(self.members) > 1:
            bodies = self.run.form.split(body, [member.part for member in self.members])
        tokens = [member.ticket.tokens for member in self.members]
        counted = False
        for at, (member, own) in enumerate(zip(self.members, bodies, strict=True)):
            if isinstance(own, UpstreamFailure):
                member.fail(own)
            elif not member.share.done():
                settle = _Settlement(passage, tokens, at)
                waited_for = passage.waited_for or member.reason
                waited_s = self.sent_at - member.since if waited_for else 0.0
                reply = WholeReply(own, passage.reply)
                share = Share(reply, waited_s, waited_for, len(bodies), settle, counts=not counted)
                member.share.set_result(share)
                counted = True


class _Settlement:
    """Replaces one member's estimate in the sum that the line was told."""

    __slots__ = ("_at", "_passage", "_tokens")

    def __init__(self, passage: Passage, tokens: list[int], at: int) -> None:
        self._passage = passage
        self._tokens = tokens
        self._at = at

    def __call__(self, usage: Usage) -> None:
        self._tokens[self._at] = usage.prompt_tokens + usage.completion_tokens or self._tokens[self._at]
        self._passage.settle(Usage(prompt_tokens=sum(self._tokens)))


class Delivery:
    """Sends batches through the gate and tells their callers."""

    def __init__(self, name: str, gate: Gate) -> None:
        """`name` is the upstream's, for what callers are told."""
        self._name = name
        self._gate = gate

    async def deliver(
        self, run: Run, ticket: Ticket, first: Call, take: Callable[[], Sequence[Member]]
    ) -> list[Sequence[Member]]:
        """Waits for the ticket's turn, sends what `take` then gives, and tells its callers what became of it.

        Returns:
            Pieces that are to be sent again, each for itself: one of them may be what failed all; mostly none.

        Raises:
            Refusal: the gate refuses the ticket: nothing was taken.
        """
        load = _Load(self._name, run, ticket, take)
        try:
            passage = await self._gate.carry(first, ticket, load.call)
            try:
                body = await passage.reply.body()
            finally:
                await passage.aclose()
            load.answered()
            load.hand_out(body, passage)
        except _NobodyLeft:
            return []
        except Mismatch:
            run.size.refused(load.items)
            _tell(load.members, mismatch(self._name))
        except UpstreamFailure as failure:
            if failure.status >= _SERVER_ERROR:
                run.size.failed(load.items, load.sent_at, asyncio.get_running_loop().time())
            pieces = run.form.pieces(failure, len(load.members))
            if pieces > 1:
                return _pieces(load.members, pieces)
            _tell(load.members, _common(self._name, failure, load.members))
        finally:
            load.over()
        return []

    async def apart(self, run: Run, pieces: Sequence[Sequence[Member]]) -> None:
        """Sends pieces of a batch that was refused, and pieces of these, until those at fault are alone.

        Where all of them are answered, it was their number that was refused.
        """
        if not pieces:
            return
        await asyncio.gather(*(self._again(run, piece) for piece in pieces))
        members = [member for piece in pieces for member in piece]
        if all(member.answered for member in members):
            run.size.refused(sum(len(member.part.items) for member in members))

    async def _again(self, run: Run, piece: Sequence[Member]) -> None:
        first = piece[0]
        told = first.ticket
        ticket = Ticket(told.tenant, told.lane, told.tokens, max(member.ticket.deadline for member in piece))
        try:
            pieces = await self.deliver(run, ticket, first.part.call, lambda: piece)
        except Refusal as refusal:
            _tell(piece, refusal)
        else:
            await self.apart(run, pieces)


def _tell(members: Sequence[Member], error: Refusal) -> None:
    for member in members:
        member.fail(error)


def _common(name: str, failure: UpstreamFailure, members: Sequence[Member]) -> UpstreamFailure:
    """What all are told of a failure: where they are of several tenants, nothing that could quote one's request.

    Callers whose tenant isn't known are of several.
    """
    tenants = {member.ticket.tenant for member in members}
    if len(members) == 1 or (len(tenants) == 1 and "" not in tenants):
        return failure
    field = blamed_field(failure)
    over = f" over `{field}`" if field else ""
    return UpstreamFailure(
        failure.status,
        failure.code,
        f"{name} refused several requests that went together{over} ({failure.status} {failure.code}).",
        sharing=failure.sharing,
        retry_after_s=failure.retry_after_s,
        headers=failure.headers,
        began=failure.began,
    )


def _pieces(members: Sequence[Member], count: int) -> list[Sequence[Member]]:
    """So many pieces, as even as can be, in order."""
    return [members[len(members) * at // count : len(members) * (at + 1) // count] for at in range(count)]

"""The way to one upstream and model: wait for a turn, send, learn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from askonce.errors import Sharing, UpstreamFailure
from askonce.model import Endpoint
from askonce.sending.admission import Admission
from askonce.sending.batching import Batches
from askonce.sending.passage import OwnPassage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.errors import Refusal
    from askonce.model import Call, Lane
    from askonce.ports import Upstream
    from askonce.sending.batches.rules import BatchingRules
    from askonce.sending.grant import Grant
    from askonce.sending.limits import Limits
    from askonce.sending.passage import Passage
    from askonce.sending.state import LineState
    from askonce.sending.ticket import Ticket

__all__ = ["Line"]


class Line:
    """Sends calls to one upstream and model, within what it bears.

    Args:
        upstream: Who is asked.
        model: The upstream's own name of the model.
        limits: What is declared; the rest is learned.
        keys: The upstream's keys where there are several: each call goes out with one of them as its credential.
        pass_through: Whether calls go out with their caller's own credential, which has limits of its own then.
        batching: What goes together, where the upstream takes several calls at a time.
    """

    def __init__(
        self,
        upstream: Upstream,
        model: str,
        limits: Limits,
        keys: Sequence[str] = (),
        *,
        pass_through: bool = False,
        batching: BatchingRules | None = None,
    ) -> None:
        self._upstream = upstream
        self._admission = Admission(f"{upstream.name}'s {model}", limits, keys, pass_through=pass_through)
        self._batches = Batches(upstream.name, batching, self) if batching is not None else None

    async def open(self, call: Call, ticket: Ticket) -> Passage:
        """Waits for its turn, and sends. A cancelled call leaves no slot behind.

        Raises:
            UpstreamFailure: the upstream was asked and didn't take the call.
            Refusal: it was not asked: 429 `queue_full` or `deadline_unreachable`, with `retry_after_s`.
        """
        if self._batches is not None and (part := self._batches.read(call)) is not None:
            return await self._batches.open(part, ticket)
        grant = await self._admission.admit(ticket, call.credential)
        call = call.named()
        ticket.sent = True
        ticket.leaves(call.id, 0)
        return await self._send(call, grant)

    async def carry(self, first: Call, ticket: Ticket, load: Callable[[], Call]) -> Passage:
        """Waits for the turn of `ticket` with the key that `first` would take, and sends what `load` then gives.

        `load` sets the ticket's tokens to what it gives. What it raises is raised, and no slot is kept.

        Raises:
            UpstreamFailure: as `open`.
            Refusal: as `open`.
        """
        grant = await self._admission.admit(ticket, first.credential)
        try:
            call = load()
        except BaseException:
            grant.release(sent=False)
            raise
        grant.settle(self._admission.counted(ticket.tokens))
        return await self._send(call, grant)

    async def _send(self, call: Call, grant: Grant) -> Passage:
        try:
            reply = await self._upstream.open(grant.address(call))
        except BaseException as failure:
            if isinstance(failure, UpstreamFailure):
                if failure.sharing is not Sharing.TRANSIENT:
                    grant.settle(0)  # refused before a token was spent
                grant.failed(failure)
            grant.release()
            raise
        grant.accepted(reply.headers)
        return OwnPassage(reply, grant, bounded=call.stream or call.endpoint is Endpoint.EMBEDDINGS)

    def wait_s(self, call: Call, ticket: Ticket) -> float:
        """Seconds that a call would wait for its turn, an estimate; 0 where it would go at once."""
        return self._admission.wait_s(ticket, call.credential)

    def hurry(self, ticket: Ticket, lane: Lane) -> None:
        """Moves a ticket to an earlier lane: a caller in more of a hurry has joined."""
        if self._batches is not None:
            self._batches.hurry(ticket, lane)
        self._admission.hurry(ticket, lane)

    def dismiss(self, refusal: Callable[[], Refusal]) -> None:
        """Tells all that wait for their turn that it won't come; `refusal` makes what one of them is told."""
        if self._batches is not None:
            self._batches.dismiss(refusal)
        self._admission.dismiss(refusal)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and nothing waits."""
        return self._admission.idle and (self._batches is None or self._batches.idle)

    def state(self) -> LineState:
        """What there is to see; what waits to go together counts among what waits."""
        state = self._admission.state()
        if self._batches is None:
            return state
        piled = self._batches.depth()
        queued = {lane: max(0, count + piled[lane]) for lane, count in state.queued.items()}
        return replace(
            state,
            queued=queued,
            turned_away=state.turned_away + self._batches.turned_away,
            given_up=state.given_up + self._batches.given_up,
        )

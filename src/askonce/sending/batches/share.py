"""One caller's share of an upstream call that several made together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.model import Usage
    from askonce.ports import UpstreamReply

__all__ = ["Share", "WholeReply"]


class WholeReply:
    """A reply whose body is there already; headers and keeping are as the upstream said to all of the batch."""

    __slots__ = ("_body", "headers", "max_age_s", "no_store", "streamed")

    def __init__(self, body: bytes, reply: UpstreamReply) -> None:
        self._body = body
        self.streamed = False
        self.no_store = reply.no_store
        self.max_age_s = reply.max_age_s
        self.headers: Sequence[tuple[str, str]] = reply.headers

    @property
    def finished(self) -> bool:
        """Whether all of it is there."""
        return True

    async def body(self) -> bytes:
        """The whole body."""
        return self._body

    async def read(self) -> Sequence[bytes]:
        """No events: what is asked for as a stream goes alone, or is answered whole."""
        return ()

    async def aclose(self) -> None:
        """Holds nothing."""


class Share:
    """What a caller of a batch gets for its passage: the slot was given back before it was handed out.

    Attributes:
        reply: This caller's share of the answer.
        waited_s: Seconds from its coming to the batch's leaving.
        waited_for: Why, as a passage says it; `linger` where it waited for others to come along.
        batched: Calls that shared the upstream call.
        counts: Whether it stands for the upstream call where these are counted: one of those that shared it does.
    """

    __slots__ = ("_settle", "batched", "counts", "reply", "waited_for", "waited_s")

    def __init__(
        self,
        reply: WholeReply,
        waited_s: float,
        waited_for: str,
        batched: int,
        settle: Callable[[Usage], None],
        *,
        counts: bool,
    ) -> None:
        self.reply: UpstreamReply = reply
        self.waited_s = waited_s
        self.waited_for = waited_for
        self.batched = batched
        self.counts = counts
        self._settle = settle

    def settle(self, usage: Usage) -> None:
        """Corrects the estimate of this caller's tokens by the true count; the last word counts."""
        self._settle(usage)

    async def aclose(self) -> None:
        """Holds nothing."""

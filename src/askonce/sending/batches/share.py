"""One caller's share of an upstream call that several made together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.model import Usage
    from askonce.ports import UpstreamReply
    from askonce.sending.whole import WholeReply

__all__ = ["Share"]


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

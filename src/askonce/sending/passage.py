"""A call on its way: accepted by the upstream, holding its slot until it is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from askonce.errors import UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Usage
    from askonce.ports import UpstreamReply
    from askonce.sending.grant import Grant

__all__ = ["OwnPassage", "Passage"]


class Passage(Protocol):
    """An accepted call, or a share of one: its reply, and what is known of its way there.

    Attributes:
        reply: The upstream's reply; reading it tells the line how the upstream does.
        waited_s: Seconds in the queue.
        waited_for: Why it waited: "", `concurrency`, `requests-per-minute`, `tokens-per-minute`, `upstream-paused`
            or `linger`.
        batched: Calls that shared the upstream call; 1 is alone.
        counts: Whether it stands for the upstream call where these are counted: one of those that shared it does.
    """

    reply: UpstreamReply
    waited_s: float
    waited_for: str
    batched: int
    counts: bool

    def settle(self, usage: Usage) -> None:
        """Corrects the estimate of tokens by the true count; the last word counts. Without any count it stands."""
        ...

    async def aclose(self) -> None:
        """Closes the reply and gives the slot back; safe to call again."""
        ...


class OwnPassage:
    """A call that has its slot to itself. Attributes are `Passage`'s."""

    __slots__ = ("_grant", "batched", "counts", "reply", "waited_for", "waited_s")

    def __init__(self, reply: UpstreamReply, grant: Grant, *, bounded: bool) -> None:
        self.reply: UpstreamReply = _Watched(reply, grant, bounded=bounded)
        self.waited_s = grant.waited_s
        self.waited_for = grant.waited_for
        self.batched = 1
        self.counts = True
        self._grant = grant

    def settle(self, usage: Usage) -> None:
        """Corrects the estimate of tokens by the true count; the last word counts. Without any count it stands."""
        if tokens := usage.prompt_tokens + usage.completion_tokens:
            self._grant.settle(tokens)

    async def aclose(self) -> None:
        """Closes the reply and gives the slot back; safe to call again."""
        try:
            await self.reply.aclose()
        finally:
            self._grant.release()


class _Watched:
    """A reply that tells its grant when its first byte came and how it ended."""

    __slots__ = ("_bounded", "_grant", "_reply", "headers", "max_age_s", "no_store", "streamed")

    def __init__(self, reply: UpstreamReply, grant: Grant, *, bounded: bool) -> None:
        self._bounded = bounded
        self._reply = reply
        self._grant = grant
        self.streamed = reply.streamed
        self.no_store = reply.no_store
        self.max_age_s = reply.max_age_s
        self.headers = reply.headers

    @property
    def finished(self) -> bool:
        """Whether the end mark was seen."""
        return self._reply.finished

    async def body(self) -> bytes:
        """The whole body. Raises UpstreamFailure."""
        try:
            body = await self._reply.body()
        except UpstreamFailure as failure:
            self._grant.failed(failure)
            raise
        self._grant.answered(bounded=self._bounded)
        return body

    async def read(self) -> Sequence[bytes]:
        """The next events' payloads. Raises UpstreamFailure."""
        try:
            events = await self._reply.read()
        except UpstreamFailure as failure:
            self._grant.failed(failure)
            raise
        self._grant.answered(bounded=self._bounded)
        return events

    async def aclose(self) -> None:
        """Closes the reply."""
        await self._reply.aclose()

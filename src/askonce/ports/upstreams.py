"""What the pipeline asks of providers and servers that answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Call, Json

__all__ = ["Upstream", "UpstreamReply"]


class UpstreamReply(Protocol):
    """A call that an upstream accepted (status 200): either one body or events, as the call asked.

    Attributes:
        no_store: The upstream forbids keeping the answer (`Cache-Control: no-store`).
        max_age_s: Seconds that the upstream allows it to be kept, where it says so.
        headers: The upstream's response headers that its direct caller may see.
        streamed: Whether it comes as events: never where the call asked for none, mostly where it did.
    """

    streamed: bool
    no_store: bool
    max_age_s: float | None
    headers: Sequence[tuple[str, str]]

    async def body(self) -> bytes:
        """The whole JSON body. Raises UpstreamFailure."""
        ...

    async def read(self) -> Sequence[bytes]:
        """The next events' JSON payloads, at least one; empty at the end of the stream.

        Raises UpstreamFailure, also where the stream breaks off.
        """
        ...

    @property
    def finished(self) -> bool:
        """Whether the end mark (`[DONE]`) was seen."""
        ...

    async def aclose(self) -> None:
        """Gives the connection back, or cuts it where the answer wasn't read to its end."""
        ...


class Upstream(Protocol):
    """A provider or server that answers."""

    @property
    def name(self) -> str:
        """The name in the configuration."""
        ...

    async def open(self, call: Call) -> UpstreamReply:
        """Sends a call and waits for its status. Raises UpstreamFailure."""
        ...

    async def models(self, credential: str | None) -> list[Json]:
        """The upstream's own list of models (OpenAI's model objects). Raises UpstreamFailure."""
        ...

    async def close(self) -> None:
        """Closes pooled connections."""
        ...

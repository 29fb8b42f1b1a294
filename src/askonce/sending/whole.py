"""An answer that is there as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.ports import UpstreamReply

__all__ = ["WholeReply"]


class WholeReply:
    """A reply whose body is there already; headers and keeping are as the upstream said, where it `said` anything."""

    __slots__ = ("_body", "headers", "max_age_s", "no_store", "streamed")

    def __init__(self, body: bytes, said: UpstreamReply | None = None) -> None:
        self._body = body
        self.streamed = False
        self.no_store = False if said is None else said.no_store
        self.max_age_s = None if said is None else said.max_age_s
        self.headers: Sequence[tuple[str, str]] = () if said is None else said.headers

    @property
    def finished(self) -> bool:
        """Whether all of it is there."""
        return True

    async def body(self) -> bytes:
        """The whole body."""
        return self._body

    async def read(self) -> Sequence[bytes]:
        """No events, also where they were asked for."""
        return ()

    async def aclose(self) -> None:
        """Holds nothing."""

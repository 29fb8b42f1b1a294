"""HTTP/1.1 as uvicorn speaks it, with bounds on a request's head and on a closing's time, for which uvicorn has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from askonce.errors import Refusal
from askonce.http.errors import error_body, error_headers
from askonce.http.headers import request_id

if TYPE_CHECKING:
    import asyncio

__all__ = ["BoundedProtocol"]

_PHRASES: Final = {408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


class BoundedProtocol(HttpToolsProtocol):
    """A connection whose client can't hold it, or fill the memory, with a head that never ends or an answer never taken.

    Attributes:
        max_head_bytes: What a head may take beyond the first read (which is 256 KiB at most).
        head_timeout_s: Seconds from a new connection to its first whole head, and from any head's first byte to its
            last.
        closing_timeout_s: Seconds, and at most as many again, for which a connection is closing whose client takes
            nothing.
    """

    max_head_bytes = 65_536
    head_timeout_s = 60.0
    closing_timeout_s = 15.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._closing_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A new connection: its first head is due."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._stop_timer()
        self._stop_closing_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of the client's."""
        began_before = self._in_head
        super().data_received(data)
        if not self._in_head:
            return
        if self._head_timer is None:
            self._await_head()
        if began_before:
            self._head_bytes += len(data)
            if self._head_bytes > self.max_head_bytes:
                sentence = f"The request's headers are larger than {self.max_head_bytes} bytes."
                self._refuse(Refusal(431, "headers_too_large", sentence))

    def on_message_begin(self) -> None:
        """A head's first byte."""
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head's last byte."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """The client takes less than it is sent."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        self._stop_closing_timer()

    def _await_reader(self) -> None:
        self._closing_timer = self.loop.call_later(self.closing_timeout_s, self._end_closing)

    def _stop_closing_timer(self) -> None:
        if self._closing_timer is not None:
            self._closing_timer.cancel()
            self._closing_timer = None

    def _end_closing(self) -> None:
        """Ends a connection that was closed, but has something to send yet that its client doesn't take."""
        if self.transport.is_closing():
            self.transport.abort()
        else:
            self._await_reader()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_timeout_s, self._out_of_time)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _out_of_time(self) -> None:
        sentence = f"The request's headers took longer than {self.head_timeout_s:g} s to arrive."
        self._refuse(Refusal(408, "request_timeout", sentence))

    def _refuse(self, refusal: Refusal) -> None:
        """Says why, unless another request's answer is on its way, and closes."""
        self._stop_timer()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            identity = request_id({})
            body = error_body(refusal, identity)
            lines = [b"HTTP/1.1 %d %s" % (refusal.status, _PHRASES[refusal.status])]
            headers = error_headers(refusal, identity, len(body))
            lines += [name + b": " + value for name, value in headers]
            self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.close()

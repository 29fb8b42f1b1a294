"""Server-sent events, the reading side: bytes as they come in, whole events' data out."""

from __future__ import annotations

from typing import Final

__all__ = ["EventReader"]


_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
"""May come before the first line; no other line begins with it."""


class EventReader:
    """Finds whole events in a byte stream (WHATWG's event stream format; `data` fields alone are of interest)."""

    def __init__(self, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._data: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """The data of all events that end within `data`.

        Raises:
            ValueError: an event outgrows its bound.
        """
        self._rest.append(data)
        self._rest_bytes += len(data)
        if self._rest_bytes > self._max_event_bytes:
            raise ValueError("an event is larger than an answer may be")
        if b"\n" not in data:
            return []
        *lines, rest = b"".join(self._rest).split(b"\n")
        self._rest = [rest]
        self._rest_bytes = len(rest)
        return self._events(lines)

    def end(self) -> list[bytes]:
        """What the stream's end completes: servers differ in whether the last event has its empty line."""
        return self.feed(b"\n\n")

    def _events(self, lines: list[bytes]) -> list[bytes]:
        events = []
        for line in lines:
            text = line.removesuffix(b"\r").removeprefix(_BYTE_ORDER_MARK)
            if text.startswith(b"data:"):
                self._data.append(text[6:] if text.startswith(b"data: ") else text[5:])
            elif not text and self._data:
                events.append(b"\n".join(self._data))
                self._data = []
        return events

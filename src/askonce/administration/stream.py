"""Lines of JSON from pieces of a stream, perhaps compressed: bounded in memory, whatever comes."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.model import Json

__all__ = ["GZIP", "Lines"]

GZIP: Final = 31
"""zlib's name for gzip's own header and trailer."""
_PIECE_BYTES: Final = 256 * 1024


class Lines:
    """Lines from pieces of a stream, perhaps compressed; blocking, for a thread.

    Memory holds a piece, a line, and a bounded part of what a compressed piece comes to. A line that is too long is
    let go of while it comes.
    """

    def __init__(self, max_bytes: int, *, compressed: bool) -> None:
        self._max_bytes = max_bytes
        self._unpack = zlib.decompressobj(wbits=GZIP) if compressed else None
        self._waiting = b""
        self._line = bytearray()
        self._too_long = False
        self._number = 0

    def feed(self, piece: bytes) -> None:
        """A piece of the stream; take all lines before the next one."""
        self._waiting += piece

    def take(self, *, ended: bool = False) -> list[tuple[int, Any]] | None:
        """The next lines, parsed, with their numbers; a ValueError stands for a bad one. None: feed more.

        Raises ValueError: the stream isn't what it says to be compressed with.
        """
        if not self._waiting and not (ended and (self._line or self._too_long)):
            return None
        text = self._unpacked()
        if ended and self._unpack is not None and not self._waiting:
            text += self._unpack.flush()
        if ended and not self._waiting and not text.endswith(b"\n"):
            text += b"\n"
        return [(number, _parsed(line)) for number, line in self._split(text)]

    def _unpacked(self) -> bytes:
        waiting = self._waiting
        if self._unpack is None:
            self._waiting = b""
            return waiting
        if self._unpack.eof:  # files that were compressed apart and put together
            self._unpack = zlib.decompressobj(wbits=GZIP)
        try:
            text = self._unpack.decompress(waiting, _PIECE_BYTES)
        except zlib.error:
            raise ValueError("the body is not gzip, as its Content-Encoding says") from None
        self._waiting = self._unpack.unconsumed_tail or self._unpack.unused_data
        return text

    def _split(self, text: bytes) -> Iterator[tuple[int, bytes | None]]:
        """Whole lines with their numbers; None for one that was too long."""
        *whole, rest = text.split(b"\n")
        for piece in whole:
            self._extend(piece)
            self._number += 1
            line = None if self._too_long else bytes(self._line)
            self._line.clear()
            self._too_long = False
            if line is None or line.strip():
                yield self._number, line
        self._extend(rest)

    def _extend(self, piece: bytes) -> None:
        if self._too_long or len(self._line) + len(piece) > self._max_bytes:
            self._too_long = True
            self._line.clear()
            return
        self._line += piece


def _parsed(line: bytes | None) -> Json | ValueError:
    if line is None:
        return ValueError("the line is too long")
    try:
        parsed = orjson.loads(line)
    except orjson.JSONDecodeError:
        return ValueError("it is no JSON")
    return parsed if isinstance(parsed, dict) else ValueError("it is no JSON object")

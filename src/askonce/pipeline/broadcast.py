"""Fan-out: an append-only log of one answer's events, read by any number of readers, each at its own pace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Chunk

__all__ = ["Log", "LogMemory"]

_CHUNK_OVERHEAD_BYTES: Final = 160
"""What a chunk costs beside its text: the object, its slots, its place in the list."""


class LogMemory:
    """The bytes that all logs hold together, and how many they may.

    Attributes:
        used_bytes: Bytes held now.
        max_bytes_each: Bound for one log.
        max_bytes_total: Bound for all.
    """

    def __init__(self, max_bytes_each: int, max_bytes_total: int) -> None:
        self.used_bytes = 0
        self.max_bytes_each = max_bytes_each
        self.max_bytes_total = max_bytes_total


class Log:
    """Events from the first to the newest; positions count events from 0 and never change their meaning.

    Past its bound a log is *overfull*: it takes no new readers (they would need what is about to be dropped), and
    what all of its readers have read is dropped, so that memory follows the slowest reader instead of the answer.
    """

    __slots__ = ("_chunks", "_dropped", "_holders", "_memory", "overfull", "size_bytes")

    def __init__(self, memory: LogMemory) -> None:
        self._memory = memory
        self._chunks: list[Chunk] = []
        self._dropped = 0
        self._holders = 0
        self.size_bytes = 0
        self.overfull = False

    def __len__(self) -> int:
        return self._dropped + len(self._chunks)

    def append(self, chunk: Chunk) -> None:
        """Adds an event."""
        self._chunks.append(chunk)
        self._account(_size(chunk))
        memory = self._memory
        if self.size_bytes > memory.max_bytes_each or memory.used_bytes > memory.max_bytes_total:
            self.overfull = True

    def read(self, position: int) -> Sequence[Chunk]:
        """All events from `position` on; it must not lie before what was dropped."""
        return self._chunks[position - self._dropped :]

    def drop_before(self, position: int) -> None:
        """Forgets the events before `position`: every reader has had them."""
        count = position - self._dropped
        if count > 0:
            self._account(-sum(_size(chunk) for chunk in self._chunks[:count]))
            del self._chunks[:count]
            self._dropped = position

    def hold(self) -> None:
        """Counts one more that reads or writes this log."""
        self._holders += 1

    def let_go(self) -> None:
        """Counts one less; the last one gives the bytes back."""
        self._holders -= 1
        if not self._holders:
            self.drop_before(len(self))

    def _account(self, size_bytes: int) -> None:
        self.size_bytes += size_bytes
        self._memory.used_bytes += size_bytes


def _size(chunk: Chunk) -> int:
    return len(chunk.fields) + len(chunk.usage) + _CHUNK_OVERHEAD_BYTES

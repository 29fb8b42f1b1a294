"""The vector index in this process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from heapq import nlargest
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from askonce.model import Neighbour
from askonce.stores.chunks import Chunk
from askonce.stores.tokens import unpacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Question, Vector
    from askonce.stores.chunks import Row, Scan

__all__ = ["PartitionedIndex"]

_INLINE_ROWS: Final = 5_000
"""Scans of at most so many rows (a fifth of a millisecond) run on the event loop itself."""
_EXACT_CHUNKS: Final = 10
"""Chunks of a partition that stay float32: about 20,000 rows; older ones are quantised."""
_ROW_BYTES: Final = 540
"""A row's key and slots; its text, tokens and vector come on top (measured by `test_accounting`)."""
_PARTITION_BYTES: Final = 1_200
"""A partition's key, list, chunk and arrays without their contents."""


class _Partition:
    """The chunks of a partition, oldest first."""

    __slots__ = ("chunks", "key", "rows")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.chunks: list[Chunk] = []
        self.rows = 0


class PartitionedIndex:
    """The `Index` by scanning: every row of the partition is compared, none is overlooked.

    Vectors are float32 while a partition has up to about 20,000 rows; beyond, older ones are quantised to a
    byte a dimension. Scans of more than 5,000 rows run in a thread of the index's own, on a picture of the
    partition taken when the search begins: rows added later aren't found, rows removed meanwhile are left out.
    Neither way of scanning starts threads of BLAS or OpenMP.

    Over the budget the oldest rows go, whatever their partition. A partition that has lost its last row is gone.

    Args:
        dimensions: Length of a vector.
        memory_bytes: Budget of all partitions together, rows' texts, tokens and Python's objects included.
    """

    def __init__(self, dimensions: int, memory_bytes: int = 512 * 2**20) -> None:
        self._dimensions = dimensions
        self._memory_bytes = memory_bytes
        self._partitions: dict[bytes, _Partition] = {}
        self._rows: OrderedDict[bytes, Row] = OrderedDict()
        self._size_bytes = 0
        self._thread = ThreadPoolExecutor(1, "askonce-index")

    def add(self, question: Question) -> None:
        """Adds a row, or replaces the one of the same key. Raises ValueError for a question without vector."""
        if question.vector is None:
            raise ValueError("a question without vector can't be found")
        self.remove(question.key)
        home = self._partitions.get(question.partition)
        if home is None:
            home = self._partitions[question.partition] = _Partition(question.partition)
            self._size_bytes += _PARTITION_BYTES
        if not home.chunks or home.chunks[-1].full:
            self._begin_chunk(home)
        chunk = home.chunks[-1]
        before = chunk.size_bytes
        row = self._rows[question.key] = chunk.append(question, question.vector)
        home.rows += 1
        self._size_bytes += chunk.size_bytes - before + row.size_bytes + _ROW_BYTES
        while self._size_bytes > self._memory_bytes and self._rows:
            self.remove(next(iter(self._rows)))

    def reclass(self, key: bytes, answer: bytes) -> None:
        """Gives the row of `key`, if there is one, another answer's class."""
        row = self._rows.get(key)
        if row is not None:
            before = row.size_bytes
            row.classify(answer)
            self._size_bytes += row.size_bytes - before

    def remove(self, key: bytes) -> None:
        """Removes the row of `key`, if there is one."""
        row = self._rows.pop(key, None)
        if row is None:
            return
        home, chunk = self._partitions[row.partition], row.chunk
        chunk.kill(row)
        home.rows -= 1
        self._size_bytes -= row.size_bytes + _ROW_BYTES
        if not chunk.alive:
            self._replace(home, chunk, None)
        elif 2 * chunk.dead > len(chunk.rows):
            self._replace(home, chunk, chunk.compacted())
        if not home.chunks:
            del self._partitions[home.key]
            self._size_bytes -= _PARTITION_BYTES

    async def search(self, partition: bytes, vector: Vector, count: int) -> list[Neighbour]:
        """The nearest rows, most similar first; scans of large partitions run in a thread."""
        home = self._partitions.get(partition)
        if home is None or count < 1:
            return []
        scans = [chunk.scan() for chunk in home.chunks]
        if home.rows <= _INLINE_ROWS:
            found = _nearest(scans, vector, count)
        else:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._thread, _nearest, scans, vector, count)
        return [_neighbour(row, similarity) for similarity, row in found if self._rows.get(row.key) is row]

    def partition(self, key: bytes) -> bytes | None:
        """Where the row of `key` is; None where there is none."""
        row = self._rows.get(key)
        return None if row is None else row.partition

    def texts(self, partition: bytes, count: int) -> list[str]:
        """The texts of a partition's rows, the oldest `count` of them."""
        home = self._partitions.get(partition)
        if home is None:
            return []
        texts = (row.text for chunk in home.chunks for row in chunk.rows if row is not None)
        return list(islice(texts, count))

    def text(self, key: bytes) -> str | None:
        """What the row of `key` asks; None where there is none."""
        row = self._rows.get(key)
        return None if row is None else row.text

    @property
    def rows(self) -> int:
        """Rows in all partitions."""
        return len(self._rows)

    @property
    def size_bytes(self) -> int:
        """Memory that the rows take, an estimate from above."""
        return self._size_bytes

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(wait=False)

    def _begin_chunk(self, home: _Partition) -> None:
        home.chunks.append(Chunk.empty(self._dimensions))
        self._size_bytes += home.chunks[-1].size_bytes
        exact = [chunk for chunk in home.chunks if chunk.exact]
        if len(exact) > _EXACT_CHUNKS:
            self._replace(home, exact[0], exact[0].quantised())

    def _replace(self, home: _Partition, chunk: Chunk, successor: Chunk | None) -> None:
        self._size_bytes -= chunk.size_bytes
        at = home.chunks.index(chunk)
        home.chunks[at : at + 1] = [] if successor is None else [successor]
        if successor is not None:
            self._size_bytes += successor.size_bytes


def _nearest(scans: Sequence[Scan], vector: Vector, count: int) -> list[tuple[float, Row]]:
    found = [hit for scan in scans for hit in scan.nearest(vector, count)]
    return nlargest(count, found, key=itemgetter(0))


def _neighbour(row: Row, similarity: float) -> Neighbour:
    tokens = None if row.tokens is None else unpacked(row.tokens)
    return Neighbour(row.key, row.text, similarity, tokens, row.answer)

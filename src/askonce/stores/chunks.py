"""Pieces of a partition: vectors are only ever appended, and marked dead, never overwritten.

So what a thread scans stays as it was while the event loop adds and removes: a scan works on a `Scan` taken on
the loop's thread (the vectors so far, a copy of their marks), and nothing needs a lock. What else there is in a row
is let go as soon as the row is dead.
"""

from __future__ import annotations

from dataclasses import dataclass
from sys import getsizeof
from typing import TYPE_CHECKING, Final, Protocol

import faiss
import numpy as np

from askonce.stores.tokens import packed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from askonce.model import Question, Vector

__all__ = ["CHUNK_ROWS", "Chunk", "Row", "Scan"]

CHUNK_ROWS: Final = 2_048
"""Rows of a full chunk."""


class _Vectors(Protocol):
    """How a chunk keeps its vectors. `nearest` may run in any thread."""

    @property
    def size_bytes(self) -> int: ...

    def nearest(
        self, rows: int, live: NDArray[np.bool_], vector: Vector, count: int
    ) -> list[tuple[float, int]]:
        """(similarity, row) of at most `count` live ones among the first `rows`, in no order."""
        ...

    def take(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """The vectors of some rows."""
        ...


class _Exact:
    """float32 as given; scanned without BLAS, whose own threads would fight for busy cores."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self.vectors = vectors

    @property
    def size_bytes(self) -> int:
        return self.vectors.nbytes

    def nearest(
        self, rows: int, live: NDArray[np.bool_], vector: Vector, count: int
    ) -> list[tuple[float, int]]:
        similarities = np.vecdot(self.vectors[:rows], vector)
        similarities[~live] = -np.inf
        beyond = max(rows - count, 0)
        near = np.argpartition(similarities, beyond)[beyond:]
        found = zip(similarities[near].tolist(), near.tolist(), strict=True)
        return [(similarity, row) for similarity, row in found if live[row]]

    def take(self, rows: Sequence[int]) -> NDArray[np.float32]:
        return self.vectors[rows]


class _Quantised:
    """One byte a dimension (faiss's SQ8, ranges learned from the chunk itself): a quarter of the memory.

    Similarities are off by about 0.001.
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        # OpenMP's number of threads belongs to the calling thread; more than one fights for busy cores.
        faiss.omp_set_num_threads(1)
        dimensions = vectors.shape[1]
        self._index = faiss.IndexScalarQuantizer(
            dimensions, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
        self._index.train(vectors)
        self._index.add(vectors)
        self.size_bytes = vectors.shape[0] * dimensions

    def nearest(
        self, rows: int, live: NDArray[np.bool_], vector: Vector, count: int
    ) -> list[tuple[float, int]]:
        faiss.omp_set_num_threads(1)
        bits = np.packbits(live, bitorder="little")
        # faiss's stubs know the C++ signatures, not those of its Python wrappers.
        selector = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]
        wanted = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        similarities, near = self._index.search(vector[np.newaxis], min(count, rows), params=wanted)
        found = zip(similarities[0].tolist(), near[0].tolist(), strict=True)
        return [(similarity, row) for similarity, row in found if row >= 0]

    def take(self, rows: Sequence[int]) -> NDArray[np.float32]:
        taken: NDArray[np.float32] = self._index.reconstruct_n(0, self._index.ntotal)[rows]
        return taken


class Row:
    """A question as the index keeps it, without its vector; tokens are kept packed.

    Attributes:
        chunk: Where its vector is.
        number: Which of the chunk's rows it is.
    """

    __slots__ = ("answer", "chunk", "key", "number", "partition", "text", "tokens")

    def __init__(self, question: Question, chunk: Chunk, number: int) -> None:
        self.key = question.key
        self.partition = question.partition
        self.text = question.text
        self.tokens = None if question.tokens is None else packed(question.tokens)
        self.answer = question.key
        self.classify(question.answer)
        self.chunk = chunk
        self.number = number

    def classify(self, answer: bytes) -> None:
        """Takes an answer's class over; most rows' is their own key, which is kept once."""
        self.answer = self.key if answer == self.key else answer

    @property
    def size_bytes(self) -> int:
        """Bytes of what a row keeps beside its key and its vector."""
        tokens_bytes = 0 if self.tokens is None else getsizeof(self.tokens)
        answer_bytes = 0 if self.answer is self.key else getsizeof(self.answer)
        return getsizeof(self.text) + tokens_bytes + answer_bytes


@dataclass(frozen=True, slots=True)
class Scan:
    """A chunk as it was at one moment, to be searched in any thread."""

    rows: list[Row | None]
    vectors: _Vectors
    live: NDArray[np.bool_]

    def nearest(self, vector: Vector, count: int) -> list[tuple[float, Row]]:
        """(similarity, row) of the at most `count` nearest, in no order, but for those that died meanwhile."""
        found = self.vectors.nearest(len(self.live), self.live, vector, count)
        return [(similarity, row) for similarity, number in found if (row := self.rows[number]) is not None]


class Chunk:
    """At most `CHUNK_ROWS` rows of a partition. Changed on the event loop's thread alone.

    Args:
        rows: Rows that it takes over from other chunks.
        vectors: Their vectors.

    Attributes:
        rows: The rows; None for dead ones.
        vectors: How the vectors are kept.
        live: Whether each row is alive; longer than `rows` by the room that is left.
        dead: How many rows are dead.
    """

    __slots__ = ("dead", "live", "rows", "vectors")

    def __init__(self, rows: Sequence[Row], vectors: _Vectors) -> None:
        self.rows: list[Row | None] = list(rows)
        self.vectors = vectors
        self.live = np.ones(max(len(rows), 1), dtype=np.bool_)
        self.dead = 0
        for number, row in enumerate(rows):
            row.chunk, row.number = self, number

    @classmethod
    def empty(cls, dimensions: int) -> Chunk:
        """A chunk with room for one row, which doubles as it fills."""
        return cls([], _Exact(np.empty((1, dimensions), dtype=np.float32)))

    @property
    def full(self) -> bool:
        """Whether no row can be appended."""
        return len(self.rows) >= CHUNK_ROWS or not isinstance(self.vectors, _Exact)

    @property
    def exact(self) -> bool:
        """Whether the vectors are kept as given."""
        return isinstance(self.vectors, _Exact)

    @property
    def alive(self) -> int:
        """Rows that are alive."""
        return len(self.rows) - self.dead

    @property
    def size_bytes(self) -> int:
        """Bytes of vectors and marks, room included."""
        return self.vectors.size_bytes + self.live.nbytes

    def append(self, question: Question, vector: Vector) -> Row:
        """Adds a row to a chunk that isn't full."""
        kept, number = self.vectors, len(self.rows)
        assert isinstance(kept, _Exact)  # noqa: S101 - a full chunk is never appended to
        if number == len(kept.vectors):
            larger = np.empty((min(2 * number, CHUNK_ROWS), kept.vectors.shape[1]), dtype=np.float32)
            larger[:number] = kept.vectors
            self.vectors = kept = _Exact(larger)
            self.live = np.concatenate([self.live, np.ones(len(larger) - number, dtype=np.bool_)])
        kept.vectors[number] = vector
        row = Row(question, self, number)
        self.rows.append(row)
        return row

    def kill(self, row: Row) -> None:
        """Marks a row dead and lets go of it."""
        self.live[row.number] = False
        self.rows[row.number] = None
        self.dead += 1

    def scan(self) -> Scan:
        """The chunk as it is now."""
        return Scan(self.rows, self.vectors, self.live[: len(self.rows)].copy())

    def compacted(self) -> Chunk:
        """A chunk that takes the live rows over, kept the same way."""
        vectors = self._live_vectors()
        return Chunk(self._live_rows(), _Exact(vectors) if self.exact else _Quantised(vectors))

    def quantised(self) -> Chunk:
        """A chunk that takes the live rows over, quantised."""
        return Chunk(self._live_rows(), _Quantised(self._live_vectors()))

    def _live_rows(self) -> list[Row]:
        return [row for row in self.rows if row is not None]

    def _live_vectors(self) -> NDArray[np.float32]:
        return self.vectors.take(np.flatnonzero(self.live[: len(self.rows)]).tolist())

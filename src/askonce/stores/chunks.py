"""Pieces of a partition's vectors: rows are only ever appended, and marked dead, never overwritten.

So what a thread scans stays as it was while the event loop adds and removes: a scan works on a `Scan` taken on
the loop's thread (the rows so far, a copy of their marks), and nothing needs a lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import faiss
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from askonce.model import Vector

__all__ = ["CHUNK_ROWS", "Chunk", "Scan", "quantised"]

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


@dataclass(frozen=True, slots=True)
class Scan:
    """A chunk as it was at one moment, to be searched in any thread."""

    keys: list[bytes]
    texts: list[str]
    vectors: _Vectors
    live: NDArray[np.bool_]

    def nearest(self, vector: Vector, count: int) -> list[tuple[float, bytes, str]]:
        """(similarity, key, text) of the at most `count` nearest rows, in no order."""
        found = self.vectors.nearest(len(self.live), self.live, vector, count)
        return [(similarity, self.keys[row], self.texts[row]) for similarity, row in found]


class Chunk:
    """At most `CHUNK_ROWS` rows of a partition. Changed on the event loop's thread alone.

    Attributes:
        keys: The key of each row, dead ones included.
        texts: The text of each row, dead ones included.
        vectors: How the vectors are kept.
        live: Whether each row is alive; longer than `keys` by the room that is left.
        dead: How many rows are dead.
    """

    __slots__ = ("dead", "keys", "live", "texts", "vectors")

    def __init__(self, keys: list[bytes], texts: list[str], vectors: _Vectors) -> None:
        self.keys = keys
        self.texts = texts
        self.vectors = vectors
        self.live = np.ones(max(len(keys), 1), dtype=np.bool_)
        self.dead = 0

    @classmethod
    def empty(cls, dimensions: int) -> Chunk:
        """A chunk with room for one row, which doubles as it fills."""
        return cls([], [], _Exact(np.empty((1, dimensions), dtype=np.float32)))

    @property
    def full(self) -> bool:
        """Whether no row can be appended."""
        return len(self.keys) >= CHUNK_ROWS or not isinstance(self.vectors, _Exact)

    @property
    def exact(self) -> bool:
        """Whether the vectors are kept as given."""
        return isinstance(self.vectors, _Exact)

    @property
    def alive(self) -> int:
        """Rows that are alive."""
        return len(self.keys) - self.dead

    @property
    def size_bytes(self) -> int:
        """Bytes of vectors and marks, room included."""
        return self.vectors.size_bytes + self.live.nbytes

    def append(self, key: bytes, text: str, vector: Vector) -> int:
        """Adds a row to a chunk that isn't full; returns its number."""
        kept, row = self.vectors, len(self.keys)
        assert isinstance(kept, _Exact)  # noqa: S101 - a full chunk is never appended to
        if row == len(kept.vectors):
            larger = np.empty((min(2 * row, CHUNK_ROWS), kept.vectors.shape[1]), dtype=np.float32)
            larger[:row] = kept.vectors
            self.vectors = kept = _Exact(larger)
            self.live = np.concatenate([self.live, np.ones(len(larger) - row, dtype=np.bool_)])
        kept.vectors[row] = vector
        self.keys.append(key)
        self.texts.append(text)
        return row

    def kill(self, row: int) -> None:
        """Marks a row dead."""
        self.live[row] = False
        self.dead += 1

    def scan(self) -> Scan:
        """The chunk as it is now."""
        return Scan(self.keys, self.texts, self.vectors, self.live[: len(self.keys)].copy())

    def compacted(self) -> Chunk:
        """A chunk of the live rows alone, kept the same way."""
        rows = np.flatnonzero(self.live[: len(self.keys)]).tolist()
        vectors = self.vectors.take(rows)
        kept = _Exact(vectors) if self.exact else _Quantised(vectors)
        return Chunk([self.keys[row] for row in rows], [self.texts[row] for row in rows], kept)


def quantised(chunk: Chunk) -> Chunk:
    """The live rows of an exact chunk, quantised."""
    rows = np.flatnonzero(chunk.live[: len(chunk.keys)]).tolist()
    return Chunk(
        [chunk.keys[row] for row in rows],
        [chunk.texts[row] for row in rows],
        _Quantised(chunk.vectors.take(rows)),
    )

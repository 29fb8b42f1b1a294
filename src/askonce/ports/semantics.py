"""What the semantic tier asks of vector indexes and embedders."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Neighbour, Question, Tokens, Vector

__all__ = ["Embedder", "EmbedderState", "Embedding", "Index"]


class Index(Protocol):
    """Vectors by partition. Called from the event loop's thread alone, but for `search`."""

    def add(self, question: Question) -> None:
        """Adds a row, or replaces the one of the same key. Raises ValueError for a question without vector."""
        ...

    def reclass(self, key: bytes, answer: bytes) -> None:
        """Gives the row of `key`, if there is one, another answer's class."""
        ...

    def remove(self, key: bytes) -> None:
        """Removes the row of `key`, if there is one."""
        ...

    def texts(self, partition: bytes, count: int) -> Sequence[str]:
        """The texts of a partition's rows, the oldest `count` of them."""
        ...

    async def search(self, partition: bytes, vector: Vector, count: int) -> list[Neighbour]:
        """The nearest rows, most similar first; scans of large partitions run in a thread."""
        ...

    def partition(self, key: bytes) -> bytes | None:
        """Where the row of `key` is; None where there is none."""
        ...

    def text(self, key: bytes) -> str | None:
        """What the row of `key` asks; None where there is none."""
        ...

    @property
    def rows(self) -> int:
        """Rows in all partitions."""
        ...

    @property
    def size_bytes(self) -> int:
        """Memory that the rows take, an estimate from above."""
        ...


class EmbedderState(StrEnum):
    """Where an embedder stands."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Embedding:
    """What an embedder makes of a text; `tokens` is None where it gives none."""

    vector: Vector
    tokens: Tokens | None


class Embedder(Protocol):
    """Turns a text into a unit vector, and into tokens where it can."""

    @property
    def engine(self) -> str:
        """Identity of the vectors and tokens: those of different engines are never compared."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    @property
    def state(self) -> EmbedderState:
        """Where it stands."""
        ...

    @property
    def detail(self) -> str:
        """A sentence for `/healthz`."""
        ...

    def start(self) -> None:
        """Begins to load in the background and returns at once."""
        ...

    async def ready(self) -> bool:
        """Waits until it is READY (True) or FAILED (False)."""
        ...

    async def embed(self, text: str) -> Embedding:
        """The text's vector and tokens. Raises EmbedderUnavailable."""
        ...

    async def close(self) -> None:
        """Ends its threads."""
        ...

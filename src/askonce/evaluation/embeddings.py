"""Embeddings of many texts: computed once each, in blocks, and kept in a file where one is named."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import IO, TYPE_CHECKING, Final, TypeAlias
from zipfile import BadZipFile

import numpy as np
import orjson

from askonce.errors import EmbedderUnavailable
from askonce.evaluation.questions import embeddable
from askonce.evaluation.sets import BadFile
from askonce.model import Tokens
from askonce.ports import Embedding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from askonce.evaluation.questions import Embeddable
    from askonce.ports import Embedder

__all__ = ["Embedded", "Embeddings"]

_AT_ONCE: Final = 4
"""Texts under way: enough to keep two of the embedder's threads busy."""
_REMEMBERED: Final = 50_000
"""Texts kept without a file, some 3 KB each."""

Embedded: TypeAlias = Embedding | None
"""None for a text that the embedder doesn't take: too long, or no text at all."""
_Kept: TypeAlias = "OrderedDict[str, Embedded]"


class Embeddings:
    """What texts become by one embedder.

    Args:
        embedder: Started; ready or about to be.
        file: Where embeddings are kept between runs; read at once if it is there. Those of another engine are dropped.

    Raises:
        BadFile: The file is none of ours.
    """

    def __init__(self, embedder: Embedder, file: Path | None = None) -> None:
        self._embedder = embedder
        self._file = file
        self._kept: _Kept = (
            _read(file, embedder.engine) if file is not None and file.exists() else OrderedDict()
        )
        self._saved = len(self._kept)

    async def questions(self, texts: Sequence[str]) -> list[Embeddable | None]:
        """Each text with its embedding, in order; None for one that the semantic tier has nothing to do with.

        Raises EmbedderUnavailable if the embedder can't load.
        """
        return [embeddable(text, own) for text, own in zip(texts, await self.of(texts), strict=True)]

    async def of(self, texts: Sequence[str]) -> list[Embedded]:
        """One embedding for each text, in order. Raises EmbedderUnavailable if the embedder can't load."""
        if not await self._embedder.ready():
            raise EmbedderUnavailable(self._embedder.detail)
        unknown = iter([text for text in dict.fromkeys(texts) if text not in self._kept])
        await asyncio.gather(*(self._embed(unknown) for _ in range(_AT_ONCE)))
        found = [self._kept[text] for text in texts]
        if self._file is None:
            while len(self._kept) > _REMEMBERED:
                self._kept.popitem(last=False)
        return found

    def save(self) -> None:
        """Writes what was computed since the file was read, where a file is named and there is anything new."""
        if self._file is None or len(self._kept) == self._saved:
            return
        part = self._file.with_name(f"{self._file.name}.part")
        with part.open("wb") as file:
            _write(file, self._kept, self._embedder.engine)
        part.replace(self._file)
        self._saved = len(self._kept)

    async def _embed(self, texts: Iterator[str]) -> None:
        for text in texts:
            try:
                self._kept[text] = await self._embedder.embed(text)
            except EmbedderUnavailable:
                self._kept[text] = None


def _write(file: IO[bytes], kept: Mapping[str, Embedded], engine: str) -> None:
    """Texts that have an embedding with theirs, row by row, tokens end to end; and the texts that were refused."""
    known = {text: embedding for text, embedding in kept.items() if embedding is not None}
    tokens = [embedding.tokens for embedding in known.values() if embedding.tokens is not None]
    np.savez(
        file,
        engine=np.array(engine),
        texts=np.frombuffer(orjson.dumps(list(known)), np.uint8),
        refused=np.frombuffer(orjson.dumps([text for text in kept if kept[text] is None]), np.uint8),
        vectors=np.array([embedding.vector for embedding in known.values()], np.float32),
        lengths=np.array([len(each.ids) for each in tokens], np.int64),
        ids=np.concatenate([each.ids for each in tokens]) if tokens else np.empty(0, np.uint16),
        states=np.concatenate([each.states for each in tokens]) if tokens else np.empty((0, 0), np.int8),
    )


def _read(file: Path, engine: str) -> _Kept:
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as saved:
            if str(saved["engine"]) != engine:
                return OrderedDict()
            return _unpacked(saved)
    except (OSError, KeyError, ValueError, EOFError, AttributeError, BadZipFile):
        raise BadFile(file, None, "isn't a file of embeddings; name another or delete it") from None


def _unpacked(saved: Mapping[str, NDArray[np.generic]]) -> _Kept:
    texts = orjson.loads(saved["texts"].tobytes())
    vectors = saved["vectors"].astype(np.float32)
    tokens: list[Tokens | None] = [None] * len(texts)
    if len(saved["lengths"]):
        ends = saved["lengths"].astype(np.int64).cumsum()
        ids, states = saved["ids"].astype(np.uint16), saved["states"].astype(np.int8)
        starts = np.concatenate((np.zeros(1, np.int64), ends[:-1]))
        tokens = [Tokens(ids[start:end], states[start:end]) for start, end in zip(starts, ends, strict=True)]
    kept: _Kept = OrderedDict(
        (text, Embedding(vector, own)) for text, vector, own in zip(texts, vectors, tokens, strict=True)
    )
    kept.update(dict.fromkeys(orjson.loads(saved["refused"].tobytes())))
    return kept

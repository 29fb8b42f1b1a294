"""Embeddings kept between runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from askonce.errors import EmbedderUnavailable
from askonce.evaluation.embeddings import Embeddings
from askonce.evaluation.sets import BadFile
from askonce.model import Tokens
from askonce.ports import EmbedderState, Embedding

if TYPE_CHECKING:
    from pathlib import Path


class _Embedder:
    """Counts runs; a text's vector starts with its length, and long texts are refused."""

    dimensions = 3
    detail = "no such model"
    state = EmbedderState.READY

    def __init__(self, engine: str = "test/1", *, tokens: bool = True, works: bool = True) -> None:
        self.engine = engine
        self.runs: list[str] = []
        self._tokens = tokens
        self._works = works

    def start(self) -> None:
        """Nothing to load."""

    async def ready(self) -> bool:
        return self._works

    async def embed(self, text: str) -> Embedding:
        self.runs.append(text)
        if len(text) > 20:
            raise EmbedderUnavailable("text-too-long")
        tokens = Tokens(np.arange(len(text), dtype=np.uint16), np.full((len(text), 2), -len(text), np.int8))
        return Embedding(np.array([len(text), 0, 1], np.float32), tokens if self._tokens else None)

    async def close(self) -> None:
        """Nothing to end."""


@pytest.mark.parametrize("tokens", [True, False])
async def test_a_text_is_embedded_once_ever(tmp_path: Path, *, tokens: bool) -> None:
    """Within a run, and with a file between runs: vectors, tokens, and that a text was refused, come back."""
    first = _Embedder(tokens=tokens)
    kept = Embeddings(first, tmp_path / "kept.npz")
    texts = ["one", "", "x" * 30, "one", "three é"]
    before = await kept.of(texts)
    assert sorted(first.runs) == sorted(set(texts))
    kept.save()
    second = _Embedder(tokens=tokens)
    after = await Embeddings(second, tmp_path / "kept.npz").of(texts)
    assert second.runs == []
    assert after[2] is before[2] is None
    for one, other in zip(before, after, strict=True):
        if one is None or other is None:
            assert one is other
            continue
        assert (one.vector == other.vector).all()
        if one.tokens is None or other.tokens is None:
            assert one.tokens is other.tokens
            continue
        assert (one.tokens.ids == other.tokens.ids).all()
        assert (one.tokens.states == other.tokens.states).all()
        assert one.tokens.states.dtype == other.tokens.states.dtype


async def test_another_engine_starts_anew(tmp_path: Path) -> None:
    """Its vectors would not compare."""
    kept = Embeddings(_Embedder(), tmp_path / "kept.npz")
    await kept.of(["one"])
    kept.save()
    other = _Embedder("test/2")
    await Embeddings(other, tmp_path / "kept.npz").of(["one"])
    assert other.runs == ["one"]


async def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """Text, an archive of other arrays, and a cut-off file of our own; none is overwritten."""
    path = tmp_path / "kept.npz"
    path.write_text("not an archive")
    with pytest.raises(BadFile, match="isn't a file of embeddings"):
        Embeddings(_Embedder(), path)
    np.savez(path, other=np.zeros(2))
    with pytest.raises(BadFile, match="isn't a file of embeddings"):
        Embeddings(_Embedder(), path)
    path.unlink()
    kept = Embeddings(_Embedder(), path)
    await kept.of(["one", "two"])
    kept.save()
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadFile, match="isn't a file of embeddings"):
        Embeddings(_Embedder(), path)


async def test_without_an_embedder_there_is_nothing_to_measure() -> None:
    """Its own word for what is wrong is passed on."""
    with pytest.raises(EmbedderUnavailable, match="no such model"):
        await Embeddings(_Embedder(works=False)).of(["one"])

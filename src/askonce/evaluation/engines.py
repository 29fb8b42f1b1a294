"""Embedders and verifiers that can be measured, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.embedders.minilm import MiniLMEmbedder
from askonce.embedders.packaged import packaged_projection, packaged_verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from askonce.embedders.onnx import Projection
    from askonce.matching.verifier import Verifier
    from askonce.ports import Embedder

__all__ = ["EMBEDDERS", "VERIFIERS", "Chosen"]


class Chosen(NamedTuple):
    """A verifier, and what it has the embedder keep of each token; None where it looks at no tokens."""

    verifier: Verifier
    projection: Projection | None


EMBEDDERS: Final[Mapping[str, Callable[[Projection | None], Embedder]]] = {
    "minilm": lambda projection: MiniLMEmbedder(project=projection, workers=2)
}
VERIFIERS: Final[Mapping[str, Callable[[], Chosen]]] = {
    "packaged": lambda: Chosen(packaged_verifier(), packaged_projection())
}

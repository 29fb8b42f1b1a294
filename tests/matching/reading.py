"""Texts as the gateway's embedder gives them, without a loop."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from askonce.embedders.minilm import FOLDER
from askonce.embedders.onnx import OnnxModel, read_manifest
from askonce.embedders.packaged import packaged_projection, packaged_verifier
from askonce.evaluation.questions import Embeddable, embeddable
from askonce.matching.vocabulary import Vocabulary

if TYPE_CHECKING:
    from askonce.matching.verifier import Judgement

__all__ = ["judged", "probability", "question"]


@cache
def _model() -> OnnxModel:
    return OnnxModel(FOLDER, read_manifest(FOLDER), packaged_projection())


@cache
def question(text: str) -> Embeddable:
    """A text with its embedding."""
    embedded = embeddable(text, _model().embed(text))
    assert embedded is not None
    return embedded


def judged(asked: str, *stored: str, vocabulary: Vocabulary | None = None) -> list[Judgement]:
    """What the packaged verifier says of stored questions, each with an answer of its own."""
    one = question(asked)
    candidates = [question(text).candidate(one, text.encode()) for text in stored]
    return packaged_verifier().judge(one.asked(), candidates, vocabulary or Vocabulary())


def probability(asked: str, stored: str) -> float:
    """The chance that the stored question's answer serves the asked one; 0 under a veto."""
    (judgement,) = judged(asked, stored)
    return 0.0 if judgement.veto else packaged_verifier().calibration.probability(judgement.evidence)

"""The verifier that ships with the gateway, and what it has the embedder keep of each token."""

from __future__ import annotations

import hashlib
import io
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from askonce.embedders.onnx import Projection
from askonce.matching.aligner import Aligner
from askonce.matching.calibration import Calibration
from askonce.matching.verifier import EVIDENCE, TokenVerifier

__all__ = ["packaged_projection", "packaged_verifier"]

_FILE: Final = Path(__file__).parents[1] / "data" / "verifier" / "verifier.npz"
_DIGITS: Final = 12


@cache
def packaged_verifier() -> TokenVerifier:
    """The verifier as `scripts/train_verifier.py` wrote it; some milliseconds the first time.

    Raises:
        OSError: The file is missing or can't be read.
        KeyError: It lacks an array.
        ValueError: Its last layer weighs other evidence than this version makes.
    """
    with np.load(io.BytesIO(_FILE.read_bytes()), allow_pickle=False) as arrays:
        weighed = tuple(str(name) for name in arrays["evidence"])
        if weighed != EVIDENCE:
            raise ValueError("the packaged verifier was trained for other evidence: train it anew")
        calibration = Calibration(arrays["weights"].astype(np.float64), float(arrays["bias"]))
        return TokenVerifier(Aligner.of(arrays), calibration)


@cache
def packaged_projection() -> Projection:
    """The projection of the packaged verifier: other weights have another identity, so another engine."""
    projection = packaged_verifier().aligner.projection
    digest = hashlib.sha256(projection.tobytes()).hexdigest()[:_DIGITS]
    return Projection(packaged_verifier().aligner.project, f"aligner-{digest}")

"""What tokens cost the embedder: time for a text with and without them, in turns, in one process.

.venv/bin/python bench/embedder.py [--runs 400] [--tokens 12 25]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np

from askonce.embedders import minilm
from askonce.embedders.onnx import OnnxModel, Projection, read_manifest

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIRECTIONS = np.random.default_rng(0).standard_normal((384, 64)).astype(np.float32) / 20


def projected(states: NDArray[np.float32]) -> NDArray[np.int8]:
    """64 directions of each state: random ones take as long as learned ones."""
    return np.clip(np.rint(127 * (states @ DIRECTIONS)), -127, 127).astype(np.int8)


def main() -> None:
    """Prints the medians for each length."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--runs", type=int, default=400)
    arguments.add_argument("--tokens", type=int, nargs="+", default=[12, 25])
    chosen = arguments.parse_args()
    manifest = read_manifest(minilm.FOLDER)
    models = [
        OnnxModel(minilm.FOLDER, manifest, project) for project in (None, Projection(projected, "random"))
    ]
    for count in chosen.tokens:
        text = " ".join(["word"] * count)
        taken: list[list[float]] = [[], []]
        for _ in range(chosen.runs):
            for model, times in zip(models, taken, strict=True):
                started = time.perf_counter()
                model.embed(text)
                times.append(time.perf_counter() - started)
        without, with_tokens = (1e3 * statistics.median(times[len(times) // 10 :]) for times in taken)
        print(
            f"{count} tokens: {without:.2f} ms without, {with_tokens:.2f} ms with: "
            f"{1e3 * (with_tokens - without):+.0f} us ({with_tokens / without - 1:+.1%})"
        )


if __name__ == "__main__":
    main()

"""`/v1/embeddings`."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final

import numpy as np
import orjson

from askonce.upstreams.simulated.completions import read_prompts
from askonce.upstreams.simulated.failures import invalid
from askonce.upstreams.simulated.generation import Generation, Tokens
from askonce.upstreams.simulated.requests import Bounds

if TYPE_CHECKING:
    from askonce.model import Vector
    from askonce.upstreams.simulated.generation import Job

__all__ = ["generate_embeddings"]

_MAX_INPUTS: Final = 2048
_MAX_DIMENSIONS: Final = 16_384


def generate_embeddings(job: Job) -> Generation:
    """Embeds texts as unit vectors that depend on the seed, the model and the text alone.

    Raises:
        UpstreamFailure: the request is invalid.
    """
    if job.stream:
        raise invalid("Embeddings can't be streamed.", "stream", "unknown_parameter")
    texts = read_prompts(job.body.get("input"), "input")
    if len(texts) > _MAX_INPUTS or not all(text.text for text in texts):
        raise invalid(f"'input' takes 1 to {_MAX_INPUTS} texts, none of them empty.", "input")
    form = job.body.get("encoding_format") or "float"
    if form not in {"float", "base64"}:
        raise invalid(f"Invalid value: '{form}'. Use 'float' or 'base64'.", "encoding_format")
    dimensions = job.fields.integer("dimensions", Bounds(1, _MAX_DIMENSIONS))
    length = dimensions or job.simulation.embedding_dimensions
    data = []
    for index, text in enumerate(texts):
        vector = _embed(job, text.text, length)
        encoded = b64encode(vector.astype("<f4").tobytes()).decode() if form == "base64" else vector
        data.append({"object": "embedding", "index": index, "embedding": encoded})
    tokens = Tokens(sum(text.tokens for text in texts), 0)
    body = {
        "object": "list",
        "data": data,
        "model": job.body["model"],
        "usage": {"prompt_tokens": tokens.prompt, "total_tokens": tokens.prompt},
    }
    whole = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    return Generation(whole, (), 0, tokens, inputs=len(texts))


def _embed(job: Job, text: str, dimensions: int) -> Vector:
    """A vector drawn evenly from the unit sphere; a shorter one is the beginning of a longer one, rescaled."""
    seed = job.dice("embedding", job.body["model"], text).word()
    vector = np.random.default_rng(seed).standard_normal(dimensions)
    return (vector / np.linalg.norm(vector)).astype(np.float32)

"""A sentence model in a folder: its manifest, its checks, and the run that turns one text into a vector and tokens."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from askonce.errors import EmbedderUnavailable
from askonce.model import Tokens
from askonce.ports import Embedding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Manifest", "OnnxModel", "Projection", "read_manifest"]

_MODEL: Final = "model.int8.onnx"
_TOKENIZER: Final = "tokenizer.json"
_ERRORS_ONLY: Final = 3


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a model's folder says of itself in `manifest.json`.

    Attributes:
        engine: Identity of the vectors.
        dimensions: Length of a vector.
        max_tokens: The longest text, with the two marks around it.
        files: SHA-256 (hex) by file name.
    """

    engine: str
    dimensions: int
    max_tokens: int
    files: Mapping[str, str]


def read_manifest(folder: Path) -> Manifest:
    """Reads a folder's manifest, some hundred bytes. Raises OSError, KeyError or ValueError."""
    content = json.loads((folder / "manifest.json").read_bytes())
    return Manifest(content["engine"], content["dimensions"], content["max_tokens"], content["files"])


@dataclass(frozen=True, slots=True)
class Projection:
    """What makes a token's kept state of the model's own.

    Attributes:
        apply: float32 of shape (n, dimensions) to int8 of shape (n, width), 127 for 1.0; called in any thread.
        identity: Changes whenever `apply` gives other states: it becomes a part of the engine's identity.
    """

    apply: Callable[[NDArray[np.float32]], NDArray[np.int8]]
    identity: str


class OnnxModel:
    """A loaded model. Several threads may embed with it at once.

    Loading takes the better part of a second and imports onnxruntime, so it belongs into a thread as well.

    Args:
        folder: Where the model lies.
        manifest: The folder's manifest.
        project: What is kept of each token; None for vectors alone.

    Raises:
        OSError: A file is missing or can't be read.
        ValueError: A file isn't the one that the manifest names.
        Exception: Whatever onnxruntime and tokenizers raise on files that they can't use.
    """

    def __init__(self, folder: Path, manifest: Manifest, project: Projection | None) -> None:
        import onnxruntime  # noqa: PLC0415 - a third of a second that a start doesn't wait for
        from tokenizers import Tokenizer  # noqa: PLC0415 - the same

        self._max_tokens = manifest.max_tokens
        self._project = project
        self._tokenizer = Tokenizer.from_buffer(_verified(folder, _TOKENIZER, manifest))
        options = onnxruntime.SessionOptions()
        # One thread a run: two threads that wait for each other on busy cores cost hundreds of milliseconds.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = _ERRORS_ONLY
        self._session = onnxruntime.InferenceSession(
            _verified(folder, _MODEL, manifest), options, providers=["CPUExecutionProvider"]
        )

    def embed(self, text: str) -> Embedding:
        """The text's unit vector, float32 of shape (dimensions,), and its tokens, from one run; all read-only.

        Raises EmbedderUnavailable (`text-too-long`) where the text exceeds the model's window: a vector of its
        beginning would match it with texts that differ only in the rest.
        """
        token_ids = self._tokenizer.encode(text).ids
        if len(token_ids) > self._max_tokens:
            raise EmbedderUnavailable("text-too-long")
        input_ids = np.array([token_ids], dtype=np.int64)
        inputs = {"input_ids": input_ids, "attention_mask": np.ones_like(input_ids)}
        # An output that isn't asked for isn't copied either.
        outputs = ["sentence_embedding"] if self._project is None else ["sentence_embedding", "token_states"]
        vector, *states = (output[0] for output in self._session.run(outputs, inputs))
        vector.flags.writeable = False
        if self._project is None:
            return Embedding(vector, None)
        within = slice(1, -1)  # between the marks
        tokens = Tokens(input_ids[0, within].astype(np.uint16), self._project.apply(states[0][within]))
        tokens.ids.flags.writeable = tokens.states.flags.writeable = False
        return Embedding(vector, tokens)


def _verified(folder: Path, name: str, manifest: Manifest) -> bytes:
    content = (folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != manifest.files[name]:
        raise ValueError(f"{name} is damaged: its SHA-256 isn't the manifest's")
    return content

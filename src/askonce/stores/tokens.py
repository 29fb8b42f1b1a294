"""Tokens as bytes: how the index keeps them and the file stores them."""

from __future__ import annotations

from struct import Struct
from typing import Final

import numpy as np

from askonce.model import Tokens

__all__ = ["packed", "unpacked"]

_WIDTH: Final = Struct("<H")
_ID: Final = np.dtype("<u2")


def packed(tokens: Tokens) -> bytes:
    """The width of a state (uint16), then all ids (uint16), then all states (int8): little-endian."""
    width = _WIDTH.pack(tokens.states.shape[1])
    return width + tokens.ids.astype(_ID).tobytes() + tokens.states.astype(np.int8).tobytes()


def unpacked(blob: bytes) -> Tokens:
    """The tokens that `packed` made `blob` of; read-only views of it. Raises ValueError or struct.error."""
    (width,) = _WIDTH.unpack_from(blob)
    count, over = divmod(len(blob) - _WIDTH.size, _ID.itemsize + width)
    if over:
        raise ValueError("these bytes are no tokens")
    ids = np.frombuffer(blob, _ID, count, _WIDTH.size)
    states = np.frombuffer(blob, np.int8, count * width, _WIDTH.size + ids.nbytes)
    return Tokens(ids, states.reshape(count, width))

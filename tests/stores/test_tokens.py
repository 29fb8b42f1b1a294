"""Tokens as bytes: what goes in comes out."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from askonce.model import Tokens
from askonce.stores.tokens import packed, unpacked

SHAPES = st.tuples(st.integers(0, 300), st.integers(0, 80))


@given(st.data(), SHAPES)
def test_tokens_survive_packing(data: st.DataObject, shape: tuple[int, int]) -> None:
    """Any number of tokens of any width, also none: ids and states to the bit, in the promised types."""
    given_tokens = Tokens(
        data.draw(arrays.arrays(np.uint16, shape[0])), data.draw(arrays.arrays(np.int8, shape))
    )
    blob = packed(given_tokens)
    back = unpacked(blob)
    assert len(blob) == 2 + shape[0] * (2 + shape[1])
    np.testing.assert_array_equal(back.ids, given_tokens.ids)
    np.testing.assert_array_equal(back.states, given_tokens.states)
    assert (back.ids.dtype.name, back.states.dtype.name) == ("uint16", "int8")
    assert back.states.shape == shape
    assert not back.states.flags.writeable


@pytest.mark.parametrize("blob", [b"", b"\x40", b"\x40\x00" + bytes(65), b"\x40\x00" + bytes(67)])
def test_other_bytes_are_refused(blob: bytes) -> None:
    """Cut off or of another make: an error, never tokens that nobody gave."""
    with pytest.raises((ValueError, struct.error)):
        unpacked(blob)

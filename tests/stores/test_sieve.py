"""The filter before the disk: never a false no, seldom a false yes."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from askonce.stores.sieve import Sieve


@given(st.sets(st.binary(min_size=32, max_size=32)))
def test_what_was_added_is_always_found(keys: set[bytes]) -> None:
    """No key is overlooked."""
    sieve = Sieve()
    sieve.update(keys)
    assert all(key in sieve for key in keys)


def test_false_positives_stay_rare() -> None:
    """After 50,000 keys hardly any of 50,000 others passes."""
    sieve = Sieve()
    keys = [hashlib.sha256(str(number).encode()).digest() for number in range(100_000)]
    sieve.update(keys[:50_000])
    assert sum(key in sieve for key in keys[50_000:]) < 10

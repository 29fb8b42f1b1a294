"""Keys for encryption, as they are written."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.config import ConfigError, loads, warnings

KEY = bytes(range(32))


def keys(written: str) -> list[bytes]:
    settings = loads(
        f"upstreams: [{{type: simulated}}]\ncache_encryption_key: {written}\n", "askonce.yaml", {}
    )
    assert "cache_encryption_key" not in repr(settings)
    return [key.get_secret_value() for key in settings.cache_encryption_key]


@given(st.binary(min_size=32, max_size=32))
def test_every_spelling_of_a_key_is_the_same_key(key: bytes) -> None:
    """Base64 of both alphabets, and hex."""
    for text in (base64.b64encode(key), base64.urlsafe_b64encode(key), key.hex().encode()):
        assert keys(f'"{text.decode()}"') == [key]


def test_one_key_or_several() -> None:
    """A list keeps its order; nothing is no key."""
    assert keys(f"[{KEY.hex()}, {KEY[::-1].hex()}]") == [KEY, KEY[::-1]]
    assert keys("") == []


@pytest.mark.parametrize("written", ['""', "short", "00" * 31, "[1]", f"[{KEY.hex()}, {KEY.hex()}]", '"é"'])
def test_what_is_no_key_is_refused_without_showing_it(written: str) -> None:
    """An empty variable doesn't turn encryption off in silence."""
    with pytest.raises(ConfigError) as caught:
        keys(written)
    assert "cache_encryption_key" in str(caught.value)
    assert KEY.hex() not in str(caught.value)


def test_what_stays_in_clear_is_said() -> None:
    """Texts in the ledger, and a store without a file."""
    settings = loads(
        f"upstreams: [{{type: simulated}}]\ncache_encryption_key: {KEY.hex()}\n"
        "features: {open: {retain_text: full}}\n",
        "askonce.yaml",
        {},
    )
    said = "\n".join(warnings(settings))
    assert "open has retain_text full" in said
    assert "nothing to encrypt" in said

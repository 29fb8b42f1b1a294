"""Keys that the store's file is encrypted with."""

import binascii
from base64 import b64decode, urlsafe_b64decode
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainValidator, SecretBytes

from askonce.config.forms import Form

__all__ = ["EncryptionKeys"]

_KEY_BYTES = 32
_HEX_DIGITS = 64


def _parse(value: object) -> SecretBytes:
    if isinstance(value, SecretBytes):
        return value
    key = _decoded(value.strip()) if isinstance(value, str) else b""
    if len(key) != _KEY_BYTES:
        raise ValueError("must be 32 random bytes as base64 or hex; `openssl rand -base64 32` makes one")
    return SecretBytes(key)


def _decoded(text: str) -> bytes:
    try:
        if len(text) == _HEX_DIGITS:
            return bytes.fromhex(text)
        return urlsafe_b64decode(text) if {"-", "_"} & set(text) else b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""


def _listed(value: Any) -> Any:
    """A single key is a list of one."""
    return (value,) if isinstance(value, str) else value


EncryptionKeys = Annotated[
    tuple[
        Annotated[SecretBytes, PlainValidator(_parse), Form("32 bytes, base64 or hex", lambda _: "…")], ...
    ],
    BeforeValidator(_listed),
]
"""One key, or several: the first encrypts, all decrypt."""

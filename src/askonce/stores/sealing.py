"""Encryption at rest: what could tell what was asked or answered, sealed before it reaches the file.

A sealed value is a mark, the key's id (4 bytes), a nonce (12 bytes), and what AES-256-GCM-SIV (RFC 8452) makes of the
plain bytes, with the value's place (its table, column and row) as associated data: a value that was moved to another row
doesn't open. Nonces are random; should two ever be the same, GCM-SIV gives away no more than whether the two values are
equal.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Seals", "Unreadable", "place"]

_MARK: Final = b"\0askseal"
"""No JSON begins like this; of other bytes, one value in 2**64."""
_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_HEAD_BYTES: Final = len(_MARK) + _ID_BYTES
_KEY_ID: Final = b"askonce key id"
_TAG: Final = b"askonce tag"


class Unreadable(OSError):
    """A sealed value that none of the keys opens, or that isn't where it was sealed."""


def place(column: str, row: bytes | int | str) -> bytes:
    """Where a value is: `table.column`, and what names its row."""
    name = row if isinstance(row, bytes) else str(row).encode()
    return column.encode() + b"\0" + name


class Seals:
    """Seals with the first key, opens with any; without keys, values stay as they are.

    Args:
        keys: Of 32 bytes each.
    """

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._keys = tuple(keys)
        self._ciphers = {_id(key): AESGCMSIV(key) for key in reversed(keys)}
        self.first = _id(keys[0]) if keys else b""
        self.ids = frozenset(self._ciphers)

    @property
    def on(self) -> bool:
        """Whether there is a key to seal with."""
        return bool(self._keys)

    def seal(self, plain: bytes, at: bytes) -> bytes:
        """The value as it goes into the file."""
        if not self._keys:
            return plain
        nonce = os.urandom(_NONCE_BYTES)
        return _MARK + self.first + nonce + self._ciphers[self.first].encrypt(nonce, plain, at)

    def unseal(self, blob: bytes, at: bytes) -> bytes:
        """The value that was sealed, or the one that never was. Raises Unreadable."""
        if not blob.startswith(_MARK):
            return blob
        cipher = self._ciphers.get(blob[len(_MARK) : _HEAD_BYTES])
        if cipher is None:
            raise Unreadable("it is encrypted with a key that cache_encryption_key doesn't have")
        sealed = blob[_HEAD_BYTES:]
        try:
            return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], at)
        except (InvalidTag, ValueError):
            raise Unreadable("an encrypted value was changed or moved") from None

    def seal_text(self, text: str, at: bytes) -> str | bytes:
        """The same for a text: one that isn't sealed stays a text. Raises UnicodeEncodeError for half characters."""
        return self.seal(text.encode(), at) if self._keys else text

    def unseal_text(self, value: str | bytes, at: bytes) -> str:
        """The text that was sealed, or the one that never was. Raises Unreadable."""
        return value if isinstance(value, str) else self.unseal(value, at).decode()

    def current(self, value: str | bytes) -> bool:
        """Whether a value is as it would be sealed now."""
        if not self._keys:
            return isinstance(value, str) or not value.startswith(_MARK)
        return isinstance(value, bytes) and value.startswith(_MARK + self.first)

    def tag(self, tag: str) -> str:
        """What stands for a tag where entries are found by it: its keyed hash, where there is a key."""
        return _tag_form(self._keys[0], tag) if self._keys else tag

    def tag_forms(self, tag: str) -> list[str]:
        """All that may stand for a tag: written before there was a key, or under an earlier one."""
        return [tag, *(_tag_form(key, tag) for key in self._keys)]


def _id(key: bytes) -> bytes:
    return hashlib.sha256(_KEY_ID + key).digest()[:_ID_BYTES]


def _tag_form(key: bytes, tag: str) -> str:
    return "hmac:" + hmac.digest(key, _TAG + tag.encode("utf-8", "surrogatepass"), "sha256")[:16].hex()

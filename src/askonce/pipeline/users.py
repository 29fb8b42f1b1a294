"""Whose a request is, within its tenant: what makes a person's data findable without keeping the person's name."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.model import Json

__all__ = ["Users"]

_PURPOSE: Final = b"user:"
_MARK_BYTES: Final = 16


class Users:
    """Keyed hashes of users' names.

    Args:
        secret: The store's: the same name has the same hash for as long as its data lives.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def of(self, body: Json) -> tuple[bytes, ...]:
        """The hash of each name in a request's body: `user`, `safety_identifier`, and `metadata.user_id`."""
        if body.keys().isdisjoint(("user", "safety_identifier", "metadata")):
            return ()
        return tuple({self.mark(name): None for name in _names(body)})

    def mark(self, name: str) -> bytes:
        """The hash of a name: 16 bytes of its HMAC-SHA256."""
        name_bytes = name.encode("utf-8", "surrogatepass")
        return hmac.digest(self._secret, _PURPOSE + name_bytes, "sha256")[:_MARK_BYTES]


def _names(body: Json) -> Iterator[str]:
    metadata = body.get("metadata")
    for name in (
        body.get("user"),
        body.get("safety_identifier"),
        metadata.get("user_id") if isinstance(metadata, dict) else None,
    ):
        if isinstance(name, str) and name:
            yield name

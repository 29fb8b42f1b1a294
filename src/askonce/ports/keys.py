"""What is asked of whatever keeps the keys that were issued while the gateway runs."""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["IssuedKey", "KeyRing"]


class IssuedKey(NamedTuple):
    """A tenant's key, known by its digest alone.

    Attributes:
        digest: SHA-256 of the key.
        tenant: Whose it is.
        created_at: Unix seconds.
        revoked_at: Unix seconds from which it isn't valid, perhaps in the future; None where nobody has revoked it.
        note: What its administrator wrote beside it.
        ended: Whether that time has come: it stays so, though the clock be set back.
    """

    digest: bytes
    tenant: str
    created_at: float
    revoked_at: float | None
    note: str
    ended: bool = False

    def valid(self, now: float) -> bool:
        """Whether it may be used."""
        return not self.ended and (self.revoked_at is None or now < self.revoked_at)


class KeyRing(Protocol):
    """Keeps issued keys. Each change is on disk before it returns. Everything raises OSError where it can't be."""

    @property
    def durable(self) -> bool:
        """Whether keys outlive the process."""
        ...

    async def all(self) -> list[IssuedKey]:
        """All keys, revoked ones included, the oldest first."""
        ...

    async def add(self, key: IssuedKey, *, instead_of: bytes | None = None, until: float = 0.0) -> None:
        """Keeps a new key; the one that it takes the place of, by its digest, is valid `until` then (Unix seconds).

        That has ended where `until` isn't later than the new key's making.
        """
        ...

    async def revoke(self, digest: bytes, at: float) -> None:
        """A key has ended then (Unix seconds), for good; one that ended earlier keeps its time."""
        ...

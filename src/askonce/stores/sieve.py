"""Says of most keys that aren't on disk that they aren't, without asking the disk."""

from __future__ import annotations

import asyncio
from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

__all__ = ["Sieve"]

_BITS: Final = 2**25
_KEYS_AT_ONCE: Final = 5_000
_HASHES: Final = Struct("<4I")


class Sieve:
    """A Bloom filter over exact keys (B. H. Bloom, "Space/time trade-offs in hash coding", CACM 13, 1970).

    Keys are SHA-256 digests, so four of their 32-bit words are four independent hashes. 4 MiB hold two million keys
    with 0.3 % false positives ((1 - e^(-4n/m))^4), each of which costs a look-up on disk that finds nothing. Keys
    can't be taken out: those that were forgotten count as false positives until the next start.
    """

    __slots__ = ("_bits", "_filled")

    def __init__(self) -> None:
        self._bits = bytearray(_BITS // 8)
        self._filled = False

    async def fill(self, following: Callable[[bytes, int], Awaitable[Sequence[bytes] | None]]) -> None:
        """Learns the keys on disk, in their own order: `following` gives the next ones, None where that fails."""
        after = b""
        while keys := await following(after, _KEYS_AT_ONCE):
            self.update(keys)
            after = keys[-1]
            await asyncio.sleep(0)
        self._filled = keys is not None

    def rules_out(self, key: bytes) -> bool:
        """Whether a key is certainly not on disk: never before all are learned that are."""
        return self._filled and key not in self

    def add(self, key: bytes) -> None:
        """Remembers a key of at least 16 bytes."""
        bits = self._bits
        for word in _HASHES.unpack_from(key):
            place = word % _BITS
            bits[place >> 3] |= 1 << (place & 7)

    def update(self, keys: Iterable[bytes]) -> None:
        """Remembers keys."""
        for key in keys:
            self.add(key)

    def __contains__(self, key: bytes) -> bool:
        bits = self._bits
        for word in _HASHES.unpack_from(key):
            place = word % _BITS
            if not bits[place >> 3] & (1 << (place & 7)):
                return False
        return True

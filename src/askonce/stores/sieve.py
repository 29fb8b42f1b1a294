"""Says of most keys that aren't on disk that they aren't, without asking the disk."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Sieve"]

_BITS: Final = 2**25
_HASHES: Final = Struct("<4I")


class Sieve:
    """A Bloom filter over exact keys (B. H. Bloom, "Space/time trade-offs in hash coding", CACM 13, 1970).

    Keys are SHA-256 digests, so four of their 32-bit words are four independent hashes. 4 MiB hold two million keys
    with 0.3 % false positives ((1 - e^(-4n/m))^4), each of which costs a look-up on disk that finds nothing. Keys
    can't be taken out: those that were forgotten count as false positives until the next start.
    """

    __slots__ = ("_bits",)

    def __init__(self) -> None:
        self._bits = bytearray(_BITS // 8)

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

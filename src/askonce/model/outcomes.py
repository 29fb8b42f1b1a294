"""How a caller was answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

__all__ = ["Bypass", "Exact", "Fresh", "Joined", "Outcome", "Semantic"]


@dataclass(frozen=True, slots=True)
class Fresh:
    """The upstream was asked for this caller."""

    reason: str
    name: ClassVar[str] = "fresh"


@dataclass(frozen=True, slots=True)
class Joined:
    """An identical request was already being answered: one upstream call served both."""

    name: ClassVar[str] = "joined"
    reason: ClassVar[str] = "in-flight"


@dataclass(frozen=True, slots=True)
class Exact:
    """A stored answer to the identical request."""

    entry: bytes
    age_s: float
    ttl_s: float
    name: ClassVar[str] = "exact"
    reason: ClassVar[str] = "stored"


@dataclass(frozen=True, slots=True)
class Semantic:
    """An answer to an equivalent request: stored, or (`joined`) still under way."""

    entry: bytes
    confidence: float
    joined: bool
    age_s: float
    ttl_s: float
    reason: str

    @property
    def name(self) -> str:
        """The word for it in headers, metrics and logs."""
        return "semantic-joined" if self.joined else "semantic"


@dataclass(frozen=True, slots=True)
class Bypass:
    """The upstream was asked for this caller alone, and nothing was read or shared."""

    reason: str
    name: ClassVar[str] = "bypass"


Outcome: TypeAlias = Fresh | Joined | Exact | Semantic | Bypass
"""How a caller was answered: `name` and `reason` are its words in headers, metrics and logs."""

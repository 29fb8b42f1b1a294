"""What may be done for a request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["HighTemperature", "Lane", "Policy", "RetainText", "Scope", "SemanticMode"]


class Scope(StrEnum):
    """The isolation boundary: who may ever share an answer with whom."""

    TENANT = "tenant"
    USER = "user"
    SHARED = "shared"


class SemanticMode(StrEnum):
    """What the semantic tier may do for a feature."""

    OFF = "off"
    SHADOW = "shadow"
    ON = "on"


class HighTemperature(StrEnum):
    """Whether identical requests above the policy's temperature may share a flight."""

    RETRIES = "retries"
    ON = "on"
    OFF = "off"


class Lane(StrEnum):
    """How soon an answer is wanted: the first lanes are sent before the later ones."""

    INTERACTIVE = "interactive"
    RELAXED = "relaxed"
    """May wait a moment for others, where the upstream takes several at a time."""
    BATCH = "batch"
    """May wait for hours, at the provider's price for that."""


class RetainText(StrEnum):
    """What is kept of questions' texts outside the answer cache."""

    NONE = "none"
    HASHED = "hashed"
    """Enough to see that one was asked again, not what it said."""
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the gateway may do for one request: the feature's settings, tightened by the request's headers."""

    feature: str
    exact: bool
    inflight: bool
    inflight_high_temperature: HighTemperature
    semantic: SemanticMode
    error_budget: float
    ttl_s: float
    scope: Scope
    pool: str
    max_turns: int
    max_temperature: float
    semantic_tools: bool
    similarity_floor: float
    timeout_s: float
    linger_s: float | None
    """Seconds that an upstream call outlives its last caller; None lets it finish."""
    max_flight_age_s: float
    audit_share: float = 0.02
    """The share of semantic hits that is audited, in [0, 1]."""
    retain_text: RetainText = RetainText.HASHED
    lane: Lane = Lane.INTERACTIVE
    read: bool = True
    """False for `Cache-Control: no-cache`: stored and running answers are not used."""
    store: bool = True
    """False for `Cache-Control: no-store`: the answer is not kept."""
    max_age_s: float | None = None
    only_if_cached: bool = False
    tags: tuple[str, ...] = ()

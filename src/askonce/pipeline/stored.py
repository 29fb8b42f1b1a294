"""What a stored answer is to a request: whether it may be read, whether it is young enough, what serving it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.model import Exact, Semantic

if TYPE_CHECKING:
    from askonce.model import Entry, Request

__all__ = ["cache_key", "exact", "semantic", "young_enough"]


def cache_key(request: Request) -> bytes | None:
    """The key under which a stored answer may be read; None where none may."""
    ask, policy = request.ask, request.policy
    readable = policy.exact and policy.read and policy.store and not ask.hot
    return ask.exact_key if readable else None


def young_enough(entry: Entry, request: Request, now: float) -> bool:
    """Whether a request's `max-age` allows an entry (`now` in Unix seconds)."""
    limit_s = request.policy.max_age_s
    return limit_s is None or now - entry.created_at <= limit_s


def exact(entry: Entry, now: float) -> Exact:
    """An entry as the answer to its own question."""
    return Exact(entry.key, max(0.0, now - entry.created_at), entry.expires_at - now)


def semantic(entry: Entry, confidence: float, reason: str, now: float) -> Semantic:
    """An entry as the answer to another question."""
    age_s = max(0.0, now - entry.created_at)
    return Semantic(
        entry.key, confidence, joined=False, age_s=age_s, ttl_s=entry.expires_at - now, reason=reason
    )

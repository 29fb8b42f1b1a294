"""Who may administrate, and the trail of what was done: the one place that lets anybody past it."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final

from askonce.errors import Refusal
from askonce.ports import Act

if TYPE_CHECKING:
    from starlette.requests import Request

    from askonce.model import Json
    from askonce.wiring import Running

__all__ = ["AdminAccess", "actor_of", "note"]

_ACTOR_LENGTH: Final = 8
_MOST_VALUES: Final = 50
_MOST_CHARACTERS: Final = 200
_REFUSALS_INTERVAL_S: Final = 60.0
"""How far apart refused attempts stand in the trail: a guesser must not be able to fill the disk."""


def actor_of(digest: bytes) -> str:
    """What the trail calls an administrator: the first digits of its key's digest."""
    return digest.hex()[:_ACTOR_LENGTH]


def note(running: Running, actor: str, action: str, detail: Json) -> None:
    """Writes an act into the trail; `detail` holds no prompt, no answer and no key. What is long in it is cut."""
    running.ledger.acted(Act(running.gateway.parts.clock.now(), actor, action, _short(detail)))


def _short(value: Any) -> Any:
    """The same with the beginning of long texts and lists alone: thousands of keys may be named in a call."""
    if isinstance(value, dict):
        return {name: _short(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        more = len(value) - _MOST_VALUES
        return [*map(_short, value[:_MOST_VALUES]), *([f"… {more} more"] if more > 0 else [])]
    if isinstance(value, str) and len(value) > _MOST_CHARACTERS:
        return f"{value[:_MOST_CHARACTERS]}…"
    return value


class AdminAccess:
    """Tells administrators from others, and writes down what they do."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._refused = 0
        self._refusals_at: float | None = None

    def authorise(self, request: Request) -> str:
        """The actor behind a request: an administrator's key as a bearer token.

        Raises:
            Refusal: 401, no administrator's.
        """
        actor = self.actor(request.headers.get("authorization", ""))
        if actor is None:
            self.note_refusal()
            raise Refusal(
                401, "invalid_admin_key", "Send an administrator's key; `admin.keys` in the configuration."
            )
        return actor

    @property
    def configured(self) -> bool:
        """Whether there are administrators at all."""
        return bool(self._running.admin_digests)

    def stands(self, actor: str) -> bool:
        """Whether an actor's key is still one of the administrators'."""
        return any(actor_of(digest) == actor for digest in self._running.admin_digests)

    def actor(self, authorization: str) -> str | None:
        """Whose an `Authorization` header is; None where no administrator's."""
        scheme, _, key = authorization.partition(" ")
        digest = hashlib.sha256(key.strip().encode("latin-1", "replace")).digest()
        known = [hmac.compare_digest(digest, one) for one in self._running.admin_digests]
        return actor_of(digest) if scheme.lower() == "bearer" and any(known) else None

    def acted(self, actor: str, action: str, detail: Json) -> None:
        """Writes an act into the trail; `detail` holds no prompt, no answer and no key."""
        note(self._running, actor, action, detail)

    def note_refusal(self) -> None:
        """Refused attempts stand in the trail once a minute at most, with their number."""
        self._refused += 1
        now = self._running.gateway.parts.clock.now()
        if self._refusals_at is None or abs(now - self._refusals_at) >= _REFUSALS_INTERVAL_S:
            self.acted("", "access.refused", {"times": self._refused})
            self._refused, self._refusals_at = 0, now

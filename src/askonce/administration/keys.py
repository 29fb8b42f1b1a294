"""Tenants' keys, issued and revoked while the gateway runs: kept first, valid then, told last."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from askonce.errors import Refusal
from askonce.ports.keys import IssuedKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.pipeline.identity import Identity
    from askonce.ports import Clock
    from askonce.ports.keys import KeyRing

__all__ = ["Keys", "NewKey", "new_key"]

_LOOK_INTERVAL_S: Final = 1.0
"""How late a key may end whose end was set for later."""
_SHORTEST_ID: Final = 8
_log = structlog.get_logger("askonce.keys")


class NewKey(NamedTuple):
    """A key, shown this once, and what is kept of it."""

    key: str
    kept: IssuedKey


def new_key(tenant: str) -> str:
    """A key that nobody can guess; its beginning tells people whose it is."""
    return f"ak-{tenant}-{secrets.token_urlsafe(32)}"


class Keys:
    """Issued keys and what the gateway knows of them.

    Args:
        ring: Where they are kept.
        identity: Who lets their bearers in.
        clock: Wall-clock time.
        changed: Told after each change: what was understood of earlier requests may not hold any more.
    """

    def __init__(self, ring: KeyRing, identity: Identity, clock: Clock, changed: Callable[[], None]) -> None:
        self._ring = ring
        self._identity = identity
        self._clock = clock
        self._changed = changed
        self._keys: dict[bytes, IssuedKey] = {}
        self._valid: dict[str, str] = {}
        self._loaded = False
        self._changing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Takes up the keys issued before a restart; while they can't be read, none of them is valid."""
        await self._load()
        self._task = asyncio.create_task(self._look_on(), name="keys")  # noqa: TID251 - ended by `close`

    async def close(self) -> None:
        """Ends what runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def durable(self) -> bool:
        """Whether issued keys outlive the process."""
        return self._ring.durable

    @property
    def issued(self) -> list[IssuedKey]:
        """All issued keys, the oldest first."""
        return list(self._keys.values())

    def usable(self, key: IssuedKey) -> bool:
        """Whether a key lets its bearer in now: its tenant may have been taken out of the configuration."""
        return key.digest.hex() in self._valid and key.tenant in (self._identity.tenants or ())

    async def issue(self, tenant: str, note: str) -> NewKey:
        """A new key for a configured tenant. Raises Refusal."""
        self._check_tenant(tenant)
        async with self._changing:
            return await self._add(tenant, note, instead_of=None, until=0.0)

    async def revoke(self, name: str) -> IssuedKey:
        """Ends a key now. Raises Refusal."""
        async with self._changing:
            await self._ready()
            key = self._find(name)
            now = self._clock.now()
            try:
                await self._ring.revoke(key.digest, now)
            except OSError as error:
                raise _not_kept(error) from None
            self._end(key, now, ended=True)
            self._apply()
            return self._keys[key.digest]

    async def rotate(self, name: str, overlap_s: float) -> tuple[NewKey, IssuedKey]:
        """A new key in place of one that stays valid for a while; returns both. Raises Refusal."""
        async with self._changing:
            await self._ready()
            key = self._find(name)
            now = self._clock.now()
            if not key.valid(now):
                raise Refusal(409, "key_revoked", "This key was revoked; issue a new one.")
            self._check_tenant(key.tenant)
            until = now + overlap_s
            new = await self._add(key.tenant, key.note, instead_of=key.digest, until=until)
            return new, self._keys[key.digest]

    async def _add(self, tenant: str, note: str, *, instead_of: bytes | None, until: float) -> NewKey:
        await self._ready()
        key = new_key(tenant)
        kept = IssuedKey(hashlib.sha256(key.encode()).digest(), tenant, self._clock.now(), None, note)
        try:
            await self._ring.add(kept, instead_of=instead_of, until=until)
        except OSError as error:
            raise _not_kept(error) from None
        if instead_of is not None:
            self._end(self._keys[instead_of], until, ended=until <= kept.created_at)
        self._keys[kept.digest] = kept
        self._apply()
        return NewKey(key, kept)

    async def _ready(self) -> None:
        if not self._loaded and not await self._load():
            raise _not_kept(OSError("it can't be read"))

    async def _load(self) -> bool:
        try:
            self._keys = {key.digest: key for key in await self._ring.all()}
        except OSError as error:
            _log.error("issued keys can't be read: none of them is valid", error=str(error))
            return False
        self._loaded = True
        self._apply()
        return True

    async def _look_on(self) -> None:
        """Ends keys whose time has come, and tries to read what couldn't be read."""
        while True:
            await asyncio.sleep(_LOOK_INTERVAL_S)
            if not self._loaded:
                async with self._changing:
                    await self._load()
                continue
            self._apply()
            if self._overdue:
                async with self._changing:
                    await self._end_overdue()

    @property
    def _overdue(self) -> list[IssuedKey]:
        """Keys whose time has come, and of which that isn't kept yet."""
        now = self._clock.now()
        return [key for key in self._keys.values() if not key.ended and not key.valid(now)]

    async def _end_overdue(self) -> None:
        """Keys whose time has come have ended for good: a clock that is set back must not make them valid again."""
        now = self._clock.now()
        for key in self._overdue:
            try:
                await self._ring.revoke(key.digest, now)
            except OSError:  # the next look tries again
                return
            self._end(key, now, ended=True)

    def _end(self, key: IssuedKey, at: float, *, ended: bool) -> None:
        """Notes the end of a key; an earlier one stays."""
        revoked_at = at if key.revoked_at is None else min(at, key.revoked_at)
        self._keys[key.digest] = key._replace(revoked_at=revoked_at, ended=ended or key.ended)

    def _apply(self) -> None:
        now = self._clock.now()
        valid = {key.digest.hex(): key.tenant for key in self._keys.values() if key.valid(now)}
        if valid != self._valid:
            self._valid = valid
            self._identity.issue(valid)
            self._changed()

    def _check_tenant(self, tenant: str) -> None:
        tenants = self._identity.tenants
        if tenants is None:
            sentence = (
                "Callers are told apart by the credentials that they present: there are no keys to issue."
            )
            raise Refusal(409, "no_tenants", sentence)
        if tenant not in tenants:
            sentence = (
                "The configuration has no such tenant: add it there, with `askonce keys new`, and reload."
            )
            raise Refusal(404, "unknown_tenant", sentence, param="tenant")

    def _find(self, name: str) -> IssuedKey:
        """The key whose digest begins so. Raises Refusal."""
        found = [key for key in self._keys.values() if key.digest.hex().startswith(name.lower())]
        if len(name) < _SHORTEST_ID or len(found) > 1:
            sentence = f"Name the key by more digits of its digest, at least {_SHORTEST_ID}."
            raise Refusal(409, "ambiguous_key", sentence)
        if not found:
            if any(digest.startswith(name.lower()) for digest in self._identity.given_digests):
                sentence = "This key stands in the configuration: take it out there, and reload."
                raise Refusal(409, "configured_key", sentence)
            raise Refusal(404, "unknown_key", "There is no such key; GET /admin/keys lists them.")
        return found[0]


def _not_kept(error: OSError) -> Refusal:
    sentence = f"Nothing was changed: {error}. Try again once the disk is well."
    return Refusal(503, "keys_not_kept", sentence, retry_after_s=5)

"""Authentication and tenancy: a credential becomes a `Caller`, or a 401.

Two ways, by configuration. With tenants configured, a key is one of theirs (known by its SHA-256 alone) or refused.
Without, the credential is the provider's own: it is passed through, and the tenant is a keyed hash of it, so that
one credential's answers are never another's.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from askonce.errors import Refusal
from askonce.model import Caller

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CREDENTIAL_HEADERS", "Identity", "Tenant"]

_MEMO: Final = 4096
_MEMO_LENGTH: Final = 512
CREDENTIAL_HEADERS: Final = (b"authorization", b"x-api-key", b"api-key")
"""Where a credential may stand, in order of precedence."""


@dataclasses.dataclass(frozen=True, slots=True)
class Tenant:
    """A configured tenant: SHA-256 digests (hex) of its keys; the first feature is the default."""

    name: str
    key_digests: tuple[str, ...]
    features: tuple[str, ...]


class Identity:
    """Tells callers apart by their credentials."""

    def __init__(self, tenants: Sequence[Tenant] | None, features: tuple[str, ...], secret: bytes) -> None:
        """Features are those that a passed-through credential may name; the secret keys the tenants' hashes."""
        self._secret = secret
        self._issued: Mapping[str, str] = {}
        self.replace(tenants, features)

    def replace(self, tenants: Sequence[Tenant] | None, features: tuple[str, ...]) -> None:
        """From now on, these tenants with their keys and those that were issued to them."""
        self._tenants = None if tenants is None else {tenant.name: tenant for tenant in tenants}
        self._features = features
        self._anonymous = Caller(None, "anonymous", features, None, b"")
        self._learn()

    def issue(self, tenant_by_digest: Mapping[str, str]) -> None:
        """From now on, these keys (SHA-256 digests, hex) are valid beside those that the tenants come with."""
        self._issued = dict(tenant_by_digest)
        self._learn()

    def of_tenant(self, name: str) -> Caller:
        """A caller of a configured tenant, whichever of its keys it has.

        Raises:
            Refusal: 404, no such tenant; 400, tenants aren't configured but told apart by their credentials.
        """
        if self._tenants is None:
            sentence = (
                "Without configured tenants, who asks is told by a credential alone: give it in `headers`."
            )
            raise Refusal(400, "no_tenants", sentence, param="tenant")
        tenant = self._tenants.get(name)
        if tenant is None:
            raise Refusal(404, "unknown_tenant", "There is no such tenant.", param="tenant")
        return _caller(tenant, b"")

    def identify(self, headers: Mapping[bytes, bytes]) -> Caller:
        """The caller behind request headers (lower-case names).

        Raises:
            Refusal: 401, no key or a key that no tenant has.
        """
        credential = _credential(headers)
        if credential is None:
            if self._by_digest is None:
                return self._anonymous
            raise Refusal(401, "missing_api_key", "Send a key as `Authorization: Bearer …`.")
        caller = self._memo.get(credential)
        if caller is None:
            caller = self._derive(credential)
            if len(self._memo) >= _MEMO:
                self._memo.clear()
            if len(credential) <= _MEMO_LENGTH:
                self._memo[credential] = caller
        return caller

    @property
    def tenants(self) -> frozenset[str] | None:
        """The configured tenants' names; None where callers are told apart by their credentials."""
        return None if self._tenants is None else frozenset(self._tenants)

    @property
    def given_digests(self) -> Mapping[str, str]:
        """Tenants by the digests (hex) of the keys that the configuration gives them."""
        tenants = (self._tenants or {}).values()
        return {digest: tenant.name for tenant in tenants for digest in tenant.key_digests}

    def narrow(self, caller: Caller, tenant: str) -> Caller:
        """The caller as the tenant that its request names.

        Raises:
            Refusal: 403, the key is another tenant's.
        """
        if caller.tenant is None:
            return caller
        if self._by_digest is None:
            return dataclasses.replace(caller, tenant=f"{caller.tenant}/{tenant}")
        if caller.label != tenant:
            raise Refusal(403, "tenant_not_allowed", "This key is not that tenant's.", param="tenant_id")
        return caller

    def tenant_of(self, digest: bytes) -> str:
        """The tenant that a passed-through credential of that SHA-256 is."""
        return "key:" + hmac.digest(self._secret, digest, "sha256").hex()

    def _derive(self, credential: str) -> Caller:
        digest = hashlib.sha256(credential.encode())
        if self._by_digest is None:
            return Caller(
                self.tenant_of(digest.digest()), "pass-through", self._features, credential, digest.digest()
            )
        known = self._by_digest.get(digest.hexdigest())
        if known is None:
            raise Refusal(
                401, "invalid_api_key", "No tenant has this key; ask the gateway's operator for one."
            )
        return _caller(known, digest.digest())

    def _learn(self) -> None:
        """Which digest is whose; what was remembered of credentials may have changed."""
        self._memo: dict[str, Caller] = {}
        tenants = self._tenants
        if tenants is None:
            self._by_digest = None
            return
        issued = {digest: tenants[name] for digest, name in self._issued.items() if name in tenants}
        given = {digest: tenant for tenant in tenants.values() for digest in tenant.key_digests}
        self._by_digest = issued | given


def _caller(tenant: Tenant, identity: bytes) -> Caller:
    return Caller("tenant:" + tenant.name, tenant.name, tenant.features, None, identity)


def _credential(headers: Mapping[bytes, bytes]) -> str | None:
    authorization = headers.get(b"authorization")
    if authorization is not None:
        scheme, _, value = authorization.partition(b" ")
        if scheme.lower() == b"bearer" and value.strip():
            return value.strip().decode("latin-1")
    for name in CREDENTIAL_HEADERS[1:]:
        if headers.get(name):
            return headers[name].decode("latin-1")
    return None

"""Who asks, and whose data something is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from askonce.model.requests import Request

__all__ = ["Caller", "Owner"]

_CREDENTIAL: Final = "key:"
_ACCOUNT_LENGTH: Final = 16
"""`key:` and twelve hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, once authenticated.

    Attributes:
        tenant: Isolation identity; None where it can't be established (then no cache is read or written).
        label: The tenant's name in metrics and logs: bounded in number, never derived from a credential.
        features: Features that this caller may name; the first is its default.
        credential: The provider's key to pass through; None where the gateway's own key is used.
        identity: Digest of the credential: tells retries of one caller from others.
    """

    tenant: str | None
    label: str
    features: tuple[str, ...]
    credential: str | None
    identity: bytes

    @property
    def account(self) -> str:
        """Whose costs these are in the ledger: the tenant's name, or the start of a passed-through credential's hash."""
        if self.tenant is None or self.tenant == f"tenant:{self.label}":
            return self.label
        key, _, named = self.tenant.partition("/")
        return f"{key[:_ACCOUNT_LENGTH]}/{named}" if named else key[:_ACCOUNT_LENGTH]


class Owner(NamedTuple):
    """Whose data is meant: all of a tenant's, or one of its users'.

    Attributes:
        tenant: A tenant's identity. Of a credential (`key:…`) the first digits are enough; with all that are named
            under it, unless `/name` says which.
        user: The keyed hash of a user's name; None for all of the tenant's.
    """

    tenant: str
    user: bytes | None = None

    def owns(self, tenant: str | None, users: tuple[bytes, ...] = ()) -> bool:
        """Whether something of that tenant and these users is meant."""
        if tenant is None or (self.user is not None and self.user not in users):
            return False
        if not self.tenant.startswith(_CREDENTIAL):
            return tenant == self.tenant
        key, _, named = self.tenant.partition("/")
        its_key, _, its_name = tenant.partition("/")
        return its_key.startswith(key) and (not named or named == its_name)

    def pays(self, account: str) -> bool:
        """Whether an account (`Caller.account`) is that of the tenant."""
        if not self.tenant.startswith(_CREDENTIAL):
            return self.tenant == f"tenant:{account}"
        key, _, named = self.tenant.partition("/")
        its_key, _, its_name = account.partition("/")
        return its_key == key[:_ACCOUNT_LENGTH] and (not named or named == its_name)

    def asked(self, request: Request) -> bool:
        """Whether a request is meant."""
        return self.owns(request.caller.tenant, request.users)

"""A request as an administrator describes it, understood as the gateway would understand it now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from askonce.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.gateway import Gateway
    from askonce.model import Request

__all__ = ["Described", "understood"]

_FEATURE: Final = b"x-askonce-feature"


@dataclass(frozen=True, slots=True)
class Described:
    """What somebody would ask.

    Attributes:
        raw: The body.
        endpoint: Where it would be sent.
        headers: Request headers, names in lower case; with a credential they say who asks.
        tenant: Who asks, by name, where no credential says so.
        feature: The feature; "" takes that of the headers, or the tenant's first.
    """

    raw: bytes
    endpoint: Endpoint = Endpoint.CHAT
    headers: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    tenant: str = ""
    feature: str = ""


def understood(gateway: Gateway, described: Described) -> Request:
    """The request, without asking it. Raises Refusal, as its caller would get it."""
    headers = dict(described.headers)
    if described.feature:
        headers[_FEATURE] = described.feature.encode()
    identity = gateway.parts.identity
    caller = (
        identity.of_tenant(described.tenant) if described.tenant else gateway.caller(headers, tenant=None)
    )
    return gateway.understand_as(caller, described.endpoint, headers, described.raw)

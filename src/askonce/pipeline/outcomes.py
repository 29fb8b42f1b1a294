"""Which semantic hits were served lately, and to whom: what feedback can be about."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from askonce.model import Owner, Request

__all__ = ["Outcomes", "ServedHit"]

_REMEMBERED: Final = 10_000


class ServedHit:
    """One semantic hit that a caller got.

    Attributes:
        request: What was asked.
        request_id: As sent to the caller.
        entry: Key of the entry that answered.
        told: What feedback has said of it; None while nobody has.
        judged: What an audit has said of it; None while there was none.
    """

    __slots__ = ("entry", "judged", "request", "request_id", "told")

    def __init__(self, request: Request, request_id: str, entry: bytes) -> None:
        self.request = request
        self.request_id = request_id
        self.entry = entry
        self.told: bool | None = None
        self.judged: bool | None = None


class Outcomes:
    """The latest of them, each found by its tenant and its request id, or by its tenant and the entry."""

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._remembered = remembered
        self._hits: OrderedDict[tuple[str, str | bytes], ServedHit] = OrderedDict()

    def add(self, hit: ServedHit) -> None:
        """One more hit; of several under one name the last is meant."""
        tenant = hit.request.caller.tenant
        if tenant is None:
            return
        names: set[str | bytes] = {hit.request_id, hit.request.submitted_as or hit.request_id, hit.entry}
        for name in names:
            self._hits[tenant, name] = hit
            self._hits.move_to_end((tenant, name))
        while len(self._hits) > 2 * self._remembered:
            self._hits.popitem(last=False)

    def named(self, request_id: str, account: str | None) -> list[ServedHit]:
        """The hits of that request id, of one account's or of anybody's: callers may give ids of their own."""
        found = {id(hit): hit for (_, name), hit in self._hits.items() if name == request_id}
        return [hit for hit in found.values() if account in {None, hit.request.caller.account}]

    def erase(self, owner: Owner) -> None:
        """Forgets the hits of an owner's."""
        for name in [name for name, hit in self._hits.items() if owner.asked(hit.request)]:
            del self._hits[name]

    def find(self, tenant: str | None, name: str | bytes) -> ServedHit | None:
        """The hit of that request id (text) or entry (bytes), if it was this tenant's."""
        return self._hits.get((tenant, name)) if tenant is not None else None

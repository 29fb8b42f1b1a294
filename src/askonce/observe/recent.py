"""The last requests, so that an administrator may ask why they were answered as they were: in memory, bounded, nowhere else."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from askonce.model import RetainText

if TYPE_CHECKING:
    from askonce.model import Owner
    from askonce.ports import Charge, Record, UpstreamCall

__all__ = ["Recent"]

_MOST: Final = 2_000
_BYTES: Final = 16 * 2**20
_FIXED_BYTES: Final = 2_000
_PARSED: Final = 6
"""How many times its bytes a parsed body takes."""


class Recent:
    """An `Observer` that keeps what was asked, by request id; not for features that retain no text.

    Args:
        most: Requests.
        max_bytes: All of them together, an estimate from above.
    """

    def __init__(self, most: int = _MOST, max_bytes: int = _BYTES) -> None:
        self._most = most
        self._max_bytes = max_bytes
        self._records: OrderedDict[str, tuple[Record, int]] = OrderedDict()
        self._size_bytes = 0

    def find(self, request_id: str) -> Record | None:
        """What is known of a request, understood; None where it is forgotten, or never was kept."""
        found = self._records.get(request_id)
        return None if found is None else found[0]

    def erase(self, owner: Owner) -> None:
        """Forgets the requests of an owner's."""
        for identity, (record, size_bytes) in list(self._records.items()):
            if record.request is not None and owner.asked(record.request):
                del self._records[identity]
                self._size_bytes -= size_bytes

    def request(self, record: Record) -> None:
        """A request has ended."""
        request = record.request
        if request is None or request.policy.retain_text is RetainText.NONE:
            return
        size_bytes = _FIXED_BYTES + (1 + _PARSED) * len(request.ask.raw)
        before = self._records.pop(record.request_id, None)
        if before is not None:
            self._size_bytes -= before[1]
        if size_bytes > self._max_bytes:
            return
        self._records[record.request_id] = record, size_bytes
        self._size_bytes += size_bytes
        while len(self._records) > self._most or self._size_bytes > self._max_bytes:
            _, (_, gone_bytes) = self._records.popitem(last=False)
            self._size_bytes -= gone_bytes

    def charged(self, charge: Charge) -> None:
        """An upstream call is paid for: nobody's request."""

    def upstream_call(self, call: UpstreamCall) -> None:
        """An upstream call has ended: a request may have several."""

    def waited(self, upstream: str, lane: str, reason: str, wait_s: float) -> None:
        """A request has waited: why it was answered as it was is another matter."""

    def batch(self, upstream: str, size: int) -> None:
        """An upstream call is shared: no matter of a request's answer."""

    def retry(self, upstream: str, cause: str) -> None:
        """A call is sent again: no matter of a request's answer."""

    def fallback(self, upstream: str, stand_in: str, cause: str) -> None:
        """Another upstream is asked: its model tells."""

    def semantic(self, feature: str, mode: str, reason: str) -> None:
        """The semantic tier has decided: the request's outcome tells."""

    def audit(self, feature: str, source: str, verdict: str, judge: str) -> None:
        """An audit has ended: its verdict is the store's."""

    def audit_dropped(self, reason: str) -> None:
        """An audit has ended without a verdict."""

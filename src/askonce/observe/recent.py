"""The last requests, so that an administrator may ask why they were answered as they were: in memory, bounded, nowhere else."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from askonce.model import RetainText
from askonce.ports import Observer

if TYPE_CHECKING:
    from askonce.model import Owner
    from askonce.ports import Record

__all__ = ["Recent"]

_MOST: Final = 2_000
_BYTES: Final = 16 * 2**20
_FIXED_BYTES: Final = 2_000
_PARSED: Final = 6
"""How many times its bytes a parsed body takes."""


class Recent(Observer):
    """An `Observer` that keeps what was asked, by request id; not for features that retain no text.

    Args:
        most: Requests.
        max_bytes: All of them together, an estimate from above.
    """

    def __init__(self, most: int = _MOST, max_bytes: int = _BYTES) -> None:
        self._most = most
        self._max_bytes = max_bytes
        self._records: deque[tuple[Record, int]] = deque()
        self._size_bytes = 0

    def find(self, request_id: str) -> Record | None:
        """The newest request of that name, understood; None where it is forgotten, or never was kept.

        Looks at all: requests come by the thousand, this question hardly ever.
        """
        return next((one for one, _ in reversed(self._records) if one.request_id == request_id), None)

    def erase(self, owner: Owner) -> None:
        """Forgets the requests of an owner's."""
        left = [
            (one, size) for one, size in self._records if one.request is None or not owner.asked(one.request)
        ]
        self._records = deque(left)
        self._size_bytes = sum(size for _, size in left)

    def request(self, record: Record) -> None:
        """A request has ended."""
        request = record.request
        if request is None or request.policy.retain_text is RetainText.NONE:
            return
        size_bytes = _FIXED_BYTES + (1 + _PARSED) * len(request.ask.raw)
        if size_bytes > self._max_bytes:
            return
        records = self._records
        records.append((record, size_bytes))
        self._size_bytes += size_bytes
        while self._size_bytes > self._max_bytes or len(records) > self._most:
            self._size_bytes -= records.popleft()[1]

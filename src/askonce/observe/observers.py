"""Several observers as one."""

from __future__ import annotations

import asyncio
from itertools import takewhile
from time import monotonic
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Owner
    from askonce.ports import Charge, Observer, Record, UpstreamCall

__all__ = ["Observers", "Payer"]


class Payer(Protocol):
    """Told of charges."""

    def charged(self, charge: Charge) -> None:
        """An upstream call is paid for, or would have to be."""
        ...


class Observers:
    """Tells each of several observers, in order."""

    def __init__(self, observers: Sequence[Observer], payers: Sequence[Payer] = ()) -> None:
        """`payers` are told of charges alone."""
        self._observers = tuple(observers)
        self._payers = (*observers, *payers)
        self._requests = tuple(one.request for one in observers)
        self._ended: list[Record] = []
        self._erased: list[tuple[Owner, float]] = []

    def erase(self, owner: Owner) -> None:
        """Nobody is told what was asked by requests of an owner's that are under way: only that they end.

        Those that have ended are told of now, so that what the observers then forget is all that there is.
        """
        self._tell()
        self._erased.append((owner, monotonic()))

    def request(self, record: Record) -> None:
        """A request has ended: all that end in one turn of the event loop are told of together, in the next.

        One observer after the other goes through them, so that its code and counts are in the processor's caches: for
        exact hits, of which there may be dozens in a turn, that halves what telling costs.
        """
        if self._erased:
            record = self._without_erased(record)
        if not self._ended:
            asyncio.get_running_loop().call_soon(self._tell)
        self._ended.append(record)

    def _tell(self) -> None:
        ended, self._ended = self._ended, []
        for tell in self._requests:
            for record in ended:
                tell(record)

    def charged(self, charge: Charge) -> None:
        """An upstream call is paid for."""
        for one in self._payers:
            one.charged(charge)

    def upstream_call(self, call: UpstreamCall) -> None:
        """An upstream call has ended."""
        for one in self._observers:
            one.upstream_call(call)

    def waited(self, upstream: str, lane: str, reason: str, wait_s: float) -> None:
        """A request has waited for its turn."""
        for one in self._observers:
            one.waited(upstream, lane, reason, wait_s)

    def batch(self, upstream: str, size: int) -> None:
        """An upstream call has been accepted that so many requests share."""
        for one in self._observers:
            one.batch(upstream, size)

    def retry(self, upstream: str, cause: str) -> None:
        """A failed call is sent again."""
        for one in self._observers:
            one.retry(upstream, cause)

    def fallback(self, upstream: str, stand_in: str, cause: str) -> None:
        """A request goes on from one upstream to another."""
        for one in self._observers:
            one.fallback(upstream, stand_in, cause)

    def semantic(self, feature: str, mode: str, reason: str) -> None:
        """The semantic tier has decided."""
        for one in self._observers:
            one.semantic(feature, mode, reason)

    def audit(self, feature: str, source: str, verdict: str, judge: str) -> None:
        """An audit has ended."""
        for one in self._observers:
            one.audit(feature, source, verdict, judge)

    def audit_dropped(self, reason: str) -> None:
        """An audit has ended before its verdict."""
        for one in self._observers:
            one.audit_dropped(reason)

    def _without_erased(self, record: Record) -> Record:
        began, request = monotonic() - record.duration_s, record.request
        meanwhile = takewhile(lambda erased: erased[1] >= began, reversed(self._erased))
        if request is None or not any(owner.asked(request) for owner, _ in meanwhile):
            return record
        return record._replace(request=None)

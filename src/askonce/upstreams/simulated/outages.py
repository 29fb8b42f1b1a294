"""An upstream that is dead for a while, by order or by schedule."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from askonce.upstreams.simulated.failures import Severed, simulated_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OutageKind", "Outages", "PlannedOutage"]


class OutageKind(StrEnum):
    """How a dead upstream behaves."""

    REFUSE = "refuse"
    """New calls' connections end without an answer; calls under way go on."""
    RESET = "reset"
    """The same, and calls under way break off too, at their next token or at the end of their wait."""
    ERROR = "500"
    """New calls are answered with status 500."""
    HANG = "hang"
    """New calls get no answer; their connections end with the outage."""


@dataclass(frozen=True, slots=True)
class PlannedOutage:
    """An outage: how, from when (seconds after the first call) and for how long."""

    kind: OutageKind
    seconds: float
    after_s: float = 0.0

    def __post_init__(self) -> None:
        """Checks the times.

        Raises:
            ValueError: one is negative or endless.
        """
        if not all(isfinite(value) and value >= 0 for value in (self.seconds, self.after_s)):
            raise ValueError("an outage's times are at least 0 seconds, and finite")


class _Period(NamedTuple):
    kind: OutageKind
    begin: float
    end: float


class Outages:
    """Which outage there is now. Times are the event loop's."""

    def __init__(self, planned: Sequence[PlannedOutage]) -> None:
        self._planned = planned
        self._periods: list[_Period] = []
        self._begun = False
        self._ordered = asyncio.Event()

    def order(self, outage: PlannedOutage, now: float) -> None:
        """Puts an outage in place of all that there are or were planned; one of 0 seconds ends them."""
        self._begun = True
        begin = now + outage.after_s
        self._periods = [one._replace(end=min(one.end, begin)) for one in self._periods if one.begin < begin]
        self._periods.append(_Period(outage.kind, begin, begin + outage.seconds))
        self._ordered.set()
        self._ordered = asyncio.Event()

    async def meet(self) -> None:
        """What a new call meets: nothing, or the outage.

        Raises:
            UpstreamFailure: as the outage's kind has it, for `hang` once it is over.
        """
        now = asyncio.get_running_loop().time()
        if not self._begun:
            self._begun = True
            self._periods += [
                _Period(one.kind, now + one.after_s, now + one.after_s + one.seconds) for one in self._planned
            ]
        if (kind := self.now(now)) is None:
            return
        if kind is OutageKind.ERROR:
            raise simulated_failure(500, None, None, html=False, own_key=False)
        if kind is OutageKind.HANG:
            await self._end()
        raise Severed

    def now(self, now: float) -> OutageKind | None:
        """The kind of the outage that there is."""
        return None if (period := self._period(now)) is None else period.kind

    def check(self, since: float) -> None:
        """Breaks off what was under way when a `reset` began: for calls that came at `since`.

        Raises:
            UpstreamFailure: it did.
        """
        now = asyncio.get_running_loop().time()
        if any(one.kind is OutageKind.RESET and since < one.begin <= now for one in self._periods):
            raise Severed

    def _period(self, now: float) -> _Period | None:
        return next((one for one in self._periods if one.begin <= now < one.end), None)

    async def _end(self) -> None:
        """Waits until nothing hangs any more; an order may change how long that is."""
        loop = asyncio.get_running_loop()
        while (period := self._period(loop.time())) is not None and period.kind is OutageKind.HANG:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(period.end):
                    await self._ordered.wait()

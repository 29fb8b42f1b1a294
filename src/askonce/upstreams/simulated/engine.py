"""What a call costs the machine behind an upstream: a slot of it, for a while."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from askonce.upstreams.simulated.options import Simulation

__all__ = ["Engine"]


class Engine:
    """Takes so many calls at a time, in the order in which they came; each takes a fixed time and a time per item."""

    def __init__(self, simulation: Simulation) -> None:
        slots = simulation.slots
        self._free = None if slots is None else asyncio.Semaphore(slots)
        self._call_s = simulation.call_ms / 1000
        self._item_s = simulation.item_ms / 1000

    async def start(self, items: int) -> None:
        """Waits for a slot, and then for as long as a call with so many items takes. Cancelled, it holds none."""
        if self._free is not None:
            await self._free.acquire()
        try:
            if service_s := self._call_s + items * self._item_s:
                await asyncio.sleep(service_s)
        except BaseException:
            self.finish()
            raise

    def finish(self) -> None:
        """Gives the slot back, once the answer has been generated or broken off."""
        if self._free is not None:
            self._free.release()

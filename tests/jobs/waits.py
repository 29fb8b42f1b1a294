"""What tests wait for on virtual time, and what a provider says of a line that it hasn't answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from askonce.job import Job
    from jobs.players import Players

ACME = "tenant:acme"


async def job(players: Players, name: str) -> Job:
    found = await players.jobs.find(ACME, name)
    assert found is not None
    return found


async def until_batches(players: Players, count: int) -> list[str]:
    for _ in range(1_000):
        if len(players.api.batches) >= count:
            return list(players.api.batches)
        await asyncio.sleep(0.1)
    raise AssertionError(f"never: {count} batches")


async def until_ended(players: Players, *names: str) -> list[Job]:
    for _ in range(20_000):
        found = [await job(players, name) for name in names]
        if all(one.state.ended for one in found):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError("never: all jobs ended")


def expired() -> dict[str, Any]:
    return {"response": None, "error": {"code": "batch_expired", "message": "Too late."}}

"""Where an upstream's calls leave: its lines, and how many of them are kept."""

from __future__ import annotations

import asyncio

from askonce.sending.limits import Limits
from askonce.sending.line import Line
from askonce.sending.outlet import Outlet
from sending.engine import ticket
from sending.limiters import CALL, FixedWindow, LimitedUpstream
from virtual_time import virtual_time


@virtual_time
async def test_models_that_callers_make_up_take_no_lasting_memory_and_nothing_from_others() -> None:
    """Lines are bounded in number; one that is in use or was used lately outlasts any number of others."""
    upstream = LimitedUpstream(FixedWindow(1_000, 1.0))
    outlet = Outlet("limited", lambda model: Line(upstream, model, Limits()))
    busy, real = outlet.line("busy"), outlet.line("real")
    under_way = asyncio.create_task(busy.open(CALL, ticket()))
    await asyncio.sleep(0)
    for number in range(3_000):
        outlet.line(f"model-{number}")
        if number % 100 == 0:
            assert outlet.line("real") is real
    assert outlet.line("busy") is busy
    assert len(list(outlet.lines())) <= 256
    await (await under_way).aclose()

"""One call on its way, and what the breakers hear of it."""

from __future__ import annotations

import asyncio

from askonce.errors import Sharing, UpstreamFailure
from askonce.pipeline.leg import Leg
from askonce.sending.breaker import BreakerRules, Breakers, BreakerState
from fakes import FakeObserver, billing, request
from virtual_time import virtual_time

FAILED = UpstreamFailure(500, "server_error", "No.", sharing=Sharing.TRANSIENT)


@virtual_time
async def test_a_probe_that_shared_a_failed_call_has_failed() -> None:
    """Of a batch one call is counted; where another one is the probe, its failure keeps the breaker open all the same."""
    breakers = Breakers(BreakerRules(failures=1, probe_interval_s=5))
    asked = request()
    loop = asyncio.get_running_loop()
    bills = billing(FakeObserver())
    first = Leg(asked, breakers, loop.time(), bills.open(asked, lambda _: ()))
    first.failed(FAILED)
    first.end()
    await asyncio.sleep(5)
    probe = Leg(asked, breakers, loop.time(), bills.open(asked, lambda _: ()))
    probe.counts = False
    probe.failed(FAILED)
    probe.end()
    model = asked.ask.route.model
    assert dict(breakers.models())[model].state is BreakerState.OPEN
    assert breakers.wait_s(model, loop.time()) == 5

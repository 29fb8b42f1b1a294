"""What limits cost a request: an exact hit without any, with limits that don't count it, and with such that do.

One process, one thread, the same request against three gateways in turn, many rounds. The quickest round of each counts:
whatever else the machine does only adds.

    python bench/limits.py [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
from time import perf_counter
from typing import TYPE_CHECKING

from askonce.config import loads
from askonce.model import Endpoint
from askonce.wiring import open_gateway

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.gateway import Gateway
    from askonce.model import Request

BODY = b'{"model": "sim-small", "messages": [{"role": "user", "content": "What do limits cost?"}]}'
HEADERS = {b"authorization": b"Bearer sk-bench"}
ASKS = 500
LIMITS = "requests_per_minute: 1000000000, tokens_per_minute: 1000000000, usd_per_day: 1000000"
CASES = {
    "no limits": "{}",
    "limits, hits free": f"{{limits: {{{LIMITS}}}}}",
    "limits, hits counted": f"{{limits: {{{LIMITS}, count_hits: on}}}}",
}


def settings(default_tenant: str) -> str:
    """A gateway without tenants, whose credentials have these limits."""
    return f"""
upstreams: [{{type: simulated, ttft_ms: 0, tokens_per_second: 1000000}}]
defaults: {{semantic: "off"}}
default_tenant: {default_tenant}
"""


def hits(gateway: Gateway, request: Request) -> float:
    """Seconds that one exact hit takes in the gateway."""
    began = perf_counter()
    for _ in range(ASKS):
        reply = gateway.answer(request)
        gateway.served(reply, "r")
        reply.leave()
    return (perf_counter() - began) / ASKS


def admissions(gateway: Gateway, request: Request) -> float:
    """Seconds that counting, reserving and giving back takes for a request that isn't stored."""
    allowances = gateway.parts.allowances
    began = perf_counter()
    for _ in range(ASKS):
        allotment = allowances.admit(request)
        if allotment is not None:
            allotment.release()
    return (perf_counter() - began) / ASKS


async def run(rounds: int) -> None:
    """Measures and prints."""
    opened = {name: await open_gateway(loads(settings(text), "bench", {})) for name, text in CASES.items()}
    asked: dict[str, Request] = {}
    for name, running in opened.items():
        asked[name] = running.gateway.understand(Endpoint.CHAT, HEADERS, BODY)
        reply = running.gateway.answer(asked[name])
        await reply.start()
        reply.leave()
    gc.disable()
    for title, measure in (("an exact hit", hits), ("admission of a miss", admissions)):
        took = await _rounds(lambda name, measure=measure: measure(opened[name].gateway, asked[name]), rounds)  # type: ignore[misc]
        base = took["no limits"]
        print(f"{title}:")
        for name, seconds in took.items():
            print(f"  {name:22} {seconds * 1e6:7.3f} µs  {(seconds - base) * 1e6:+7.3f} µs")
    gc.enable()
    for running in opened.values():
        await running.close()


async def _rounds(measure: Callable[[str], float], rounds: int) -> dict[str, float]:
    """The quickest round of each case, the cases in turn."""
    took: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, seconds in took.items():
            seconds.append(measure(name))
        await asyncio.sleep(0)
    return {name: min(seconds) for name, seconds in took.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    asyncio.run(run(parser.parse_args().rounds))

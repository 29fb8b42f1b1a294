"""Measures batching: what it costs when idle, what it does under load, what it saves upstream.

    python bench/batching.py [idle] [rates] [burst] [width] [--json FILE]

`idle` and `burst` run real processes on loopback: a gateway on core 0 before a simulated provider that works on one call
at a time and takes 10 ms and 1 ms for each text; the load is on core 1. `rates` and `width` run in this process: the same
arrivals (Poisson) go to each way of batching, one after another in turn, each before an engine of its own that takes the
same times. What is compared runs in one go; numbers are medians over rounds, or means over requests where that is said.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from askonce.model import Call, Endpoint, Lane
from askonce.sending.batches.lists import EMBEDDINGS
from askonce.sending.batches.pile import Load
from askonce.sending.batches.rules import BatchingRules
from askonce.sending.limits import Limits
from askonce.sending.line import Line
from askonce.sending.ticket import Ticket
from askonce.sending.whole import WholeReply
from processes import Process, gateway, simulator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from askonce.model import Json
    from askonce.sending.batches.form import Part

FIXED_S, PER_ITEM_S = 0.010, 0.001
RATES = (5, 20, 50, 100, 300, 600)
WINDOWS_MS = (5, 10, 20, 50)
MOST = Load(items=64, tokens=100_000, size_bytes=2**20)
OFF = 'defaults: {semantic: "off", exact: "off"}\n'


@dataclass
class Engine:
    """Takes 10 ms for a call and 1 ms for each text in it; `serial`: one call after another."""

    serial: bool = True
    fixed_s: float = FIXED_S
    calls: int = 0
    name: str = "engine"
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def open(self, call: Call) -> WholeReply:
        """Embeds every text as the same vector."""
        self.calls += 1
        count = call.body.count(b'"text')
        async with self._turn if self.serial else contextlib.nullcontext():
            await asyncio.sleep(self.fixed_s + PER_ITEM_S * count)
        data = b",".join(b'{"index":%d,"embedding":[0.5]}' % at for at in range(count))
        usage = b'{"prompt_tokens":%d,"total_tokens":%d}' % (count, count)
        return WholeReply(b'{"object":"list","data":[' + data + b'],"usage":' + usage + b"}")

    async def models(self, credential: str | None) -> list[Json]:  # noqa: ARG002 - the port's shape
        """None."""
        return []

    async def close(self) -> None:
        """Holds nothing."""


class Way(Protocol):
    """A way of batching."""

    async def ask(self, call: Call) -> None:
        """One request, start to end."""
        ...


class GroupCommit:
    """askonce's own line."""

    def __init__(self, engine: Engine, in_flight: int = 4) -> None:
        rules = BatchingRules(forms={Endpoint.EMBEDDINGS: EMBEDDINGS}, most=MOST, in_flight=in_flight)
        self._line = Line(engine, "m", Limits(), batching=rules)

    async def ask(self, call: Call) -> None:
        """One request, start to end."""
        ticket = Ticket("tenant", Lane.INTERACTIVE, 10, asyncio.get_running_loop().time() + 60)
        passage = await self._line.open(call, ticket)
        await passage.reply.body()
        await passage.aclose()


class Window:
    """The usual way: the first request opens a window, and what has come by its end goes together."""

    def __init__(self, engine: Engine, window_s: float) -> None:
        self._engine = engine
        self._window_s = window_s
        self._parts: list[tuple[Part, asyncio.Future[bytes]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, call: Call) -> None:
        """One request, start to end."""
        part = EMBEDDINGS.read(call)
        assert part is not None
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._parts.append((part, answer))
        if len(self._parts) == MOST.items:
            self._close()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._window_s, self._close)
        await answer

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        parts, self._parts = self._parts, []
        task = asyncio.create_task(self._send(parts))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, parts: list[tuple[Part, asyncio.Future[bytes]]]) -> None:
        reply = await self._engine.open(EMBEDDINGS.join([part for part, _ in parts]))
        for (_, answer), body in zip(
            parts, EMBEDDINGS.split(await reply.body(), [part for part, _ in parts]), strict=True
        ):
            answer.set_result(body)


async def offered(way: Way, rate: float, seconds: float, seed: int) -> list[float]:
    """Latencies in ms of requests that come at random times, whatever becomes of those before."""
    dice = random.Random(seed)  # noqa: S311 - arrivals, not secrets
    loop, latencies = asyncio.get_running_loop(), []

    async def one(number: int) -> None:
        began = time.perf_counter()
        await way.ask(embedding(f"text {seed} {number}"))
        latencies.append((time.perf_counter() - began) * 1000)

    began, due = loop.time(), 0.0
    tasks: list[asyncio.Task[None]] = []
    while (due := due + dice.expovariate(rate)) < seconds:
        await asyncio.sleep(began + due - loop.time())
        tasks.append(asyncio.create_task(one(len(tasks))))
    await asyncio.gather(*tasks)
    return latencies


def embedding(text: str) -> Call:
    """A request for one text's vector."""
    return Call(Endpoint.EMBEDDINGS, "m", b'{"model":"m","input":"%s"}' % text.encode(), stream=False)


async def compared(ways: dict[str, Way], rate: float, seconds: float, rounds: int) -> dict[str, float]:
    """Mean latency in ms of each way, all rounds together; each round gives every way the same arrivals in turn."""
    latencies: dict[str, list[float]] = {name: [] for name in ways}
    order = list(ways)
    for seed in range(rounds):
        for name in order:
            latencies[name] += await offered(ways[name], rate, seconds, seed)
        order = [*order[1:], order[0]]
    return {name: round(statistics.fmean(all_of), 2) for name, all_of in latencies.items()}


async def at_once(ways: dict[str, Way], rate: float, seconds: float) -> dict[str, float]:
    """The same for low rates: all ways at the same time, each with the same arrivals."""
    latencies = await asyncio.gather(*(offered(way, rate, seconds, 0) for way in ways.values()))
    return {name: round(statistics.fmean(all_of), 2) for name, all_of in zip(ways, latencies, strict=True)}


def ways() -> dict[str, Way]:
    """Group commit and the windows, each with an engine of its own."""
    windows = {f"window_{window}_ms": Window(Engine(), window / 1000) for window in WINDOWS_MS}
    return {"group_commit": GroupCommit(Engine()), **windows}


async def rates() -> dict[str, Any]:
    """Mean latency at six rates: group commit against the best of the windows at each."""
    low = [rate for rate in RATES if rate <= 50]
    found = dict(zip(low, await asyncio.gather(*(at_once(ways(), rate, 20) for rate in low)), strict=True))
    for rate in RATES[len(low) :]:
        found[rate] = await compared(ways(), rate, 1.5, 2)
    return {
        str(rate): {
            **means,
            "to_best_window": round(
                means["group_commit"] / min(mean for name, mean in means.items() if name != "group_commit"), 3
            ),
        }
        for rate, means in found.items()
    }


async def width() -> dict[str, Any]:
    """Mean latency in ms with the width that is found against one batch at a time, on two kinds of upstream."""
    result = {}
    for name, serial, fixed_s, rate in (
        ("one_at_a_time", True, FIXED_S, 300),
        ("side_by_side", False, 0.2, 20),
    ):
        chosen = {
            "found": GroupCommit(Engine(serial, fixed_s)),
            "one": GroupCommit(Engine(serial, fixed_s), in_flight=1),
        }
        result[name] = await at_once(dict(chosen), rate, 12)
    return result


@contextlib.contextmanager
def pair() -> Iterator[tuple[Process, Process, Process]]:
    """A provider, a gateway before it that batches, and one that doesn't."""
    times = ("--slots", "1", "--call-ms", "10", "--item-ms", "1", "--ttft", "0", "--tps", "1000000")
    with simulator(*times) as upstream:
        batching = gateway(upstream.base_url, OFF, store="memory")
        single = gateway(upstream.base_url, OFF, store="memory", settings=", batching: {max_items: 1}")
        with batching as on, single as without:
            yield upstream, on, without


def post(root: str, text: str, headers: dict[str, str] | None = None) -> None:
    """One embedding over HTTP."""
    request = urllib.request.Request(
        f"{root}/v1/embeddings",
        json.dumps({"model": "m", "input": text}).encode(),
        {"Content-Type": "application/json", "Authorization": "Bearer sk-bench", **(headers or {})},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        response.read()


def idle(rounds: int = 160) -> dict[str, Any]:
    """Median ms of one request at a time: without batching, with it, and with a window of 50 ms."""
    took: dict[str, list[float]] = {"unbatched": [], "batched": [], "window_50_ms": []}
    with pair() as (_, on, without):
        asks: dict[str, Callable[[str], None]] = {
            "unbatched": lambda text: post(without.root, text),
            "batched": lambda text: post(on.root, text),
            "window_50_ms": lambda text: post(on.root, text, {"X-Askonce-Lane": "relaxed"}),
        }
        order = list(asks)
        for number in range(rounds):
            for name in order:
                began = time.perf_counter()
                asks[name](f"idle {name} {number}")
                if number >= 10:
                    took[name].append((time.perf_counter() - began) * 1000)
            order = [*order[1:], order[0]]
    medians = {name: round(statistics.median(times), 3) for name, times in took.items()}
    return {**medians, "added_ms": round(medians["batched"] - medians["unbatched"], 3)}


async def flood(port: int, count: int, at_a_time: int, label: str) -> float:
    """Seconds for so many embeddings over so many connections."""
    left = iter(range(count))

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in left:
            body = b'{"model":"m","input":"%s %d"}' % (label.encode(), number)
            writer.write(
                b"POST /v1/embeddings HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer sk-bench\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in head.split(b"\r\n", 1)[0], head
            length = next(
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(at_a_time)))
    return time.perf_counter() - began


def calls(upstream: Process) -> int:
    """Calls that the provider has seen."""
    with urllib.request.urlopen(upstream.root + "/stats", timeout=5) as response:
        return int(json.load(response)["calls"])


def burst(rounds: int = 2) -> dict[str, Any]:
    """1,000 single inputs at concurrency 100: upstream calls and throughput, with and without batching."""
    results: dict[str, list[tuple[float, int]]] = {"batched": [], "unbatched": []}
    with pair() as (upstream, on, without):
        for at in range(rounds):
            for name, server in (("batched", on), ("unbatched", without)):
                before = calls(upstream)
                seconds = asyncio.run(flood(server.port, 1_000, 100, f"{name} {at}"))
                results[name].append((seconds, calls(upstream) - before))
    medians = {name: statistics.median(took for took, _ in runs) for name, runs in results.items()}
    counts = {name: statistics.median(count for _, count in runs) for name, runs in results.items()}
    return {
        "requests_per_s": {name: round(1_000 / took, 1) for name, took in medians.items()},
        "upstream_calls": counts,
        "fewer_calls": round(counts["unbatched"] / counts["batched"], 1),
        "throughput_ratio": round(medians["unbatched"] / medians["batched"], 1),
    }


def main() -> None:
    """Runs what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", help="idle, rates, burst, width; none: all")
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    arguments = parser.parse_args()
    asynchronous: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {"rates": rates, "width": width}
    result: dict[str, Any] = {}
    for name in arguments.what or ("idle", "burst", "rates", "width"):
        if name in asynchronous:
            result[name] = asyncio.run(asynchronous[name]())  # type: ignore[arg-type]
        else:
            result[name] = {"idle": idle, "burst": burst}[name]()
        print(json.dumps({name: result[name]}, indent=2), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Measures the gateway: coalescing, leaders that leave, exact hits, misses, memory.

    python bench/gateway.py [coalesce] [leavers] [hits] [misses] [memory] [--json FILE]

Everything runs on loopback against the simulated provider. Where two systems are compared they run in one go,
interleaved, each server on core 0 and the load on core 1; numbers are medians. Needs two cores and `wrk`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from processes import Process, gateway, python, simulator

HERE = Path(__file__).parent
OFF = 'defaults: {semantic: "off"}\n'


def chat(question: str, *, stream: bool, ttft_ms: float, tokens: int = 60) -> bytes:
    """A request with its own fate in `x_simulate`."""
    return json.dumps(
        {
            "model": "sim-small",
            "messages": [{"role": "user", "content": question}],
            "stream": stream,
            "x_simulate": {"ttft_ms": ttft_ms, "tokens": tokens},
        }
    ).encode()


async def ask(port: int, body: bytes, leave_after_s: float | None = None) -> tuple[float, bytes]:
    """Seconds to the first byte of the answer's body (of its headers' end), and the raw response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer sk-bench\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    began = time.perf_counter()
    try:
        if leave_after_s is not None:
            await asyncio.sleep(leave_after_s)
            return 0.0, b""
        head = await reader.readuntil(b"\r\n\r\n")
        first_s = time.perf_counter() - began
        return first_s, head + await reader.read(-1)
    finally:
        writer.close()


def content(response: bytes) -> str:
    """The text of a plain or streamed answer."""
    text = ""
    for line in response.replace(b"\r\n", b"\n").split(b"\n"):
        raw = line.removeprefix(b"data: ")
        if raw.startswith(b"{"):
            parts = (choice.get("delta", choice.get("message")) for choice in json.loads(raw)["choices"])
            text += "".join(part.get("content") or "" for part in parts)
    return text


def stats(server: Process) -> dict[str, Any]:
    """The simulated provider's books."""
    with urllib.request.urlopen(server.root + "/stats", timeout=5) as response:
        counted: dict[str, Any] = json.load(response)
        return counted


def coalesce(rounds: int = 15) -> dict[str, Any]:
    """50 concurrent identical requests, upstream 500 ms to the first token."""
    result: dict[str, Any] = {}
    with simulator("--tps", "400") as upstream, gateway(upstream.base_url, OFF) as server:
        for stream in (False, True):
            calls, added_ms, identical = [], [], True
            for number in range(rounds):
                before = stats(upstream)["calls"]
                body = chat(f"burst {stream} {number}", stream=stream, ttft_ms=500)
                answers = asyncio.run(_burst(server.port, body))
                calls.append(stats(upstream)["calls"] - before)
                leader = next(first for first, raw in answers if b"x-askonce-outcome: fresh" in raw)
                added_ms += [(first - leader) * 1000 for first, raw in answers if b"outcome: joined" in raw]
                complete = all(b"[DONE]" in raw for _, raw in answers) if stream else True
                identical = identical and complete and len({content(raw) for _, raw in answers}) == 1
            result["streamed" if stream else "plain"] = {
                "upstream_calls_per_burst": max(calls),
                "all_complete_and_identical": identical,
                "joiners_added_first_byte_ms_median": round(statistics.median(added_ms), 2),
                "joiners_added_first_byte_ms_p95": round(statistics.quantiles(added_ms, n=20)[-1], 2),
            }
    return result


async def _burst(port: int, body: bytes) -> list[tuple[float, bytes]]:
    return await asyncio.gather(*(ask(port, body) for _ in range(50)))


def leavers(trials: int = 60) -> dict[str, Any]:
    """A leader that disconnects at some moment between its request and the answer's end, with five followers."""
    with simulator("--tps", "400") as upstream, gateway(upstream.base_url, OFF) as server:
        before = stats(upstream)["calls"]
        whole = asyncio.run(_leavers(server.port, trials))
        calls = stats(upstream)["calls"] - before
    return {
        "trials": trials,
        "followers": trials * 5,
        "followers_served_whole": whole,
        "upstream_calls": calls,
    }


async def _leavers(port: int, trials: int) -> int:
    async def trial(number: int) -> int:
        body = chat(f"leaver {number}", stream=number % 2 == 0, ttft_ms=200, tokens=80)
        leader = asyncio.ensure_future(ask(port, body, leave_after_s=0.01 + 0.4 * number / trials))
        await asyncio.sleep(0.005)
        answers = await asyncio.gather(*(ask(port, body) for _ in range(5)))
        await leader
        texts = {content(raw) for _, raw in answers}
        return 5 if len(texts) == 1 and len(texts.pop().split()) > 20 else 0

    served = 0
    for start in range(0, trials, 10):
        served += sum(
            await asyncio.gather(*(trial(number) for number in range(start, min(trials, start + 10))))
        )
    return served


def wrk(port: int, seconds: float, connections: int, *script: str) -> dict[str, float]:
    """Requests per second and latencies of wrk on core 1."""
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    command += ["-s", str(HERE / "requests.lua"), f"http://127.0.0.1:{port}", "--", *script]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    total = re.search(r"(\d+) requests in", out)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    p50 = re.search(r"50%\s+([\d.]+)(us|ms|s)", out)
    if not (total and rate and p50) or bad:
        raise RuntimeError(out)
    scale = {"us": 0.001, "ms": 1.0, "s": 1000.0}[p50[2]]
    return {"rate": float(rate[1]), "requests": float(total[1]), "p50_ms": float(p50[1]) * scale}


def hits(rounds: int = 10, seconds: float = 2) -> dict[str, Any]:
    """Exact hits beside uvicorn with a constant body: with 1,000 stored questions, and with 20,000.

    The gateway remembers what it understood of the last 1,024 small bodies; 20,000 in turn are always beyond that.
    """
    with (
        simulator() as upstream,
        gateway(upstream.base_url, OFF) as server,
        python(str(HERE / "constant_asgi.py"), core=0) as constant,
    ):
        kinds = {"constant": (constant, "1000"), "hot": (server, "1000"), "wide": (server, "20000")}
        while (before := stats(upstream)["calls"]) < 20_000:
            wrk(server.port, 10, 64, "20000", "hit")
        rates: dict[str, list[float]] = {name: [] for name in kinds}
        cpu_us: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(rounds):
            for name, (one, distinct) in kinds.items():
                cpu_s = one.cpu_s
                load = wrk(one.port, seconds, 64, distinct, "hit")
                rates[name].append(load["rate"])
                cpu_us[name].append((one.cpu_s - cpu_s) / load["requests"] * 1e6)
        alone = wrk(server.port, seconds, 1, "1000", "hit")
        asked = stats(upstream)["calls"] - before
    return {
        "per_s": {name: round(statistics.median(values)) for name, values in rates.items()},
        "cpu_us": {name: round(statistics.median(values), 1) for name, values in cpu_us.items()},
        "ratio": {name: round(_median_ratio(rates[name], rates["constant"]), 3) for name in ("hot", "wide")},
        "cpu_ratio": {
            name: round(_median_ratio(cpu_us["constant"], cpu_us[name]), 3) for name in ("hot", "wide")
        },
        "p50_ms_one_connection": round(alone["p50_ms"], 3),
        "upstream_calls_meanwhile": asked,
    }


def _median_ratio(above: list[float], below: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def misses(rounds: int = 3, seconds: float = 5) -> dict[str, Any]:
    """CPU of the gateway's process per request that goes upstream (plain), by store and semantic mode."""
    kinds = {
        "memory store": ("memory", OFF),
        "sqlite store": ("sqlite", OFF),
        "sqlite store, semantic shadow": ("sqlite", ""),
    }
    result: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(rounds):
        for kind, (store, extra) in kinds.items():
            with simulator() as upstream, gateway(upstream.base_url, extra, store=store) as server:
                if not extra:
                    time.sleep(4)
                wrk(server.port, 1, 16, "0", "warm")
                cpu_s = server.cpu_s
                load = wrk(server.port, seconds, 16, "0", f"miss {number}")
                result[kind].append((server.cpu_s - cpu_s) / load["requests"] * 1000)
    return {
        f"{kind}: cpu_ms_per_miss": round(statistics.median(values), 3) for kind, values in result.items()
    }


def memory(requests: int = 200_000) -> dict[str, Any]:
    """Resident memory after so many distinct requests with a budget of 256 MiB (the default)."""
    result: dict[str, Any] = {}
    for kind, extra in {"semantic off": OFF, "semantic shadow (the default)": ""}.items():
        with simulator() as upstream, gateway(upstream.base_url, extra) as server:
            time.sleep(4)
            start = server.resident_bytes
            sent = 0.0
            while sent < requests:
                sent += wrk(server.port, 10, 16, "0", f"memory {sent}")["requests"]
            health = urllib.request.urlopen(server.root + "/healthz", timeout=5)
            told = json.load(health)
            result[kind] = {
                "distinct_requests": int(sent),
                "resident_mib_at_start": start >> 20,
                "resident_mib_after": server.resident_bytes >> 20,
                "store": told["store"],
                "semantic": told["semantic"],
            }
    return result


BENCHES = {"coalesce": coalesce, "leavers": leavers, "hits": hits, "misses": misses, "memory": memory}


def main() -> None:
    """Runs the named benchmarks, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []], help="which; all if not given")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    results = {}
    for name in options.names or BENCHES:
        results[name] = BENCHES[name]()
        print(name, json.dumps(results[name], indent=2), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()

"""Measures the dashboard: what it costs the gateway, and how soon the page answers a click while the gateway works.

    python bench/dashboard.py [hot] [history] [interaction] [viewers] [--rate 500] [--json FILE]

`hot`: what counting a request takes, beside what the metrics take. `history`: a month at 2 million requests a day, read
as the page does. `interaction`: clicks in headless Chromium while so many requests a second run; the browser's own
Event Timing (input to next paint), and frames after a handler. `viewers`: exact hits with five viewers and without,
interleaved. Everything on loopback; needs Chromium, and `wrk` for `viewers`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import timeit
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dashboard_books
from askonce.model import Exact, Usage
from askonce.observe.clock import SystemClock
from askonce.observe.live import Live
from askonce.observe.live_history import History
from askonce.observe.metrics import Metrics
from askonce.ports import Record
from askonce.stores.ledger import SqliteLedger
from gateway import wrk
from processes import Process, gateway, python, simulator

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "ak-admin-of-benchmarks"
ADMIN = f'defaults: {{semantic: "off", retain_text: full}}\nadmin: {{keys: ["sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"]}}\n'
TENANTS, MODELS = [f"tenant-{n}" for n in range(5)], ["gpt-4o-mini", "gpt-4o", "o3"]
FEATURES = [f"feature-{n}" for n in range(10)]
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
WATCH = """() => {
  window.seen = []; window.frames = [];
  new PerformanceObserver((list) => { for (const one of list.getEntries()) if (one.interactionId) window.seen.push([one.interactionId, one.duration]); })
    .observe({ type: "event", durationThreshold: 16, buffered: false });
  addEventListener("click", () => { const began = performance.now(); requestAnimationFrame(() => { const port = new MessageChannel(); port.port1.onmessage = () => window.frames.push(performance.now() - began); port.port2.postMessage(0); }); }, true);
}"""


def hot(count: int = 200_000) -> dict[str, Any]:
    """Nanoseconds a request, the least of several rounds, interleaved."""
    live, metrics = Live(SystemClock()), Metrics(log_requests=False)
    record = Record(
        "r",
        "chat/completions",
        "a",
        "f",
        "m",
        Exact(b"e", 1, 2),
        200,
        "",
        0.0002,
        0.0002,
        0.0,
        Usage(9, 9),
        0,
        7,
    )
    jobs = {
        "live": lambda: live.request(record),
        "metrics": lambda: metrics.request(record),
        "nothing": lambda: None,
    }
    least = dict.fromkeys(jobs, float("inf"))
    for _ in range(7):
        for name, job in jobs.items():
            least[name] = min(least[name], timeit.timeit(job, number=count) / count * 1e9)
    return {"live_ns": least["live"] - least["nothing"], "metrics_ns": least["metrics"] - least["nothing"]}


def history() -> dict[str, Any]:
    """A month of 2 million requests a day: rows, the first look at it, and later ones."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "books.db"
        rows = dashboard_books.fill(path, TENANTS, FEATURES, MODELS, 2_000_000)
        return {"rows": rows, "file_mib": path.stat().st_size / 2**20, **asyncio.run(_looks(path))}


async def _looks(path: Path) -> dict[str, Any]:
    clock = SystemClock()
    ledger = SqliteLedger(path, clock)
    await ledger.start(b"secret")
    seen, took = History(ledger, clock), []
    for _ in range(30):
        began = time.perf_counter()
        await seen.refresh()
        took.append(time.perf_counter() - began)
    await ledger.close()
    requests = sum(sum(period.outcomes().values()) for _, period in seen.days)
    return {
        "requests": requests,
        "first_s": took[0],
        "later_ms_p50": statistics.median(took[1:]) * 1e3,
        "later_ms_max": max(took[1:]) * 1e3,
    }


async def load(port: int, rate: float, seconds: float) -> None:
    """Asks at a constant rate, 8 % of it new questions; prints what was reached."""
    connections: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(64):
        connections.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    done = 0

    async def one(number: int) -> None:
        nonlocal done
        question = f"new {number}" if number % 12 == 0 else f"old {number % 300}"
        body = json.dumps(
            {"model": "sim-small", "messages": [{"role": "user", "content": question}]}
        ).encode()
        reader, writer = await connections.get()
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer sk-b\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        await reader.readexactly(length)
        connections.put_nowait((reader, writer))
        done += 1

    began, sent = time.monotonic(), 0
    async with asyncio.TaskGroup() as group:
        while (elapsed := time.monotonic() - began) < seconds:
            while sent < rate * elapsed:
                group.create_task(one(sent))
                sent += 1
            await asyncio.sleep(0.005)
    print(json.dumps({"asked_per_s": sent / seconds, "answered_per_s": done / (time.monotonic() - began)}))


def interaction(rate: float, clicks: int = 60) -> dict[str, Any]:
    """Milliseconds from a click to the next paint, with a month of books on the page."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        dashboard_books.fill(Path(folder) / "askonce.ledger.db", TENANTS, FEATURES, MODELS, 2_000_000)
        config = Path(folder) / "askonce.yaml"
        config.write_text(
            f"listen: 127.0.0.1:0\nstore: sqlite://{folder}/askonce.db\nlog: {{level: error}}\n{ADMIN}"
            "upstreams: [{type: simulated, ttft_ms: 300, tokens_per_second: 60}]\n"
        )
        server = stack.enter_context(python("-m", "askonce", "serve", "-c", str(config), core=0))
        seconds = clicks * 0.35 + 20
        loading = subprocess.Popen(
            [sys.executable, __file__, "--load", f"{server.port} {rate} {seconds}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        clicked = _click(server, clicks)
        cpu_s = server.cpu_s
        out, _ = loading.communicate()
        return {**json.loads(out), **clicked, "gateway_cpu_s": cpu_s}


def _click(server: Process, clicks: int) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - for this measurement alone

    path = os.environ.get("ASKONCE_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS.split())
        page = browser.new_page(viewport={"width": 1440, "height": 1400})
        page.goto(f"{server.root}/login#{KEY}")
        page.wait_for_selector("#features tbody tr")
        page.wait_for_timeout(8_000)
        page.evaluate(WATCH)
        ranges, headings = page.locator("#ranges label"), page.locator("#features thead button")
        for number in range(clicks):
            one = ranges.nth(number % 3) if number % 2 else headings.nth(number // 2 % headings.count())
            one.click()
            page.wait_for_timeout(250)
        seen, frames = page.evaluate("[window.seen, window.frames]")
        browser.close()
    longest: dict[int, float] = {}
    for number, duration in seen:
        longest[number] = max(longest.get(number, 0), duration)
    # What took under 16 ms isn't reported by Event Timing; it is counted as 16.
    durations = sorted([*longest.values(), *[16.0] * max(0, clicks - len(longest))])
    return {
        "clicks": clicks,
        "input_to_paint_ms": _spread(durations),
        "click_to_frame_ms": _spread(sorted(frames)),
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "p50": statistics.median(values),
        "p95": values[min(len(values) - 1, int(0.95 * len(values)))],
        "max": values[-1],
    }


def viewers(rounds: int = 10, seconds: float = 2, count: int = 5) -> dict[str, Any]:
    """Exact hits a second with and without viewers, interleaved."""
    with simulator() as upstream, gateway(upstream.base_url, ADMIN) as server:
        wrk(server.port, 3, 64, "1000", "hit")
        rates: dict[str, list[float]] = {"alone": [], "watched": []}
        cpu_us: dict[str, list[float]] = {"alone": [], "watched": []}
        for number in range(2 * rounds):
            name = "watched" if number % 2 else "alone"
            stop = threading.Event()
            watching = [
                threading.Thread(target=_watch, args=(server.port, stop))
                for _ in range(count if number % 2 else 0)
            ]
            for thread in watching:
                thread.start()
            time.sleep(1.2)
            cpu_s = server.cpu_s
            done = wrk(server.port, seconds, 64, "1000", "hit")
            cpu_us[name].append((server.cpu_s - cpu_s) / done["requests"] * 1e6)
            rates[name].append(done["rate"])
            stop.set()
            for thread in watching:
                thread.join()
        medians = {name: statistics.median(values) for name, values in rates.items()}
        costs = {name: statistics.median(values) for name, values in cpu_us.items()}
        return {
            "hits_per_s": medians,
            "ratio": medians["watched"] / medians["alone"],
            "cpu_us_a_hit": costs,
            "cpu_ratio": costs["watched"] / costs["alone"],
        }


def _watch(port: int, stop: threading.Event) -> None:
    """A viewer that reads all it is sent."""
    import socket  # noqa: PLC0415 - for this measurement alone

    with socket.create_connection(("127.0.0.1", port)) as line:
        line.settimeout(0.2)
        line.sendall(f"GET /admin/live HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
        while not stop.is_set():
            try:
                line.recv(65_536)
            except TimeoutError:
                continue


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", default=["hot", "history", "interaction", "viewers"])
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--load", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        port, rate, seconds = options.load.split()
        asyncio.run(load(int(port), float(rate), float(seconds)))
        return
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "hot": hot,
        "history": history,
        "interaction": lambda: interaction(options.rate),
        "viewers": viewers,
    }
    found = {name: measures[name]() for name in options.what}
    print(json.dumps(found, indent=2))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""What OpenTelemetry costs: the CPU time of an exact hit in gateways with and without it, in turns.

`python bench/telemetry.py` prints JSON: the medians of the turns and their ratios. The time is the whole process's, so
that what the SDK's own threads take is counted. The collector takes everything and reads nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from servers import Server, gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = json.dumps(
    {"model": "sim-a", "messages": [{"role": "user", "content": "what is asked again and again"}]}
)
HEADERS = {"Authorization": "Bearer k", "Content-Type": "application/json"}
PLAIN = 'upstreams: [{name: sim, type: simulated}]\ndefaults: {semantic: "off"}\n'


@contextlib.contextmanager
def sink() -> Iterator[str]:
    """A collector that takes everything; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's own
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def cpu_s(server: Server) -> float:
    """Seconds of CPU that a gateway has taken so far, its threads included."""
    return server.metric("process_cpu_seconds_total")


def turn(server: Server, seconds: float) -> tuple[int, float]:
    """Asks over one connection for so long: requests answered, and the gateway's CPU time per request."""
    connection = http.client.HTTPConnection(urlsplit(server.root).netloc, timeout=30)
    count, before, end = 0, cpu_s(server), time.monotonic() + seconds
    while time.monotonic() < end:
        connection.request("POST", "/v1/chat/completions", BODY, HEADERS)
        response = connection.getresponse()
        response.read()
        assert response.status == 200
        count += 1
    connection.close()
    return count, (cpu_s(server) - before) / count


def main() -> None:
    """Takes the turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as at, contextlib.ExitStack() as stack:
        collector = stack.enter_context(sink())
        servers = {}
        for name, more in (
            ("off", ""),
            ("sampled_1_percent", f"telemetry: {{traces: on, endpoint: '{collector}', sample_ratio: 1%}}\n"),
            ("traces", f"telemetry: {{traces: on, endpoint: '{collector}'}}\n"),
            ("both", f"telemetry: {{traces: on, metrics: on, endpoint: '{collector}'}}\n"),
        ):
            folder = Path(at) / name
            folder.mkdir()
            servers[name] = stack.enter_context(gateway(folder, PLAIN + more))
        seen: dict[str, list[float]] = {name: [] for name in servers}
        for number in range(chosen.turns + 1):
            for name, server in servers.items():
                _, per_request_s = turn(server, chosen.seconds)
                if number:  # the first is for warming up
                    seen[name].append(per_request_s * 1e6)
    cpu_us = {name: round(statistics.median(values), 1) for name, values in seen.items()}
    ratio = {name: round(value / cpu_us["off"], 2) for name, value in cpu_us.items()}
    print(json.dumps({"cpu_us_per_exact_hit": cpu_us, "ratio": ratio}, indent=2))


if __name__ == "__main__":
    main()

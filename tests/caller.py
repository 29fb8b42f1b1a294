"""A gateway for tests of the dashboard, and its caller in plain HTTP."""

from __future__ import annotations

import hashlib
import json
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers import Server

KEY = "ak-acme-of-tests"
ADMIN_KEY = "ak-admin-of-tests"
CONFIG = """\
store: sqlite://{folder}/askonce.db
upstreams:
  - {{type: simulated, name: quick, ttft_ms: 5, tokens_per_second: 5000, models: ["quick-*"]}}
  - {{type: simulated, name: slow, ttft_ms: 300, tokens_per_second: 8, models: ["slow-*"]}}
features:
  shown: {{retain_text: full}}
  hidden: {{retain_text: hashed}}
  matched: {{semantic: "on", retain_text: full, error_budget: 20%, audit_share: 0}}
tenants: [{{name: acme, keys: ["sha256:{key}"], features: [shown, hidden, matched]}}]
defaults: {{semantic: "off"}}
admin: {{keys: ["sha256:{admin}"]}}
prices: {{"*-model": {{input: 100, output: 400}}}}
"""


def config(folder: Path) -> str:
    digests = {
        name: hashlib.sha256(key.encode()).hexdigest() for name, key in (("key", KEY), ("admin", ADMIN_KEY))
    }
    return CONFIG.format(folder=folder, **digests)


def ask(
    server: Server, text: str, feature: str = "shown", model: str = "quick-model", **fields: object
) -> dict[str, str]:
    """Asks, and reads the answer to its end; the response's headers."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
    request = urllib.request.Request(
        f"{server.base_url}/chat/completions",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {KEY}", "X-Askonce-Feature": feature, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        response.read()
        return {name.lower(): value for name, value in response.headers.items()}


@contextmanager
def asking_together(server: Server, text: str, count: int, feature: str = "shown") -> Iterator[None]:
    """So many callers wait for the same slow stream."""
    with ThreadPoolExecutor(count) as threads:
        asked = [threads.submit(ask, server, text, feature, "slow-model", stream=True) for _ in range(count)]
        yield
        for one in asked:
            one.result()


@contextmanager
def traffic(server: Server) -> Iterator[None]:
    """Some requests a second, new ones and repeated ones."""
    ended = threading.Event()

    def run() -> None:
        number = 0
        while not ended.wait(0.05):
            number += 1
            ask(server, f"What is {number // 3}?")

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

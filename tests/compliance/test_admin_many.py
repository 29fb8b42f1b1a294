"""Hundreds of thousands of answers forgotten at once, while the gateway goes on answering."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from askonce.observe.clock import SystemClock
from askonce.stores.memory import MemoryStore
from askonce.stores.sqlite import SqliteStore
from compliance.admin_front import ADMIN, Admin, bearer, chat, tenants_config
from servers import gateway
from stores.samples import entry, link, question

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
MANY = 200_000
PATH = "/admin/cache/invalidate"


async def filled(path: Path) -> None:
    """A store with many entries: half of them support's, every tenth with a link, a question each."""
    clock = SystemClock()
    store = SqliteStore(path, MemoryStore(clock, 2**20), clock)
    await store.start()
    now = time.time()
    for number in range(MANY):
        kept = entry(number, at=now, ttl_s=86_400, tags=("batch",) if number % 1_000 == 0 else ())
        feature = "support" if number % 2 else "default"
        store.put(replace(kept, tenant="tenant:acme", feature=feature), question(number))
        if number % 10 == 1:
            store.link(link(f"link {number}", number, at=now, ttl_s=86_400), None)
        if number % 5_000 == 0:
            await store.flush()
    await store.close()


def patiently(server: Server, body: Any) -> Any:
    """The call's answer, however busy the machine."""
    headers = {"Content-Type": "application/json", **bearer(ADMIN)}
    request = urllib.request.Request(server.root + PATH, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=600) as response:
        return json.load(response)


def test_many_answers_go_while_others_are_served(tmp_path: Path, provider: Server, question: str) -> None:
    """A dry run counts them all, the real run takes them with their links; callers are answered meanwhile, at any time."""
    asyncio.run(filled(tmp_path / "askonce.db"))
    with gateway(tmp_path, tenants_config(tmp_path, provider.base_url)) as server:
        admin = Admin(server)
        assert server.json("/healthz")["store"]["entries"] == MANY + MANY // 10
        would = patiently(server, {"feature": "support", "dry_run": True})
        assert (would["forgotten"], len(would["sample"])) == (MANY // 2, 20)
        assert admin.post(PATH, {"tags": ["batch"], "dry_run": True})["forgotten"] == MANY // 1_000
        assert server.json("/healthz")["store"]["entries"] == MANY + MANY // 10
        outcomes: list[str] = []
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                outcomes.append(chat(server, "acme", question))
                over.wait(0.02)

        asking = threading.Thread(target=ask)
        asking.start()
        gone = patiently(server, {"feature": "support"})
        during = len(outcomes)
        over.set()
        asking.join()
        assert (gone["forgotten"], gone["links"]) == (MANY // 2, MANY // 10)
        assert during > 50, "requests were answered all along"
        assert set(outcomes[1:]) == {"exact"}
        store = server.json("/healthz")["store"]
        assert (store["entries"], store["durable"], store["pending_writes"]) == (MANY // 2 + 1, True, 0)
        assert admin.post(PATH, {"feature": "support", "dry_run": True})["forgotten"] == 0
        server.process.kill()
    with gateway(tmp_path, tenants_config(tmp_path, provider.base_url)) as server:
        assert server.json("/healthz")["store"]["entries"] == MANY // 2 + 1

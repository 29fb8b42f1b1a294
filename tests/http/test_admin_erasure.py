"""Erasure that fails: told to whoever asked, and in the trail."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx2

from askonce.config import loads
from askonce.http.app import App

if TYPE_CHECKING:
    from pathlib import Path

ADMIN = {"Authorization": "Bearer admin"}
CONFIG = f"""\
upstreams: [{{{{type: simulated}}}}]
store: sqlite://{{path}}
tenants: [{{{{name: acme, keys: ["sha256:{"0" * 64}"]}}}}]
admin: {{{{keys: ["sha256:{hashlib.sha256(b"admin").hexdigest()}"]}}}}
defaults: {{{{semantic: "off"}}}}
"""


async def test_an_erasure_that_fails_is_in_the_trail(tmp_path: Path) -> None:
    """Where the store's file can't be used, also jobs' tables refuse: 503, nothing said to be done."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as another:
        another.execute("CREATE TABLE of_another_program (a)")
    app = App(loads(CONFIG.format(path=tmp_path / "a.db"), "test", {}))
    told: asyncio.Queue[Any] = asyncio.Queue()
    said: asyncio.Queue[Any] = asyncio.Queue()
    living = asyncio.create_task(app({"type": "lifespan"}, told.get, said.put))
    told.put_nowait({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url="http://gateway"
    ) as client:
        for dry_run in (True, False):
            body = {"tenant": "acme", "user": "zoe", "dry_run": dry_run}
            answer = await client.post("/admin/erase", json=body, headers=ADMIN)
            assert answer.status_code == 503, answer.text
        acts = (await client.get("/admin/trail", headers=ADMIN)).json()["acts"]
    told.put_nowait({"type": "lifespan.shutdown"})
    await living
    assert [(act["action"], act["detail"]["dry_run"], act["detail"]["done"]) for act in acts] == [
        ("erase", False, False),
        ("erase", True, False),
    ]
    assert "zoe" not in str(acts)

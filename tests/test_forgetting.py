"""What a gateway remembers of somebody once that is erased: a search of the process's own memory."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import types
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from askonce.config import loads
from askonce.http.app import App

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

ADMIN = {"Authorization": "Bearer admin"}
CONFIG = f"""\
upstreams: [{{{{type: simulated}}}}]
store: {{store}}
admin: {{{{keys: ["sha256:{hashlib.sha256(b"admin").hexdigest()}"]}}}}
defaults: {{{{semantic: "on", error_budget: 30%, retain_text: full}}}}
"""
CREDENTIAL = "sk-pass-through"


def holders(word: str) -> Iterator[str]:
    """The kinds of objects that hold a text or bytes with a word in it, but for the test's own."""
    gc.collect()
    raw = word.encode()
    for holder in gc.get_objects():
        if isinstance(holder, types.FrameType | types.CoroutineType | types.CellType):
            continue
        for held in gc.get_referents(holder):
            if (isinstance(held, str) and word in held) or (isinstance(held, bytes) and raw in held):
                yield f"{type(holder).__module__}.{type(holder).__qualname__}"


async def ask(client: Any, question: str, user: str, **fields: Any) -> str:
    body = {"model": "sim", "user": user, "messages": [{"role": "user", "content": question}], **fields}
    answer = await client.post(
        "/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {CREDENTIAL}"}
    )
    assert answer.status_code == 200, answer.text
    return str(answer.headers["x-askonce-outcome"])


@asynccontextmanager
async def opened(store: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a gateway in this process, its embedder loaded."""
    app = App(loads(CONFIG.format(store=store), "test", {}))
    told: asyncio.Queue[Any] = asyncio.Queue()
    said: asyncio.Queue[Any] = asyncio.Queue()
    living = asyncio.create_task(app({"type": "lifespan"}, told.get, said.put))
    told.put_nowait({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url="http://gateway"
    ) as client:
        for _ in range(500):
            if (await client.get("/healthz")).json()["semantic"]["state"] == "ready":
                break
            await asyncio.sleep(0.02)
        yield client
    told.put_nowait({"type": "lifespan.shutdown"})
    await living


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_nothing_is_remembered_of_who_is_erased(tmp_path: Path, kind: str) -> None:
    """No object of the process holds a word of hers: no cache, index, queue, memo or ring; and his are all there."""
    # Written nowhere as such: this module's own constants would be found.
    hers, his = ("".join(chr(ord(letter) + 1) for letter in one) for one in ("ptiumdw", "aqnkuirs"))
    async with opened("memory:" if kind == "memory" else f"sqlite://{tmp_path}/a.db") as client:
        for word in (hers, his):
            assert await ask(client, f"How do I reset my password for {word}?", f"u-{word}") == "fresh"
            assert await ask(client, f"How can I reset my password for {word}?", f"u-{word}") == "semantic"
        assert list(holders(hers))
        slow = {"x_simulate": {"ttft_ms": 1_000}}
        under_way = asyncio.create_task(ask(client, f"Where can I buy {hers}?", f"u-{hers}", **slow))
        await asyncio.sleep(0.3)
        tenant = f"sha256:{hashlib.sha256(CREDENTIAL.encode()).hexdigest()}"
        told = await client.post("/admin/erase", json={"tenant": tenant, "user": f"u-{hers}"}, headers=ADMIN)
        erased = told.json()["erased"]
        assert (erased["answers"], erased["calls_under_way"]) == (1, 1)
        assert await under_way == "fresh"
        del told, under_way
        left = sorted(set(holders(hers)))
        for _ in range(50):  # a thread may be in the middle of comparing two answers
            if left:
                await asyncio.sleep(0.1)
                left = sorted(set(holders(hers)))
        assert left == []
        assert list(holders(his))

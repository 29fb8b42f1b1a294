"""Nothing that a request does blocks the event loop: the disk and the embedder have threads of their own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from blockbuster import BlockBuster

from askonce.config import loads
from askonce.http.app import _inference
from askonce.wiring import open_gateway

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
upstreams: [{{type: simulated, ttft_ms: 0, tokens_per_second: 100000}}]
store: sqlite://{folder}/askonce.db
defaults: {{semantic: "on", error_budget: 30%}}
"""


async def test_requests_never_block_the_loop(tmp_path: Path) -> None:
    """Fresh, exact, semantic, streamed, refused, after eviction from memory: no blocking call on the loop's thread."""
    settings = loads(CONFIG.format(folder=tmp_path), "test", {})
    blocks = BlockBuster(scanned_modules=["askonce"])
    running = await open_gateway(settings)
    endpoint = _inference(running, settings)["/v1/chat/completions"]
    embedder = running._adapters.embedder
    assert embedder is not None
    assert await embedder.ready()
    blocks.activate()
    try:
        seen = [
            await ask(endpoint, text, stream=stream)
            for text in ("How do I reset it, please?", "how do I reset it", "What else?", "")
            for stream in (False, True)
        ]
        seen.append(await ask(endpoint, "x", messages="not a list"))
        await running.gateway.parts.store.flush()
        await running.gateway.parts.store.get(b"k" * 32)
        await running.metrics.exposition()
        await running.close()
    finally:
        blocks.deactivate()
    assert {b"fresh", b"exact", b"semantic", b""} <= set(seen)


async def ask(endpoint: Any, text: str, **fields: Any) -> bytes:
    """The outcome of one request, asked without a socket."""
    body = {"model": "sim", "messages": [{"role": "user", "content": text}], **fields}
    incoming = asyncio.Queue[dict[str, Any]]()
    incoming.put_nowait({"type": "http.request", "body": orjson.dumps(body), "more_body": False})
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": [(b"authorization", b"Bearer k")]}
    await endpoint(scope, incoming.get, send)
    headers: dict[bytes, bytes] = dict(sent[0]["headers"])
    return headers.get(b"x-askonce-outcome", b"")

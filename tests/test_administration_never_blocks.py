"""Nothing that an administrator does blocks the event loop."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from blockbuster import BlockBuster
from starlette.applications import Starlette

from askonce.config import load
from askonce.http.app import _inference
from askonce.http.operations import routes
from askonce.wiring import open_gateway
from compliance.admin_front import ADMIN, digest

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
upstreams: [{{type: simulated, ttft_ms: 0, tokens_per_second: 100000}}]
store: sqlite://{folder}/askonce.db
defaults: {{semantic: "on", error_budget: 30%, audit_share: 0}}
tenants: [{{name: acme, keys: ["{acme}"]}}]
admin: {{keys: ["{admin}"]}}
"""


async def sent(app: Any, method: str, path: str, body: bytes = b"", key: str = ADMIN) -> tuple[int, bytes]:
    """Status and body of one request, asked without a socket."""
    target, _, query = path.partition("?")
    incoming = asyncio.Queue[dict[str, Any]]()
    incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
    got: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        got.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": target,
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "headers": [(b"authorization", f"Bearer {key}".encode())],
    }
    await app(scope, incoming.get, send)
    return got[0]["status"], b"".join(message.get("body", b"") for message in got[1:])


async def test_administration_never_blocks_the_loop(tmp_path: Path) -> None:
    """Invalidating, explaining, exporting, importing, issuing keys, reloading: no blocking call on the loop's thread."""
    file = tmp_path / "askonce.yaml"
    file.write_text(CONFIG.format(folder=tmp_path, acme=digest("acme"), admin=digest(ADMIN)))
    settings = load(file, {})
    running = await open_gateway(settings, file)
    chat = _inference(running, settings)["/v1/chat/completions"]
    app = Starlette(routes=routes(running))
    embedder = running._adapters.embedder
    assert embedder is not None
    assert await embedder.ready()

    def asking(text: str) -> Any:
        return {"model": "sim", "messages": [{"role": "user", "content": text}]}

    blocks = BlockBuster(scanned_modules=["askonce"])
    blocks.activate()
    try:
        for text in ("How do I reset it, please?", "how do I reset it", "Why?" * 3_000):
            body = json.dumps(asking(text)).encode()
            assert (await sent(chat, "POST", "/v1/chat/completions", body, "acme"))[0] == 200
        described = {"request": asking("how can I reset it"), "tenant": "acme"}
        status, exported = await sent(app, "GET", "/admin/cache/export")
        assert (status, exported.count(b"\n")) == (200, 4)
        calls: list[tuple[str, Any]] = [
            ("/admin/explain", {**described, "against": described}),
            ("/admin/cache/invalidate", {"equivalent_to": described, "dry_run": True}),
            ("/admin/cache/invalidate", {"equivalent_to": {"text": "How do I reset it?"}, "threshold": 0.5}),
            ("/admin/cache/invalidate", {"tenant": "acme"}),
            ("/admin/keys", {"tenant": "acme"}),
            ("/admin/reload", {}),
        ]
        for path, content in calls:
            status, answer = await sent(app, "POST", path, json.dumps(content).encode())
            assert status in {200, 201}, answer
        status, answer = await sent(app, "POST", "/admin/cache/import", exported)
        assert (status, json.loads(answer)["imported"]) == (200, 2)
        assert (await sent(app, "GET", "/admin/trail"))[0] == 200
        await running.close()
    finally:
        blocks.deactivate()

"""Nothing that the batch lane does blocks the event loop: the disk has a thread of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from blockbuster import BlockBuster

from askonce.config import loads
from askonce.http.app import _inference
from askonce.job import DeliveryState
from askonce.wiring import open_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from askonce.jobs.desk import Desk
    from askonce.model import Caller

CONFIG = """\
upstreams: [{{type: simulated, ttft_ms: 0, tokens_per_second: 100000}}]
store: sqlite://{folder}/askonce.db
embedder: {{type: none}}
jobs: {{webhooks: {{allow_private: on, first_retry: 10ms, max_attempts: 2}}}}
"""
HEADERS = [
    (b"authorization", b"Bearer sk-test"),
    (b"x-askonce-lane", b"batch"),
    (b"x-askonce-webhook", b"http://127.0.0.1:9/hook"),
]


async def test_jobs_never_block_the_loop(tmp_path: Path) -> None:
    """Handed in, asked, waited for, told, listed and cancelled: no blocking call on the loop's thread."""
    settings = loads(CONFIG.format(folder=tmp_path), "test", {})
    blocks = BlockBuster(scanned_modules=["askonce"])
    running = await open_gateway(settings)
    endpoint = _inference(running, settings)["/v1/chat/completions"]
    desk = running.jobs.desk
    caller = running.gateway.caller(dict(HEADERS), None)
    blocks.activate()
    try:
        names = [await submit(endpoint, f"Question {number}?") for number in range(5)]
        ended = await asyncio.gather(*(desk.find(caller, name, 20.0) for name in names))
        again = await submit(endpoint, "Question 0?")
        await desk.cancel(caller, again)
        listed = await desk.page(caller, None, "", 10)
        await running.metrics.exposition()
        running.health()
        while not await given_up(desk, caller, names[0]):  # noqa: ASYNC110 - the desk has no event for it
            await asyncio.sleep(0.01)
        await running.close()
    finally:
        blocks.deactivate()
    assert [job.state.value for job in ended] == ["completed"] * 5
    assert len(listed) == 6


async def given_up(desk: Desk, caller: Caller, name: str) -> bool:
    """Whether a job's webhook has been tried for the last time."""
    delivery = (await desk.find(caller, name)).delivery
    return delivery is not None and delivery.state is DeliveryState.DEAD


async def submit(endpoint: Any, text: str) -> str:
    """The id of a job, handed in without a socket."""
    body = {"model": "sim", "messages": [{"role": "user", "content": text}]}
    incoming = asyncio.Queue[dict[str, Any]]()
    incoming.put_nowait({"type": "http.request", "body": orjson.dumps(body), "more_body": False})
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": HEADERS}
    await endpoint(scope, incoming.get, send)
    assert sent[0]["status"] == 202, sent
    name: str = orjson.loads(sent[1]["body"])["id"]
    return name

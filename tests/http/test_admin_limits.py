"""askonce.http.admin_limits: the fullest of many."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

from starlette.requests import Request

from askonce.http.admin_limits import limit_routes
from askonce.pipeline.allowances import Standing

STANDINGS = 20_000


async def test_the_fullest_of_many_are_told_while_others_are_served() -> None:
    """In their order, whether there are more, and never all in one go."""
    ratios = [place * 7 % STANDINGS for place in range(STANDINGS)]  # every one once, in no order
    standings = [Standing(f"key:{one:012x}", "", "usd_per_day", None, STANDINGS, one, 0.0) for one in ratios]
    allowances = SimpleNamespace(standings=lambda: iter(standings))
    running = cast(
        "Any", SimpleNamespace(gateway=SimpleNamespace(parts=SimpleNamespace(allowances=allowances)))
    )
    [route] = limit_routes(running, cast("Any", SimpleNamespace(authorise=lambda _: None)))
    turns, over = 0, asyncio.Event()

    async def others() -> None:
        nonlocal turns
        while not over.is_set():
            turns += 1
            await asyncio.sleep(0)

    async def ask(query: bytes) -> Any:
        asked = {
            "type": "http",
            "method": "GET",
            "path": "/admin/limits",
            "headers": [],
            "query_string": query,
        }
        return json.loads((await route.endpoint(Request(asked))).body)

    beside = asyncio.ensure_future(others())
    told = await ask(b"limit=3")
    over.set()
    await beside
    assert [one["tenant"] for one in told["limits"]] == [
        f"key:{STANDINGS - place:012x}" for place in (1, 2, 3)
    ]
    assert told["has_more"]
    assert turns >= STANDINGS // 500
    single = await ask(b"tenant=key:00000000000a")
    assert (len(single["limits"]), single["has_more"]) == (1, False)

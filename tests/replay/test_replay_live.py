"""A log sent to a server that answers like a gateway."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from askonce.cli.printing import on_paper
from askonce.model import Endpoint
from askonce.replay.arrival import Arrival
from askonce.replay.live import Plan, Shooting, authorisation, is_loopback
from askonce.replay.live_report import live_json, write_live_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Got(NamedTuple):
    at: float
    body: bytes
    headers: dict[str, str]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[tuple[str, list[Got]]]:
    got: list[Got] = []

    async def note(request: web.Request) -> web.StreamResponse:
        got.append(Got(time.monotonic(), await request.read(), dict(request.headers)))
        return await handler(request)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", note)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1")), got


def plan_of(url: str, **more: Any) -> Plan:
    return Plan(url, 1.0, 100, 5.0, {"acme": "key-a", "": "key-b"})._replace(**more)


def arrivals(*at: float, tenant: str = "acme", feature: str = "") -> list[Arrival]:
    return [Arrival(1e9 + one, tenant, feature, Endpoint.CHAT, b'{"n": %d}' % n) for n, one in enumerate(at)]


def text_of(shooting: Shooting, plan: Plan) -> str:
    return on_paper(lambda console: write_live_text(console, shooting, plan))


async def hit(_: web.Request) -> web.StreamResponse:
    return web.json_response({}, headers={"X-Askonce-Outcome": "exact", "X-Askonce-Saved-Usd": "0.000250000"})


async def test_requests_go_out_as_recorded() -> None:
    """Bodies byte for byte, each tenant's key, the feature where one is named, at the recorded times by the speed."""
    async with serving(hit) as (url, got):
        shooting = Shooting(plan_of(url, speed=10.0))
        await shooting.send([*arrivals(0, 2, feature="support"), *arrivals(3, tenant="other")])
    assert [one.body for one in got] == [b'{"n": 0}', b'{"n": 1}', b'{"n": 0}']
    assert [one.headers["Authorization"] for one in got] == ["Bearer key-a", "Bearer key-a", "Bearer key-b"]
    assert [one.headers.get("X-Askonce-Feature") for one in got] == ["support", "support", None]
    assert got[1].at - got[0].at >= 0.19
    assert got[2].at - got[0].at >= 0.29


async def test_what_the_gateway_says_is_added_up() -> None:
    """Outcomes, dollars and latencies by outcome."""
    async with serving(hit) as (url, _):
        plan = plan_of(url)
        shooting = Shooting(plan)
        await shooting.send(arrivals(0, 0, 0))
    found = live_json(shooting, plan)
    assert found["calls_avoided"] == 3
    assert found["saved_usd"] == pytest.approx(0.00075)
    assert found["outcomes"]["exact"]["requests"] == 3
    assert re.search(r"^ +exact +", text_of(shooting, plan), re.MULTILINE)


async def test_reasons_are_counted() -> None:
    """Why requests were asked after all is told in the gateway's words."""

    async def fresh(_: web.Request) -> web.StreamResponse:
        return web.json_response(
            {}, headers={"X-Askonce-Outcome": "fresh", "X-Askonce-Reason": "no-neighbour"}
        )

    async with serving(fresh) as (url, _):
        plan = plan_of(url)
        shooting = Shooting(plan)
        await shooting.send(arrivals(0, 0))
    assert live_json(shooting, plan)["reasons"] == {"fresh": {"no-neighbour": 2}}
    assert "fresh: no-neighbour 2\n" in text_of(shooting, plan)


async def test_the_loop_is_open() -> None:
    """A gateway that doesn't answer keeps nobody from being sent: requests under way don't wait for each other."""
    release = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        if len(got) == 5:
            release.set()
        await release.wait()
        return await hit(request)

    async with serving(wait) as (url, got):
        shooting = Shooting(plan_of(url))
        await asyncio.wait_for(shooting.send(arrivals(0, 0, 0, 0, 0)), 10)
    assert shooting.outcomes["exact"] == 5


async def test_falling_behind_is_counted_and_measured_from_when_it_was_due() -> None:
    """At the concurrency limit later requests leave late: they are counted, and their time runs from when they were due."""

    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.15)
        return await hit(request)

    async with serving(slow) as (url, _):
        plan = plan_of(url, concurrency_limit=1)
        shooting = Shooting(plan)
        await shooting.send(arrivals(0, 0, 0))
    assert shooting.late == 2
    assert max(one.due_seconds for one in shooting.answered) >= 0.45
    assert max(one.due_seconds - one.seconds for one in shooting.answered) >= 0.29
    assert "fell behind" in text_of(shooting, plan)


async def test_failures_are_counted_by_code() -> None:
    """An error's code, a page of HTML, a broken stream, a hang-up and a timeout each have a name, and nothing ends the run."""
    kinds = iter(["error", "html", "stream", "hang up", "hang", "good"])

    async def fail(request: web.Request) -> web.StreamResponse:
        kind = next(kinds)
        if kind == "error":
            return web.json_response({"error": {"code": "rate_limit_exceeded"}}, status=429)
        if kind == "html":
            return web.Response(status=502, text="<h1>Bad gateway</h1>", content_type="text/html")
        if kind == "stream":
            return web.Response(text="data: {}\n\n", content_type="text/event-stream")
        if kind == "hang up":
            assert request.transport is not None
            request.transport.close()
        if kind == "hang":
            await asyncio.sleep(1)
        return await hit(request)

    async with serving(fail) as (url, _):
        shooting = Shooting(plan_of(url, timeout_s=0.3))
        await shooting.send(arrivals(0, 0.1, 0.2, 0.3, 0.4, 0.5))
    expected = {
        "rate_limit_exceeded": 1,
        "502": 1,
        "stream-broke-off": 1,
        "ServerDisconnectedError": 1,
        "timeout": 1,
    }
    assert dict(shooting.errors) == expected
    assert shooting.outcomes == {"exact": 1}


async def test_a_feature_that_is_no_header_costs_no_other_request() -> None:
    """What a log's row can't be sent as is an error of that request."""
    async with serving(hit) as (url, got):
        shooting = Shooting(plan_of(url))
        await shooting.send([*arrivals(0.0, feature="a\r\nX-Evil: 1"), *arrivals(0.0, 0.0)])
    assert len(got) == 2
    assert shooting.errors == {"ValueError": 1}
    assert shooting.outcomes == {"exact": 2}


async def test_nobody_listens() -> None:
    """A gateway that isn't there makes errors, not an exception."""
    shooting = Shooting(plan_of("http://127.0.0.1:9/v1"))
    await shooting.send(arrivals(0))
    assert shooting.errors == {"ClientConnectorError": 1}


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8080/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:8080", True),
        ("http://10.0.0.1/v1", False),
        ("https://gateway.example/v1", False),
        ("http://localhost.example/v1", False),
        ("http://127.0.0.1@gateway.example/", False),
        ("http:///v1", False),
    ],
)
def test_loopback(url: str, here: bool) -> None:  # noqa: FBT001
    """Only addresses that are surely this machine's own count as such."""
    assert is_loopback(url) is here


def test_keys() -> None:
    """A tenant's own key, else the one for all others, else none."""
    assert authorisation({"a": "1", "": "2"}, "a") == "1"
    assert authorisation({"a": "1", "": "2"}, "b") == "2"
    assert not authorisation({"a": "1"}, "b")

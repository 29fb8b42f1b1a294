"""Connections to an upstream that hangs up: asked again where the call can't have been taken, told of elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import TYPE_CHECKING

import pytest

from askonce.errors import UpstreamFailure
from askonce.model import Call, Endpoint
from askonce.upstreams.openai import OpenAIUpstream, Server
from compliance.misbehaving import Misbehaving, misbehaving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class StoppedClock:
    def now(self) -> float:
        return 0.0


@pytest.fixture
def odd() -> Iterator[Misbehaving]:
    with misbehaving() as server:
        yield server


@pytest.fixture
async def upstream(odd: Misbehaving) -> AsyncIterator[OpenAIUpstream]:
    upstream = OpenAIUpstream(Server("odd", odd.base_url), StoppedClock())
    yield upstream
    await upstream.close()


async def ask(upstream: OpenAIUpstream, behaviour: str) -> bytes:
    body = json.dumps({"model": behaviour}).encode()
    reply = await upstream.open(Call(Endpoint.CHAT, behaviour, body, stream=False))
    try:
        return await reply.body()
    finally:
        await reply.aclose()


async def test_an_idle_connection_that_was_closed(upstream: OpenAIUpstream, odd: Misbehaving) -> None:
    """Calls that meet the ends of pooled connections go out again over new ones: nobody hears of it."""
    await asyncio.gather(*(ask(upstream, "plain") for _ in range(4)))
    odd.drop_reused = True
    answers = await asyncio.gather(*(ask(upstream, "plain") for _ in range(4)))
    assert all(answers)
    assert (odd.calls, odd.connections) == (8, 8)


async def test_a_new_connection_that_is_closed(upstream: OpenAIUpstream, odd: Misbehaving) -> None:
    """A server that takes a call and hangs up is not asked twice: the call may have cost something."""
    with pytest.raises(UpstreamFailure) as caught:
        await ask(upstream, "close-at-once")
    assert caught.value.code == "upstream_unreachable"
    assert odd.calls == 1


async def test_a_server_that_has_gone(upstream: OpenAIUpstream, odd: Misbehaving) -> None:
    """Where the end of an idle connection was the end of the server, that is told, at once."""
    await ask(upstream, "plain")
    odd.drop_reused = True
    odd.server.close()
    with pytest.raises(UpstreamFailure) as caught:
        await ask(upstream, "plain")
    assert caught.value.code == "upstream_unreachable"


async def test_a_server_that_takes_no_connection() -> None:
    """That it can't be reached is another trouble than that it doesn't answer: all of its models have it."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as crowd:
        for _ in range(4):
            waiting = crowd.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(full.getsockname())
        address = "http://{}:{}/v1".format(*full.getsockname())
        upstream = OpenAIUpstream(Server("full", address, connect_timeout_s=0.2), StoppedClock())
        try:
            with pytest.raises(UpstreamFailure) as caught:
                await ask(upstream, "plain")
        finally:
            await upstream.close()
    assert (caught.value.status, caught.value.code) == (504, "upstream_unreachable")

"""A request's head may take so long and no longer; so may the end of a connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from askonce.http.protocol import BoundedProtocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Hasty(BoundedProtocol):
    """One that has little patience."""

    head_timeout_s = 0.05


async def hello(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(hello, http=Hasty, log_config=None)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Hasty(config, ServerState(), {}), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nhost: x\r\n"])
async def test_a_head_that_does_not_come(port: int, head: bytes) -> None:
    """A connection that says nothing, or stops in the middle of a head, is told 408 and closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert b'"code":"request_timeout"' in answer
    writer.close()


async def test_a_second_head_that_does_not_come(port: int) -> None:
    """So is one that has answered before; between two requests the patience is the keep-alive's."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
    await asyncio.sleep(2 * Hasty.head_timeout_s)
    writer.write(b"GET / HT")
    assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_a_client_that_takes_nothing_does_not_keep_its_connection() -> None:
    """An answer that is given up half way closes the connection also where the client never takes what it was sent."""
    lost = asyncio.Event()

    class Impatient(BoundedProtocol):
        closing_timeout_s = 0.05

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.set()

    async def give_up(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                while True:
                    await send({"type": "http.response.body", "body": bytes(1_000_000), "more_body": True})

    config = uvicorn.Config(give_up, http=Impatient, log_config=None)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Impatient(config, ServerState(), {}), "127.0.0.1", 0)
    async with server:
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await asyncio.wait_for(lost.wait(), 10)

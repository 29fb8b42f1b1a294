"""Webhooks go where callers say, and nowhere inside."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from askonce.upstreams.postman import HttpPostman, is_public

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.1.2.3", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "::7f00:1", "fec0::1", "64:ff9b:1::7f00:1", "::ffff:0:7f00:1", "5f00::1", "not an address", "",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_told_apart(address: str) -> None:
    """Also where one is wrapped in another: mapped, translated, tunnelled."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_are_public(address: str) -> None:
    """What the internet can reach."""
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "https://127.0.0.1/", "https://[::1]/", "https://localhost/", "https://localhost./",
        "https://2130706433/", "https://127.1/", "https://0x7f000001/", "https://user:secret@example.com/",
        "ftp://example.com/", "https://", "https://example.com:99999/", "/path", "", "https://exa\nmple.com/",
        "https://example.com/" + "x" * 2_000, "https://ex\u00e4mple.com/", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_unsafe_urls_are_refused(url: str) -> None:
    """With a reason, before anything is sent."""
    assert postman().refuses(url)


def test_hosts_are_those_that_the_operator_allows() -> None:
    """Patterns, compared without case."""
    narrow = postman(allowed_hosts=("*.example.com", "hooks.test"))
    assert narrow.refuses("https://evil.test/")
    assert narrow.refuses("https://example.com.evil.test/")
    assert not narrow.refuses("https://A.Example.com:8443/hook?x=1")
    assert not narrow.refuses("https://hooks.test/")


async def test_a_name_that_stands_for_a_private_address_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever it stood for when the job was handed in: the address is checked when it is connected to."""

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        assert host == "rebound.example"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    one = postman()
    assert not one.refuses("https://rebound.example/")
    taken, detail = await one.post("https://rebound.example/", (), b"{}")
    await one.close()
    assert not taken
    assert "Error" in detail


@pytest.fixture
async def server() -> AsyncIterator[tuple[str, list[str]]]:
    """A receiver: `/ok` takes, `/moved` redirects there, `/slow` doesn't answer."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        if request.path == "/moved":
            return web.Response(status=307, headers={"Location": "/ok"})
        if request.path == "/slow":
            await asyncio.sleep(0.5)
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/{what}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}", asked
    await runner.cleanup()


async def test_a_delivery_is_taken_or_not(server: tuple[str, list[str]]) -> None:
    """2xx is taken; a redirect isn't followed, silence is waited for so long, and nobody there is no error of ours."""
    root, asked = server
    inside = postman(allow_private=True, timeout_s=0.2)
    assert await inside.post(f"{root}/ok", (("webhook-id", "1"),), b"{}") == (True, "status 204")
    assert await inside.post(f"{root}/moved", (), b"{}") == (False, "status 307")
    assert await inside.post(f"{root}/slow", (), b"{}") == (False, "timeout")
    assert asked == ["/ok", "/moved", "/slow"]
    taken, _ = await inside.post("http://127.0.0.1:9/", (), b"{}")
    assert not taken
    await inside.close()


def postman(
    *, allow_private: bool = False, allowed_hosts: tuple[str, ...] = ("*",), timeout_s: float = 1.0
) -> HttpPostman:
    return HttpPostman(allow_private=allow_private, allowed_hosts=allowed_hosts, timeout_s=timeout_s)

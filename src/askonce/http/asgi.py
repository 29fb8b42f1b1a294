"""ASGI's messages, as far as the inference endpoints need them: bodies in, answers out, and who has left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from askonce.errors import CallerGone, Refusal

__all__ = ["Message", "Receive", "Scope", "Send", "read_body", "send_body", "wait_until_gone"]

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


async def read_body(receive: Receive, max_bytes: int, timeout_s: float) -> bytes:
    """The whole request body.

    Raises:
        Refusal: 413 for one larger than `max_bytes`, 408 for one that takes too long.
        CallerGone: the caller left before its end.
    """
    message = await receive()
    if message["type"] == "http.disconnect":
        raise CallerGone
    if not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
        return body
    try:
        async with asyncio.timeout(timeout_s):
            return await _read_rest(receive, message.get("body", b""), max_bytes)
    except TimeoutError:
        sentence = f"The request's body took longer than {timeout_s:g} s to arrive."
        raise Refusal(408, "request_timeout", sentence) from None


async def _read_rest(receive: Receive, first: bytes, max_bytes: int) -> bytes:
    """Reads on; what is beyond the bound is read and dropped for a while, so that the caller hears why."""
    parts, size = [first], len(first)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGone
        part = message.get("body", b"")
        size += len(part)
        if size <= max_bytes:
            parts.append(part)
        elif size > 8 * max_bytes:
            raise _too_large(max_bytes)
        if not message.get("more_body"):
            break
    if size > max_bytes:
        raise _too_large(max_bytes)
    return b"".join(parts)


def _too_large(max_bytes: int) -> Refusal:
    return Refusal(413, "request_too_large", f"The request's body is larger than {max_bytes} bytes.")


async def send_body(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """A whole response."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def wait_until_gone(receive: Receive, gone: Callable[[], None]) -> None:
    """Calls `gone` once the caller has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
    gone()

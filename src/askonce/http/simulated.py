"""A simulated upstream as a server of its own: to a client it looks like a provider.

Raw ASGI, since benchmarks measure a gateway in front of it. Faults are real on the wire: half an answer ends with
the connection, garbage is sent as it is, and who asks a dead upstream has its connection reset.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from hmac import compare_digest
from os import dup
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from askonce.errors import CallerGone, Refusal, UpstreamFailure
from askonce.http.asgi import read_body, wait_until_gone
from askonce.http.simulated_batches import batch_api
from askonce.model import Call, Endpoint
from askonce.upstreams.simulated import (
    CHAT_BATCH,
    Fault,
    PlannedOutage,
    Severed,
    SimulatedReply,
    SimulatedUpstream,
    refused,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from askonce.http.asgi import Receive, Scope, Send
    from askonce.upstreams.simulated.batches import SimulatedBatches

__all__ = ["KeyRule", "SimulatedApp", "SimulatedProtocol"]

_ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    **{f"/v1/{endpoint.value}": endpoint for endpoint in Endpoint},
    f"/v1/{CHAT_BATCH}": Endpoint.CHAT,
}
_JSON: Final = b"application/json"
_FILE: Final = b"application/octet-stream"
_HTML: Final = b"text/html; charset=utf-8"
_EVENTS: Final = b"text/event-stream; charset=utf-8"
_HTML_PAGE: Final = b"<html><head><title>Bad gateway</title></head><body>Bad gateway</body></html>"
_MAX_BODY_BYTES: Final = 64 * 2**20
_BODY_TIMEOUT_S: Final = 60.0
_MOST_ID_BYTES: Final = 512
_DONE: Final = b"data: [DONE]\n\n"
_SEVER: Final = "askonce.sever"
"""The ASGI extension by which an application resets its connection."""
_NO_LINGER: Final = struct.pack("ii", 1, 0)
_OUTAGE: Final = TypeAdapter(PlannedOutage)


class SimulatedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, for applications that end a connection without an answer, as ASGI itself can't."""

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope["extensions"] = {_SEVER: {"call": self._sever}}

    def _sever(self) -> None:
        """Resets the connection: what was written to it is dropped, and the other side reads an error."""
        own: socket.socket = self.transport.get_extra_info("socket")
        with socket.socket(fileno=dup(own.fileno())) as connection:  # uvloop's own lets no option be set
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()


@dataclass(frozen=True, slots=True)
class KeyRule:
    """Which keys open the door: with `required`, one must be presented; with `key`, it must be that one."""

    required: bool = True
    key: str | None = None

    def accepts(self, credential: str | None) -> bool:
        """Whether a caller with this credential may ask."""
        if not self.required:
            return True
        if not credential:
            return False
        return self.key is None or compare_digest(credential.encode(), self.key.encode())


class SimulatedApp:
    """The provider's endpoints under `/v1/`; `/stats` and `/books` (GET), `/stats/reset` and `/outage` (POST) beside them.

    `/outage` takes `{"kind", "seconds"}`, and `after_s` if it isn't to begin at once. Only inference endpoints are dead then.
    """

    def __init__(
        self, upstream: SimulatedUpstream, key_rule: KeyRule, batches: SimulatedBatches | None = None
    ) -> None:
        """Without `batches` there is no Batch API."""
        self._upstream = upstream
        self._key_rule = key_rule
        self._batches = batches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; other scopes than `http` are none of its business."""
        if scope["type"] != "http":
            return
        response = _Response(send)
        try:
            await self._route(scope, receive, response)
        except CallerGone:
            return
        except Severed:
            scope["extensions"][_SEVER]["call"]()
            await wait_until_gone(receive, lambda: None)
        except UpstreamFailure as failure:
            await response.failure(failure)
        except Refusal as refusal:
            await response.failure(refused(refusal.status, refusal.code, refusal.message))

    async def _route(self, scope: Scope, receive: Receive, response: _Response) -> None:
        method, path = scope["method"], scope["path"]
        endpoint = _ENDPOINTS.get(path)
        credential = _credential(scope)
        if path.startswith("/v1/") and not self._key_rule.accepts(credential):
            message = "Incorrect API key provided. Any key will do unless this server was started with one."
            raise refused(401, "invalid_api_key", message)
        if method == "POST" and endpoint is not None:
            await self._infer(endpoint, scope, receive, response)
        elif method == "GET" and path == "/v1/models":
            listing = {"object": "list", "data": await self._upstream.models(credential)}
            await response.json(listing)
        elif method == "GET" and path.startswith("/v1/models/"):
            await response.json(self._upstream.model(path.removeprefix("/v1/models/")))
        elif method == "GET" and path == "/stats":
            books = {} if self._batches is None else {"batches": self._batches.as_json()}
            await response.json({**self._upstream.counters.as_json(), **books})
        elif method == "GET" and path == "/books":
            await response.json(self._upstream.books.as_json())
        elif method == "POST" and path == "/stats/reset":
            self._upstream.counters.reset()
            await response.json(self._upstream.counters.as_json())
        elif method == "POST" and path == "/outage":
            await self._order_outage(receive)
            await response.json(self._upstream.counters.as_json())
        elif (
            self._batches is not None
            and (found := await batch_api(self._batches, scope, receive)) is not None
        ):
            await response.found(found)
        else:
            raise refused(404, "unknown_url", f"Unknown request URL: {method} {path}.")

    async def _order_outage(self, receive: Receive) -> None:
        body = await read_body(receive, _MAX_BODY_BYTES, _BODY_TIMEOUT_S)
        try:
            outage = _OUTAGE.validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise refused(400, "invalid_value", f"Invalid outage `{where}`: {first['msg']}.") from None
        self._upstream.outages.order(outage, asyncio.get_running_loop().time())

    async def _infer(self, endpoint: Endpoint, scope: Scope, receive: Receive, response: _Response) -> None:
        body = await read_body(receive, _MAX_BODY_BYTES, _BODY_TIMEOUT_S)
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("requests are served in tasks")
        path = scope["path"].removeprefix("/v1/")
        call = Call(
            endpoint, "", body, _wants_events(body), _credential(scope), path=path, id=_call_id(scope)
        )
        watcher = asyncio.create_task(  # noqa: TID251 - ends with the request, in `finally`
            wait_until_gone(receive, lambda: _cancel(task)), name="simulated-disconnect"
        )
        try:
            await self._answer(call, response)
        except asyncio.CancelledError:
            if not watcher.done():
                raise
            task.uncancel()
        finally:
            watcher.cancel()

    async def _answer(self, call: Call, response: _Response) -> None:
        reply = await self._upstream.open(call)
        try:
            if reply.fault is Fault.HTML:
                await response.whole(200, await reply.body(), _HTML, _reply_headers(reply))
            elif call.stream:
                await response.events(reply)
            elif reply.fault is Fault.HALF:
                await response.torn(await reply.body(), _reply_headers(reply))
            else:
                await response.whole(200, await reply.body(), _JSON, _reply_headers(reply))
        finally:
            await reply.aclose()


class _Response:
    """The sending side of one request."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._request_id = f"req_{token_hex(16)}".encode()

    async def json(self, payload: Any) -> None:
        await self.whole(200, orjson.dumps(payload), _JSON, ())

    async def found(self, found: Any) -> None:
        """JSON, or a file's content as it is."""
        if isinstance(found, bytes):
            await self.whole(200, found, _FILE, ())
        else:
            await self.json(found)

    async def failure(self, failure: UpstreamFailure) -> None:
        """An error object as a provider sends it, or the page of a proxy that stands before one."""
        headers = [(name.encode(), value.encode()) for name, value in failure.headers]
        if failure.retry_after_s is not None:
            headers.append((b"retry-after", f"{failure.retry_after_s:g}".encode()))
        if failure.body is None:
            await self.whole(failure.status, _HTML_PAGE, _HTML, headers)
        else:
            await self.whole(failure.status, b'{"error":' + failure.body + b"}", _JSON, headers)

    async def whole(
        self, status: int, body: bytes, content_type: bytes, headers: Sequence[tuple[bytes, bytes]]
    ) -> None:
        await self._start(status, content_type, [*headers, (b"content-length", str(len(body)).encode())])
        await self._send({"type": "http.response.body", "body": body})

    async def torn(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Half a body: the server closes the connection on a response that is never completed."""
        await self._start(200, _JSON, [*headers, (b"content-length", str(2 * len(body)).encode())])
        await self._part(body)

    async def events(self, reply: SimulatedReply) -> None:
        """Server-sent events; where the answer breaks off the response is never completed."""
        await self._start(200, _EVENTS, _reply_headers(reply))
        try:
            while payloads := await reply.read():
                await self._part(b"".join([b"data: " + payload + b"\n\n" for payload in payloads]))
        except UpstreamFailure:
            return
        await self._send({"type": "http.response.body", "body": _DONE})

    async def _start(self, status: int, content_type: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
        own = [(b"content-type", content_type), (b"x-request-id", self._request_id)]
        await self._send({"type": "http.response.start", "status": status, "headers": [*own, *headers]})

    async def _part(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})


def _reply_headers(reply: SimulatedReply) -> list[tuple[bytes, bytes]]:
    headers = [(name.encode(), value.encode()) for name, value in reply.headers]
    if reply.no_store:
        headers.append((b"cache-control", b"no-store"))
    elif reply.max_age_s is not None:
        headers.append((b"cache-control", f"max-age={reply.max_age_s:.0f}".encode()))
    return headers


def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()


def _credential(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            kind, _, credential = value.decode("latin-1").partition(" ")
            return credential.strip() if kind.lower() == "bearer" else None
    return None


def _call_id(scope: Scope) -> str:
    """The caller's own name for its call, "" where it gave none."""
    names = (value for name, value in scope["headers"] if name == b"x-client-request-id")
    return next(names, b"")[:_MOST_ID_BYTES].decode("latin-1")


def _wants_events(body: bytes) -> bool:
    """Whether the body asks for a stream; what is wrong with it otherwise, the upstream will say."""
    if b'"stream"' not in body:
        return False
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(parsed, dict) and parsed.get("stream") is True

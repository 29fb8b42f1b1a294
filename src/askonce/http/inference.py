"""One inference request over HTTP: read, understood, answered, recorded."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

import structlog

from askonce.errors import CallerGone, Refusal
from askonce.http.asgi import Receive, Scope, Send, read_body, send_body, wait_until_gone
from askonce.http.errors import error_body, error_headers
from askonce.http.headers import answer_headers, joined, request_id
from askonce.http.jobs import job_body, job_path
from askonce.http.lane import job_terms
from askonce.ports import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from askonce.gateway import Gateway
    from askonce.jobs.desk import Desk
    from askonce.model import Endpoint, Request
    from askonce.pipeline.reply import Reply
    from askonce.ports import Observer
    from askonce.trace import Trace

__all__ = ["Dialect", "Inference", "OpenAIDialect"]

_log = structlog.get_logger("askonce.http")
_SHUTTING_DOWN = "The gateway is shutting down; ask again."
_FAILED = "The gateway failed on this request; ask again."
_ACCEPTED = 202
_GRACE_S = 5.0
"""Beyond its deadline, a caller that doesn't take its answer is cut off."""
_STREAM_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


class Dialect(Protocol):
    """How one endpoint's bodies map onto the gateway's."""

    @property
    def name(self) -> str:
        """The endpoint's name in metrics."""
        ...

    def understand(self, gateway: Gateway, headers: Mapping[bytes, bytes], raw: bytes) -> Request:
        """The request. Raises Refusal."""
        ...

    def answer(self, reply: Reply, identity: str) -> bytes:
        """The response body of a started reply that isn't streamed."""
        ...


class OpenAIDialect:
    """OpenAI's own bodies: what the gateway speaks."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    @property
    def name(self) -> str:
        """Path below `/v1/`."""
        return self._endpoint.value

    def understand(self, gateway: Gateway, headers: Mapping[bytes, bytes], raw: bytes) -> Request:
        """The request. Raises Refusal."""
        request = gateway.understand(self._endpoint, headers, raw)
        terms = job_terms(headers)
        return request if terms is None else request._replace(terms=terms)

    def answer(self, reply: Reply, identity: str) -> bytes:  # noqa: ARG002 - OpenAI's id is in the headers
        """The body with this caller's envelope."""
        return reply.whole()


class Inference:
    """An ASGI endpoint that answers one dialect."""

    def __init__(
        self,
        gateway: Gateway,
        observer: Observer,
        dialect: Dialect,
        desk: Desk,
        *,
        max_body_bytes: int,
        body_timeout_s: float,
        begin_trace: Callable[[Mapping[bytes, bytes]], Trace] | None = None,
    ) -> None:
        """`begin_trace` makes a request's span of its headers, where requests are traced."""
        self._gateway = gateway
        self._desk = desk
        self._observer = observer
        self._dialect = dialect
        self._max_body_bytes = max_body_bytes
        self._body_timeout_s = body_timeout_s
        self._begin_trace = begin_trace

    def bound(self, max_body_bytes: int, body_timeout_s: float) -> None:
        """Bounds the bodies of requests from now on."""
        self._max_body_bytes, self._body_timeout_s = max_body_bytes, body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, with an answer or with an error."""
        exchange = _Exchange(self._dialect.name, joined(scope["headers"]))
        if self._begin_trace is not None:
            exchange.trace = self._begin_trace(exchange.headers)
        try:
            await self._serve(exchange, receive, send)
        except Refusal as refusal:
            await self._fail(exchange, refusal, send)
        except CallerGone:
            exchange.status, exchange.code = 499, "caller_gone"
        except TimeoutError:
            exchange.status, exchange.code = 499, "caller_stalled"
        except asyncio.CancelledError:  # the server has waited for its requests as long as it may
            await self._fail(exchange, Refusal(503, "shutting_down", _SHUTTING_DOWN, retry_after_s=1), send)
        except Exception:  # noqa: BLE001 - a bug is the gateway's: its caller hears of it in the usual shape
            _log.exception("request failed", request_id=exchange.id)
            await self._fail(exchange, Refusal(500, "internal_error", _FAILED), send)
        finally:
            if exchange.reply is not None:
                exchange.reply.leave()
            if exchange.status != _ACCEPTED:
                self._observer.request(exchange.record())

    async def _serve(self, exchange: _Exchange, receive: Receive, send: Send) -> None:
        if exchange.headers.get(b"content-encoding", b"identity") != b"identity":
            raise Refusal(
                415, "unsupported_encoding", "Send the body as plain JSON, without Content-Encoding."
            )
        raw = await read_body(receive, self._max_body_bytes, self._body_timeout_s)
        request = self._dialect.understand(self._gateway, exchange.headers, raw)
        if exchange.trace is not None:
            request = request._replace(trace=exchange.trace)
        exchange.request = request
        if request.terms is not None:
            await self._submit(exchange, request, send)
            return
        reply = exchange.reply = self._gateway.answer(request)
        if reply.seat is None:
            await self._send(exchange, reply, send)
            return
        watch = wait_until_gone(receive, reply.seat.gone)
        watcher = asyncio.create_task(watch, name="disconnect")  # noqa: TID251 - ends with this exchange
        try:
            await reply.start()
            await self._send(exchange, reply, send)
        finally:
            watcher.cancel()

    async def _submit(self, exchange: _Exchange, request: Request, send: Send) -> None:
        """Makes a job: it is kept before its caller hears of it, and counted once it has ended."""
        name = request.submitted_as or exchange.id
        job = await self._desk.submit(request, exchange.headers, name)
        exchange.status = _ACCEPTED
        exchange.answered()
        body = job_body(job, durable=self._desk.durable)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"location", job_path(job).encode()),
            (b"x-request-id", exchange.id.encode()),
        ]
        await send_body(send, _ACCEPTED, headers, body)

    async def _send(self, exchange: _Exchange, reply: Reply, send: Send) -> None:
        self._gateway.served(reply, exchange.id)
        headers = answer_headers(reply, exchange.id)
        exchange.answered()
        if not reply.request.ask.stream:
            body = self._dialect.answer(reply, exchange.id)
            headers.append((b"content-type", b"application/json"))
            headers.append((b"content-length", b"%d" % len(body)))
            await send_body(send, 200, headers, body)
            return
        exchange.streaming = True
        async with asyncio.timeout(reply.request.policy.timeout_s + _GRACE_S):
            await send({"type": "http.response.start", "status": 200, "headers": headers + _STREAM_HEADERS})
            while data := await reply.events():
                await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    async def _fail(self, exchange: _Exchange, refusal: Refusal, send: Send) -> None:
        exchange.refused(refusal)
        body = error_body(refusal, exchange.id)
        if exchange.streaming:
            await send({"type": "http.response.body", "body": b"data: " + body + b"\n\n"})
        else:
            await send_body(send, refusal.status, error_headers(refusal, exchange.id, len(body)), body)


class _Exchange:
    """What is known of one request while it is answered; becomes its record."""

    __slots__ = (
        "_began", "_first", "code", "headers", "id", "name", "reply", "request", "status", "streaming",
        "trace",
    )  # fmt: skip

    def __init__(self, name: str, headers: Mapping[bytes, bytes]) -> None:
        self._began = perf_counter()  # the loop's own clock counts whole milliseconds
        self._first = 0.0
        self.name = name
        self.headers = headers
        self.id = request_id(headers)
        self.request: Request | None = None
        self.reply: Reply | None = None
        self.trace: Trace | None = None
        self.status = 200
        self.code = ""
        self.streaming = False

    def answered(self) -> None:
        """The first byte is about to be sent."""
        self._first = perf_counter() - self._began

    def refused(self, refusal: Refusal) -> None:
        """An error is about to be sent."""
        self.status, self.code = refusal.status, refusal.code

    def record(self) -> Record:
        """All that there is to say, once it is over."""
        request, reply = self.request, self.reply
        answer = reply.answer if reply is not None else None
        waited_s = reply.upstream_first_byte_s if reply is not None else None
        return Record(
            request_id=self.id,
            endpoint=self.name,
            tenant=request.caller.label if request is not None else "unknown",
            feature=request.policy.feature if request is not None else "unknown",
            model=request.ask.model if request is not None else "",
            outcome=reply.outcome if reply is not None and not self.code else None,
            status=self.status,
            code=self.code,
            duration_s=perf_counter() - self._began,
            first_byte_s=self._first,
            overhead_s=None if waited_s is None else self._first - waited_s,
            usage=answer.usage if answer is not None else None,
            spent_nanousd=reply.spent_nanousd if reply is not None else None,
            saved_nanousd=reply.saved_nanousd if reply is not None else None,
            request=request,
            answer_model=answer.model if answer is not None else "",
            trace=self.trace,
            answered_by=reply.answered_by if self.trace is not None and reply is not None else None,
        )

"""Any server that speaks OpenAI's API: OpenAI itself, vLLM, llama.cpp, Ollama."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import aiohttp
import orjson

from askonce import __version__
from askonce.errors import Sharing, UpstreamFailure
from askonce.upstreams.refusals import Refused, read_refusal, transient
from askonce.upstreams.sse import EventReader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from askonce.model import Call, Json
    from askonce.ports import Clock

__all__ = ["OpenAIUpstream", "Server"]

_MAX_ERROR_BYTES: Final = 65_536
_MAX_HEADER_BYTES: Final = 65_536
_STALE_S: Final = 1.0
"""A reused connection that is closed this soon was closed before it took the request, by all that can be told."""
_SHOWN_HEADERS: Final = ("openai-", "x-ratelimit-", "ratelimit-")
_END_MARK: Final = b"[DONE]"
_CALL_ID: Final = "X-Client-Request-Id"
"""OpenAI documents it: a request can be asked after by this name, also where it wasn't answered."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is and how long it is waited for (seconds).

    A call goes out with the one of `keys` that it carries, else with the first; without keys, with the caller's
    credential where `pass_through` says so.
    """

    name: str
    base_url: str
    keys: tuple[str, ...] = ()
    pass_through: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    connect_timeout_s: float = 5.0
    first_byte_timeout_s: float = 600.0
    idle_timeout_s: float = 60.0
    max_connections: int = 512
    max_response_bytes: int = 64 * 2**20
    respect_cache_control: bool = True


_over_used: ContextVar[bool] = ContextVar("over_used", default=False)
"""Whether this task's request went over a connection that had been used before."""


class _Connector(aiohttp.TCPConnector):
    """A pool that says so: aiohttp's tracing would too, for a fifth of a call's CPU."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own
    ) -> Connection:
        """A connection for a request."""
        connection = await super().connect(req, traces, timeout)
        protocol = connection.protocol
        _over_used.set(getattr(protocol, "askonce_used", False))
        protocol.askonce_used = True  # type: ignore[union-attr]
        return connection


class OpenAIUpstream:
    """One server behind a pool of connections. Never follows redirects, and never asks twice.

    The exception is a pooled connection that the server has closed meanwhile, as any server does with idle ones: a
    request that met such an end goes out again, over another connection.
    """

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    @property
    def name(self) -> str:
        """The name in the configuration."""
        return self._server.name

    async def open(self, call: Call) -> OpenAIReply:
        """Sends a call and waits for its status. Raises UpstreamFailure."""
        headers = {
            "Content-Type": "application/json",
            **dict(call.headers),
            **({_CALL_ID: call.id} if call.id else {}),
            **(call.trace.headers if call.trace is not None else {}),
            **self._authorization(call.credential),
        }
        response = await self._send("POST", call.path or call.endpoint.value, headers, call.body)
        return await self._accepted(response, call)

    async def models(self, credential: str | None) -> list[Json]:
        """The server's list of models. Raises UpstreamFailure."""
        response = await self._send("GET", "models", self._authorization(credential), None)
        try:
            if response.status != 200:  # noqa: PLR2004 - HTTP's OK
                raise await self._refused(response)
            listing = orjson.loads(await self._body(response, self._server.max_response_bytes))
        except orjson.JSONDecodeError:
            raise transient(
                502, "upstream_garbage", f"{self.name} sent a model list that isn't JSON."
            ) from None
        finally:
            response.release()
        data = listing.get("data") if isinstance(listing, dict) else None
        return [model for model in data if isinstance(model, dict)] if isinstance(data, list) else []

    async def close(self) -> None:
        """Closes pooled connections."""
        if self._session is not None:
            await self._session.close()

    def _authorization(self, credential: str | None) -> dict[str, str]:
        server = self._server
        key = credential if server.pass_through else None
        if server.keys:
            key = credential if credential in server.keys else server.keys[0]
        return {**self._server.headers, **({"Authorization": f"Bearer {key}"} if key else {})}

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(limit=self._server.max_connections, ttl_dns_cache=60),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._server.connect_timeout_s),
                headers={"User-Agent": f"askonce/{__version__}"},
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=_MAX_HEADER_BYTES,
                max_field_size=_MAX_HEADER_BYTES,
            )
        return self._session

    async def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        server = self._server
        url = f"{server.base_url.rstrip('/')}/{path}"
        try:
            async with asyncio.timeout(server.first_byte_timeout_s):
                return await self._exchange(method, url, headers, body)
        except aiohttp.ConnectionTimeoutError:
            sentence = f"{self.name} could not be connected to in time."
            raise transient(504, "upstream_unreachable", sentence, began=False) from None
        except TimeoutError:
            raise transient(
                504, "upstream_timeout", f"{self.name} did not answer in time; try again."
            ) from None
        except aiohttp.ClientResponseError:
            raise transient(502, "upstream_garbage", f"{self.name} answered with broken HTTP.") from None
        except (aiohttp.ClientError, OSError) as error:
            connected = not isinstance(error, aiohttp.ClientConnectorError)
            sentence = f"{self.name} could not be reached ({type(error).__name__})."
            raise transient(502, "upstream_unreachable", sentence, began=connected) from None

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        """One request and its response's head; each stale connection that it meets is one less in the pool."""
        session, loop = self._connected(), asyncio.get_running_loop()
        while True:
            began = loop.time()
            _over_used.set(False)
            try:
                return await session.request(method, url, data=body, headers=headers, allow_redirects=False)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if not _over_used.get() or loop.time() - began > _STALE_S:
                    raise

    async def _accepted(self, response: aiohttp.ClientResponse, call: Call) -> OpenAIReply:
        wanted = "text/event-stream" if call.stream else "json"
        if response.status == 200 and wanted in response.headers.get("Content-Type", ""):  # noqa: PLR2004 - HTTP's OK
            return OpenAIReply(response, self._server, streamed=call.stream)
        try:
            raise await self._refused(response)
        finally:
            response.release()

    async def _body(self, response: aiohttp.ClientResponse, max_bytes: int = _MAX_ERROR_BYTES) -> bytes:
        """A body that isn't an answer, as far as it comes in time and fits."""
        body = b""
        try:
            async with asyncio.timeout(self._server.idle_timeout_s):
                while len(body) < max_bytes and (part := await response.content.readany()):
                    body += part
        except (TimeoutError, aiohttp.ClientError, OSError):
            pass
        return body

    async def _refused(self, response: aiohttp.ClientResponse) -> UpstreamFailure:
        """What a status other than an accepted 200 means, for whom."""
        refused = Refused(response.status, response.headers, await self._body(response))
        own_key = bool(self._server.keys) or not self._server.pass_through
        return read_refusal(self.name, refused, own_key=own_key, now=self._clock.now())


class OpenAIReply:
    """An accepted call: its body, or its events."""

    def __init__(self, response: aiohttp.ClientResponse, server: Server, *, streamed: bool) -> None:
        self.streamed = streamed
        self._response = response
        self._server = server
        self._events = EventReader(server.max_response_bytes)
        self._received = 0
        self._finished = False
        directives = response.headers.get("Cache-Control", "").lower() if server.respect_cache_control else ""
        self.no_store = "no-store" in directives
        self.max_age_s = _max_age(directives)
        self.headers: Sequence[tuple[str, str]] = [
            (name.lower(), value)
            for name, value in response.headers.items()
            if name.lower().startswith(_SHOWN_HEADERS)
        ]

    @property
    def finished(self) -> bool:
        """Whether the end mark was seen."""
        return self._finished

    async def body(self) -> bytes:
        """The whole JSON body. Raises UpstreamFailure."""
        parts = []
        while data := await self._more():
            parts.append(data)
        return b"".join(parts)

    async def read(self) -> Sequence[bytes]:
        """The next events' JSON payloads; empty at the end. Raises UpstreamFailure."""
        while not self._finished:
            data = await self._more()
            try:
                events = self._events.feed(data) if data else self._events.end()
            except ValueError:
                raise self._too_large() from None
            if _END_MARK in events:
                self._finished = True
                events = events[: events.index(_END_MARK)]
            if events or not data:
                return events
        return ()

    async def aclose(self) -> None:
        """Gives the connection back, or cuts it where the answer wasn't read to its end."""
        if self._finished and not self._response.content.is_eof():
            try:
                async with asyncio.timeout(1):
                    await self._response.content.readany()
            except (TimeoutError, aiohttp.ClientError, OSError):
                pass
        if self._response.content.is_eof():
            self._response.release()
        else:
            self._response.close()

    async def _more(self) -> bytes:
        if self._response.content.at_eof():
            return b""
        name = self._server.name
        try:
            async with asyncio.timeout(self._server.idle_timeout_s):
                data = await self._response.content.readany()
        except TimeoutError:
            seconds = self._server.idle_timeout_s
            raise transient(504, "upstream_timeout", f"{name} fell silent for {seconds:g} s.") from None
        except (aiohttp.ClientError, OSError):
            raise transient(
                502, "upstream_broke_off", f"{name} broke off in the middle of its answer."
            ) from None
        self._received += len(data)
        if self._received > self._server.max_response_bytes:
            raise self._too_large()
        return data

    def _too_large(self) -> UpstreamFailure:
        sentence = f"{self._server.name}'s answer is larger than {self._server.max_response_bytes} bytes."
        return UpstreamFailure(502, "upstream_too_large", sentence, sharing=Sharing.FATAL, began=True)


def _max_age(directives: str) -> float | None:
    for directive in directives.split(","):
        name, _, value = directive.strip().partition("=")
        if name in {"max-age", "s-maxage"} and value.strip('"').isdigit():
            return float(value.strip('"'))
    return None

"""An upstream that misbehaves on the wire: the model's name says how. Raw sockets, so that nothing is put right."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import queue
import threading
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

__all__ = ["BEHAVIOURS", "CONTENT", "MODELS", "Misbehaving", "misbehaving"]

MODELS: Final = 5_000
"""Length of the list of models."""
CONTENT: Final = "Good answer: ünïcödé."
_CHUNK: Final = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1_700_000_000,
    "model": "m",
}
_USAGE: Final = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def event(**choice: Any) -> dict[str, Any]:
    """One chunk of a stream."""
    return {**_CHUNK, "choices": [{"index": 0, "finish_reason": None, "delta": {}, **choice}]}


def whole(**fields: Any) -> dict[str, Any]:
    """A plain answer, with other fields than it should have."""
    message = {"role": "assistant", "content": CONTENT}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _USAGE,
        **fields,
    }


_WORDS: Final = CONTENT.split(" ")
_EVENTS: Final = [
    event(delta={"role": "assistant", "content": ""}),
    *(event(delta={"content": word if not n else " " + word}) for n, word in enumerate(_WORDS)),
    event(finish_reason="stop"),
]
_LINES: Final = [json.dumps(one).encode() for one in _EVENTS]


def sse(lines: list[bytes], end: bytes = b"\n\n", prefix: bytes = b"data: ") -> bytes:
    """Events as they are sent."""
    return b"".join(prefix + line + end for line in lines)


def head(status: str = "200 OK", **headers: object) -> bytes:
    """A response's head: JSON unless said otherwise, and `connection: close` unless a length is given."""
    named = {
        "content-type": "application/json",
        **{name.replace("_", "-"): headers[name] for name in headers},
    }
    if "content-length" not in named:
        named["connection"] = "close"
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode()


def answer(body: object, status: str = "200 OK", **headers: object) -> bytes:
    """A whole JSON response."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head(status, content_length=len(raw), **headers) + raw


def stream(body: bytes, **headers: str) -> bytes:
    """A whole stream, ended by closing the connection."""
    return head(content_type="text/event-stream", **headers) + body


_DONE: Final = b"data: [DONE]\n\n"
_GOOD: Final = sse(_LINES) + _DONE
_LONG: Final = "x" * 8 * 2**20
Behaviour: TypeAlias = "bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]"


async def _hang(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


def _then_hang(start: bytes) -> Behaviour:
    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        await asyncio.sleep(60)

    return behave


async def _byte_by_byte(writer: asyncio.StreamWriter) -> None:
    writer.write(stream(b""))
    for byte in _GOOD:
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0)


def _multi_line(line: bytes) -> bytes:
    """One event's JSON over several `data` lines: a reader puts line feeds between them."""
    return b": a comment\nevent: message\nid: 7\nretry: 10\n" + line.replace(b', "', b',\ndata: "').join(
        (b"data: ", b"\n\n")
    )


BEHAVIOURS: Final[dict[str, Behaviour]] = {
    "plain": answer(whole()),
    "hang": _hang,
    "hang-after-head": _then_hang(head(content_length=100)),
    "hang-in-body": _then_hang(head(content_length=100) + b'{"id": '),
    "hang-in-stream": _then_hang(stream(sse(_LINES[:3]))),
    "byte-by-byte": _byte_by_byte,
    "crlf": stream(sse(_LINES, b"\r\n\r\n") + b"data: [DONE]\r\n\r\n"),
    "cr": stream(sse(_LINES, b"\r\r") + b"data: [DONE]\r\r"),
    "bom": stream(b"\xef\xbb\xbf" + _GOOD),
    "no-space": stream(sse(_LINES, prefix=b"data:") + b"data:[DONE]\n\n"),
    "multi-line": stream(b"".join(map(_multi_line, _LINES)) + _DONE),
    "no-done": stream(sse(_LINES)),
    "no-last-empty-line": stream(sse(_LINES) + b"data: [DONE]"),
    "no-finish-no-done": stream(sse(_LINES[:-1])),
    "empty-stream": stream(b""),
    "only-done": stream(_DONE),
    "after-done": stream(_GOOD + sse(_LINES)),
    "huge-event": stream(sse([json.dumps(event(delta={"content": _LONG})).encode(), *_LINES[-1:]]) + _DONE),
    "invalid-utf8-stream": stream(
        sse([*_LINES[:2], b'{"choices": [{"delta": {"content": "\xff"}}]}']) + _DONE
    ),
    "invalid-utf8": answer(json.dumps(whole()).encode().replace(b"Good", b"\xff\xfe")),
    "error-in-stream": stream(sse([*_LINES[:3], b'{"error": {"message": "Out of memory.", "code": "oom"}}'])),
    "error-in-200": answer({"error": {"message": "No credits left.", "type": "billing", "code": "broke"}}),
    "gzip": answer(gzip.compress(json.dumps(whole()).encode()), content_encoding="gzip"),
    "gzip-stream": stream(gzip.compress(_GOOD), content_encoding="gzip"),
    "gzip-broken": answer(b"\x1f\x8b nonsense", content_encoding="gzip"),
    "unknown-encoding": answer(b"nonsense", content_encoding="zstd-or-so"),
    "redirect": answer(b"", "302 Found", location="/v1/chat/completions"),
    "no-content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "text": answer(whole(), content_type="text/plain"),
    "html": answer(b"<h1>Hello</h1>", content_type="text/html"),
    "gone": answer({"error": {"message": "That model is gone.", "code": "model_gone"}}, "410 Gone"),
    "legal": answer({"error": {"message": "Not in your country."}}, "451 Unavailable For Legal Reasons"),
    "detail": answer({"detail": "Not Found"}, "404 Not Found"),
    "status-999": answer({"error": {"message": "Odd."}}, "999 Request Denied"),
    "retry-date": answer(
        {"error": {"message": "Later."}}, "429 Too Many", retry_after="Fri, 31 Dec 2049 23:59:59 GMT"
    ),
    "retry-past": answer(
        {"error": {"message": "Later."}}, "429 Too Many", retry_after="Fri, 31 Dec 1999 23:59:59 GMT"
    ),
    "retry-infinite": answer({"error": {"message": "Later."}}, "429 Too Many", retry_after="1e999"),
    "retry-nonsense": answer({"error": {"message": "Later."}}, "429 Too Many", retry_after="a while, -3"),
    "odd-code": answer(
        {"error": {"message": "No.", "code": "a\r\nSet-Cookie: b=c\r\n", "type": "x" * 99}}, "400 Bad Request"
    ),
    "listed-code": answer({"error": {"message": ["No."], "code": {"a": ["b"]}}}, "400 Bad Request"),
    "latin-headers": answer(whole()).replace(b"content-type", b"x-ratelimit-note: caf\xe9\r\ncontent-type"),
    "duplicate-keys": answer(json.dumps(whole())[:-1].encode() + b', "choices": [], "usage": null}'),
    "negative-usage": answer(whole(usage={"prompt_tokens": -5, "completion_tokens": -1, "total_tokens": -6})),
    "enormous-usage": answer(
        whole(usage={"prompt_tokens": 2**64 - 1, "completion_tokens": 2**63, "total_tokens": 10**40})
    ),
    "odd-usage": answer(
        whole(
            usage={
                "prompt_tokens": "7",
                "completion_tokens": None,
                "prompt_tokens_details": {"cached_tokens": 99},
            }
        )
    ),
    "usage-list": answer(whole(usage=[1, 2])),
    "choices-null": answer(whole(choices=None)),
    "choices-empty": answer(whole(choices=[])),
    "message-missing": answer(whole(choices=[{"index": 0, "finish_reason": "stop"}])),
    "index-odd": answer(whole(choices=[{"index": "x", "finish_reason": ["stop"], "message": "text"}])),
    "list-body": answer([whole()]),
    "no-http": b"220 smtp.example.org ESMTP\r\n",
    "close-at-once": b"",
    "long-header": answer(whole(), x_ratelimit_long="y" * 20_000),
    "plain-for-stream": answer(whole()),
}


class Misbehaving:
    """The server and what it was asked.

    Attributes:
        base_url: Where it listens.
        server: What listens.
        calls: Requests received in whole.
        connections: Connections accepted.
        drop_reused: Whether to close a connection on its second request, without a word.
    """

    server: asyncio.Server

    def __init__(self) -> None:
        self.base_url = ""
        self.calls = 0
        self.connections = 0
        self.drop_reused = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers the requests of one connection."""
        self.connections += 1
        try:
            nth = 0
            while await self._one(reader, writer, nth):
                nth += 1
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, nth: int) -> bool:
        """Answers a request; whether the connection may be used again."""
        request = await reader.readuntil(b"\r\n\r\n")
        if request.startswith(b"GET /v1/models "):
            writer.write(
                answer({"data": [{"id": f"model-{number}", "object": "model"} for number in range(MODELS)]})
            )
            return True
        length = next(
            int(line.split(b":")[1])
            for line in request.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        body = json.loads(await reader.readexactly(length))
        if nth and self.drop_reused:
            return False
        self.calls += 1
        behaviour = BEHAVIOURS[body["model"]]
        if not isinstance(behaviour, bytes):
            await behaviour(writer)
            return False
        writer.write(behaviour)
        await writer.drain()
        return b"content-length: " in behaviour


@contextlib.contextmanager
def misbehaving() -> Iterator[Misbehaving]:
    """The server, on a loop of its own in a thread."""
    told = Misbehaving()
    stopping: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()

    async def serve() -> None:
        stop = asyncio.Event()
        server = told.server = await asyncio.start_server(told.serve, "127.0.0.1", 0)
        told.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        loop = asyncio.get_running_loop()
        stopping.put(lambda: loop.call_soon_threadsafe(stop.set))
        await stop.wait()
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    stop = stopping.get()
    try:
        yield told
    finally:
        stop()
        thread.join()

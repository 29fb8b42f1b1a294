"""HTTP itself, over bare sockets: what no well-behaved client would send."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from servers import Server, gateway, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import CallCounter

CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-raw\r\n"


class Wire:
    """One connection."""

    def __init__(self, server: Server) -> None:
        host, _, port = server.root.removeprefix("http://").rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self._file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next response that isn't an interim one."""
        status = int(self._file.readline().split(b" ")[1])
        headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        if status == 100:
            return self.answer()
        return status, headers, self._file.read(int(headers["content-length"]))

    @property
    def closed(self) -> bool:
        """Whether the server has closed its side."""
        try:
            return not self._file.read(1)
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._file.close()
        self.socket.close()


@contextlib.contextmanager
def connected(server: Server) -> Iterator[Wire]:
    wire = Wire(server)
    try:
        yield wire
    finally:
        wire.close()


def body(text: str, **fields: object) -> bytes:
    return json.dumps(
        {"model": "sim-small", "messages": [{"role": "user", "content": text}], **fields}
    ).encode()


def chat(raw: bytes, headers: bytes = b"") -> bytes:
    return CHAT + headers + b"content-length: %d\r\n\r\n" % len(raw) + raw


def code(raw: bytes) -> str:
    found: str = json.loads(raw)["error"]["code"]
    return found


def test_pipelined_requests_are_answered_in_order(plain: Server, question: str) -> None:
    """Ten requests in one write, bad ones among them: ten answers, in that order, over one connection."""
    with connected(plain) as wire:
        requests = [chat(body(f"{question} {n}") if n % 3 else b"{") for n in range(10)]
        wire.send(b"".join(requests))
        statuses = [wire.answer()[0] for _ in requests]
    assert statuses == [200 if n % 3 else 400 for n in range(10)]


def test_a_connection_outlives_errors(plain: Server, question: str) -> None:
    """After each error that read its request to the end, the same connection takes the next one."""
    with connected(plain) as wire:
        for request, status in (
            (chat(b"{"), 400),
            (chat(body("x"), b"content-encoding: gzip\r\n"), 415),
            (chat(body("x"), b"x-askonce-feature: none\r\n"), 403),
            (chat(body("x"), b"x-askonce-timeout: soon\r\n"), 400),
            (b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n", 404),
            (b"DELETE /v1/chat/completions HTTP/1.1\r\nhost: x\r\n\r\n", 405),
            (chat(body(question)), 200),
        ):
            wire.send(request)
            assert wire.answer()[0] == status


def test_identity_is_no_encoding(plain: Server, question: str) -> None:
    """`Content-Encoding: identity` says that there is none."""
    with connected(plain) as wire:
        wire.send(chat(body(question), b"content-encoding: identity\r\n"))
        assert wire.answer()[0] == 200


def test_expect_100_continue(plain: Server, question: str) -> None:
    """A client that waits to be told to go on is told."""
    raw = body(question)
    with connected(plain) as wire:
        wire.send(CHAT + b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(raw))
        assert wire.socket.recv(100).startswith(b"HTTP/1.1 100 ")
        wire.send(raw)
        wire.socket.recv(1, socket.MSG_PEEK)
        assert wire.answer()[0] in {100, 200}


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, provider: Server) -> Iterator[Server]:
    """A gateway with small limits."""
    config = (
        f"upstreams: [{{name: p, base_url: '{provider.base_url}'}}]\ndefaults: {{semantic: 'off', linger: 100ms}}\n"
        "limits: {max_body_bytes: 64KiB, body_timeout: 300ms}\n"
    )
    with gateway(tmp_path_factory.mktemp("narrow"), config) as server:
        yield server


def test_chunked_bodies_are_bounded(narrow: Server) -> None:
    """A body without length is refused at its end, and an endless one before; then nothing more is read."""
    part = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    for parts, ending in ((6, b"0\r\n\r\n"), (40, b"")):
        with connected(narrow) as wire, contextlib.suppress(ConnectionError):
            wire.send(CHAT + b"transfer-encoding: chunked\r\n\r\n")
            for _ in range(parts):
                wire.send(part)
            wire.send(ending)
            status, _, answer = wire.answer()
            assert (status, code(answer)) == (413, "request_too_large")
            assert wire.closed


def test_bodies_that_drip(narrow: Server) -> None:
    """A body that doesn't come in time: 408, and the connection ends, however slowly the rest would come."""
    with connected(narrow) as wire:
        wire.send(CHAT + b"content-length: 1000\r\n\r\n{")
        status, headers, answer = wire.answer()
        assert (status, code(answer)) == (408, "request_timeout")
        assert headers["connection"] == "close"
        assert wire.closed


@pytest.mark.parametrize("start", [b"POST /v1/chat/completions HTTP/1.1\r\nx: ", b"GET /"])
def test_heads_are_bounded(plain: Server, start: bytes) -> None:
    """A header, or an address, that never ends is cut off; and the answer says why where it can still be read."""
    with connected(plain) as wire:
        wire.send(start)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 4 * 2**20:
                wire.send(b"y" * 2**14)
                sent += 2**14
        assert sent < 4 * 2**20


def test_several_lines_of_a_header_are_one_list(plain: Server, question: str, calls: CallCounter) -> None:
    """No line hides another: `no-store` counts wherever it stands, and two credentials are none that anybody has."""
    with connected(plain) as wire:
        for _ in range(2):
            wire.send(chat(body(question), b"cache-control: no-store\r\ncache-control: max-age=60\r\n"))
            assert wire.answer()[0] == 200
    assert calls.new == 2


def test_two_credentials_are_nobodys(tmp_path: Path, provider: Server) -> None:
    """A second `Authorization` doesn't replace the first, whatever stood before the gateway has looked at."""
    digest = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"  # SHA-256 of "password"
    config = (
        f"upstreams: [{{name: p, base_url: '{provider.base_url}', api_key: x}}]\ndefaults: {{semantic: 'off'}}\n"
        f"tenants: [{{name: acme, keys: ['sha256:{digest}']}}]\n"
    )
    with gateway(tmp_path, config) as server, connected(server) as wire:
        for value, status in ((b"password", 200), (b"other\r\nauthorization: Bearer password", 401)):
            wire.send(chat(body("hi")).replace(b"sk-raw", value))
            assert wire.answer()[0] == status


@pytest.mark.parametrize("reset", [False, True])
def test_streams_that_are_dropped_leave_nothing(narrow: Server, question: str, *, reset: bool) -> None:
    """Sixty clients that vanish in the middle of their streams: no flight, no log and no connection is left."""
    request = chat(body(question, stream=True, max_tokens=400, x_simulate={"tokens": 400, "ttft_ms": 20}))
    before = open_files(narrow)
    wires = [Wire(narrow) for _ in range(60)]
    for number, wire in enumerate(wires):
        wire.send(request.replace(question.encode(), f"{number % 20:02d}{question[2:]}".encode()))
    for wire in wires:
        wire.socket.recv(200)
        if reset:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wire.close()
    until(lambda: not narrow.metric("askonce_flights_running"), "flights end")
    assert narrow.metric("askonce_log_bytes") == 0
    assert narrow.metric("askonce_flight_callers") == 0
    until(lambda: open_files(narrow) <= before + 25, "connections end")  # those to the upstream stay


def open_files(server: Server) -> int:
    """How many files and sockets the process has open."""
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def test_odd_request_ids(plain: Server, question: str) -> None:
    """A sane `X-Request-Id` comes back; one that is long, odd or given twice is replaced."""
    with connected(plain) as wire:
        for given, kept in ((b"job-7/a:b", True), (b"x" * 129, False), (b"a b", False), (b"caf\xe9", False)):
            wire.send(chat(body(question), b"x-request-id: " + given + b"\r\n"))
            assert (wire.answer()[1]["x-request-id"] == given.decode("latin-1")) is kept
        wire.send(chat(body(question), b"X-REQUEST-ID: a\r\nx-request-id: b\r\n"))
        assert wire.answer()[1]["x-request-id"].startswith("req_")

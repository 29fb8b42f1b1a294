"""OpenAI's Batch API, as servers speak it and as they don't."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import BodyPartReader, web

from askonce.errors import Sharing, UpstreamFailure
from askonce.job import RemoteState
from askonce.observe.clock import SystemClock
from askonce.upstreams.batch_api import OpenAIBatchApi
from askonce.upstreams.openai import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path


class Provider:
    """A server that answers what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.uploaded: dict[str, Any] = {}
        self.answers: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {}
        self.api: OpenAIBatchApi

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path_qs, dict(request.headers)))
        if request.path == "/v1/files" and request.method == "POST":
            async for part in await request.multipart():
                assert isinstance(part, BodyPartReader)
                assert part.name is not None
                self.uploaded[part.name] = part.filename, (await part.read()).decode()
        return await self.answers[f"{request.method} {request.path}"](request)

    def says(self, what: str, body: Any, status: int = 200) -> None:
        async def answer(_: web.Request) -> web.StreamResponse:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            return web.Response(body=raw, status=status, content_type="application/json")

        self.answers[what] = answer


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider, app = Provider(), web.Application()
    app.router.add_route("*", "/{path:.*}", provider.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    provider.api = OpenAIBatchApi(
        Server("provider", base_url, ("sk-first", "sk-second"), max_response_bytes=1_000, idle_timeout_s=1.0),
        SystemClock(),
    )
    yield provider
    await provider.api.close()
    await runner.cleanup()


async def test_a_file_is_uploaded_as_a_form(provider: Provider, tmp_path: Path) -> None:
    """Purpose and name as fields, always with the first of several keys: files belong to whoever made them."""
    file = tmp_path / "x.jsonl"
    file.write_text('{"custom_id":"a"}\n')
    provider.says("POST /v1/files", {"id": "file-1"})
    with file.open("rb") as opened:
        assert await provider.api.upload("askonce-x.jsonl", opened) == "file-1"
    assert provider.uploaded["purpose"][1] == "batch"
    assert provider.uploaded["file"] == ("askonce-x.jsonl", '{"custom_id":"a"}\n')
    _, _, headers = provider.asked[0]
    assert headers["Authorization"] == "Bearer sk-first"
    assert int(headers["Content-Length"]) > 0


async def test_a_batch_is_found_by_its_mark_however_far_down(provider: Provider) -> None:
    """Lists are read page by page; foreign batches and odd metadata are passed over."""

    async def page(request: web.Request) -> web.StreamResponse:
        start = int(request.query.get("after", "batch-0").removeprefix("batch-"))
        batches: list[dict[str, Any]] = [
            {"id": f"batch-{start + 1 + index}", "status": "in_progress", "metadata": None}
            for index in range(3)
        ]
        if start == 6:
            batches[1]["metadata"] = {"askonce_batch": "mine"}
        return web.json_response({"data": batches, "has_more": start < 9})

    provider.answers["GET /v1/batches"] = page
    found = await provider.api.find("mine")
    assert found is not None
    assert (found.id, found.state) == ("batch-8", RemoteState.RUNNING)
    assert await provider.api.find("another") is None


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("validating", RemoteState.RUNNING),
        ("finalizing", RemoteState.RUNNING),
        ("cancelling", RemoteState.RUNNING),
        ("something-new", RemoteState.RUNNING),
        ("completed", RemoteState.ENDED),
        ("expired", RemoteState.ENDED),
        ("cancelled", RemoteState.ENDED),
        ("failed", RemoteState.FAILED),
    ],
)
async def test_states_are_understood(provider: Provider, status: str, state: RemoteState) -> None:
    """Also what a batch's files are, and why it failed."""
    body = {
        "id": "batch-1", "status": status, "output_file_id": "out", "error_file_id": None, "input_file_id": "in",
        "errors": {"data": [{"code": "token_limit_exceeded", "message": "Too many."}]},
    }  # fmt: skip
    provider.says("GET /v1/batches/batch-1", body)
    batch = await provider.api.retrieve("batch-1")
    assert (batch.state, batch.status) == (state, status)
    assert (batch.output_files, batch.input_file, batch.reason) == (("out",), "in", "token_limit_exceeded")


async def test_results_come_line_by_line(provider: Provider) -> None:
    """Whatever the chunks and empty lines; the last one may have no end."""
    provider.says("GET /v1/files/out/content", b'{"a":1}\n\n{"b":2}\n{"c":3}')
    assert [line async for line in provider.api.results("out")] == [b'{"a":1}', b'{"b":2}', b'{"c":3}']


async def test_a_result_that_is_too_large_costs_itself_alone(provider: Provider) -> None:
    """It is passed over, however many chunks it fills; those around it come."""
    lines = [b'{"a":1}', b"x" * 200_000, b'{"b":2}', b"y" * 1_001, b'{"c":3}', b"z" * 70_000]
    provider.says("GET /v1/files/out/content", b"\n".join(lines))
    assert [line async for line in provider.api.results("out")] == lines[::2]


@pytest.mark.parametrize("how", ["torn", "missing"])
async def test_results_that_break_off_are_a_failure(provider: Provider, how: str) -> None:
    """Never a short file that passes for a whole one."""

    async def torn(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"a":1}\n')
        assert request.transport is not None
        request.transport.close()
        return response

    provider.answers["GET /v1/files/out/content"] = torn
    if how == "missing":
        provider.says("GET /v1/files/out/content", {"error": {"message": "No such file."}}, 404)
    with pytest.raises(UpstreamFailure) as failed:
        [line async for line in provider.api.results("out")]
    assert failed.value.sharing is (Sharing.FATAL if how == "missing" else Sharing.TRANSIENT)


@pytest.mark.parametrize(
    ("body", "status", "code", "sharing"),
    [
        (b"<html>", 200, "upstream_garbage", Sharing.TRANSIENT),
        (b"[]", 200, "upstream_garbage", Sharing.TRANSIENT),
        (b"{}", 200, "upstream_garbage", Sharing.TRANSIENT),
        (b'{"data":[]}', 200, "upstream_garbage", Sharing.TRANSIENT),
        (b'{"id":null,"status":"validating"}', 200, "upstream_garbage", Sharing.TRANSIENT),
        (b"{}", 503, "upstream_503", Sharing.TRANSIENT),
        (
            b'{"error":{"message":"Slow down.","code":"rate_limit_exceeded"}}',
            429,
            "rate_limit_exceeded",
            Sharing.TRANSIENT,
        ),
        (b'{"error":{"message":"Bad key."}}', 401, "upstream_credential", Sharing.FATAL),
        (b'{"error":{"message":"No.","code":"invalid_file"}}', 400, "invalid_file", Sharing.FATAL),
        (b"", 302, "upstream_garbage", Sharing.TRANSIENT),
    ],
)
async def test_refusals_say_whether_another_try_may_help(
    provider: Provider, body: bytes, status: int, code: str, sharing: Sharing
) -> None:
    """By status and code, as everywhere; a page of a proxy is no batch."""
    provider.says("POST /v1/batches", body, status)
    with pytest.raises(UpstreamFailure) as failed:
        await provider.api.create("file-1", "chat/completions", "mine")
    assert (failed.value.code, failed.value.sharing) == (code, sharing)


async def test_nobody_there_is_a_passing_failure() -> None:
    """A connection that isn't made."""
    api = OpenAIBatchApi(Server("provider", "http://127.0.0.1:9/v1", ("sk",)), SystemClock())
    with pytest.raises(UpstreamFailure) as failed:
        await api.cancel("batch-1")
    await api.close()
    assert failed.value.sharing is Sharing.TRANSIENT

"""OpenAI's Batch API: files of requests up, files of results down.

No call is repeated here: whoever asks knows what may be asked twice.
"""

from __future__ import annotations

import asyncio
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import quote

import aiohttp
import orjson

from askonce import __version__
from askonce.job import RemoteBatch, RemoteState
from askonce.upstreams.refusals import Refused, read_refusal, transient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from askonce.model import Json
    from askonce.ports import Clock
    from askonce.upstreams.openai import Server

__all__ = ["OpenAIBatchApi"]

_MARK: Final = "askonce_batch"
"""The key of a batch's metadata that holds our intent."""
_WINDOW: Final = "24h"
_PAGE: Final = 100
_PAGES: Final = 20
"""How far back a file or batch is looked for."""
_MAX_ANSWER_BYTES: Final = 16 * 2**20
_PART_BYTES: Final = 2**16
_UPLOAD_S: Final = 600.0
_CALL_S: Final = 60.0
_STATES: Final[Mapping[str, RemoteState]] = {
    "completed": RemoteState.ENDED,
    "expired": RemoteState.ENDED,
    "cancelled": RemoteState.ENDED,
    "failed": RemoteState.FAILED,
}
"""Any other state is one on the way."""
_OK: Final = range(200, 300)


class OpenAIBatchApi:
    """The Batch API of one server, asked with the gateway's own key."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def upload(self, name: str, file: IO[bytes]) -> str:
        """Uploads a file of requests; returns its id. Raises UpstreamFailure."""
        form = aiohttp.FormData()
        form.add_field("purpose", "batch")
        form.add_field("file", file, filename=name, content_type="application/jsonl")
        return str((await self._one("POST", "files", data=form, timeout_s=_UPLOAD_S))["id"])

    async def find_file(self, name: str) -> str | None:
        """The latest file of that name. Raises UpstreamFailure."""
        async for file in self._listed("files", {"purpose": "batch", "order": "desc"}):
            if file.get("filename") == name:
                return str(file["id"])
        return None

    async def create(self, file_id: str, endpoint: str, intent: str) -> RemoteBatch:
        """Makes a batch of a file. Raises UpstreamFailure."""
        wanted = {
            "input_file_id": file_id,
            "endpoint": f"/v1/{endpoint}",
            "completion_window": _WINDOW,
            "metadata": {_MARK: intent},
        }
        return _remote(await self._one("POST", "batches", data=orjson.dumps(wanted)))

    async def find(self, intent: str) -> RemoteBatch | None:
        """The batch of that intent. Raises UpstreamFailure."""
        async for batch in self._listed("batches", {}):
            metadata = batch.get("metadata")
            if isinstance(metadata, dict) and metadata.get(_MARK) == intent:
                return _remote(batch)
        return None

    async def retrieve(self, batch_id: str) -> RemoteBatch:
        """How a batch stands. Raises UpstreamFailure."""
        return _remote(await self._one("GET", f"batches/{quote(batch_id, safe='')}"))

    async def cancel(self, batch_id: str) -> None:
        """Asks for a batch to be cancelled. Raises UpstreamFailure."""
        await self._call("POST", f"batches/{quote(batch_id, safe='')}/cancel")

    async def results(self, file_id: str) -> AsyncIterator[bytes]:
        """The lines of a result file, without those that are too large. Raises UpstreamFailure, also where it breaks off."""
        response = await self._send("GET", f"files/{quote(file_id, safe='')}/content", None, _CALL_S)
        line, most_bytes = bytearray(), self._server.max_response_bytes
        try:
            await self._check(response)
            while part := await self._part(response):
                first, *others = part.split(b"\n")
                line += first[: max(0, most_bytes + 1 - len(line))]
                for other in others:
                    if line.strip() and len(line) <= most_bytes:
                        yield bytes(line)
                    line = bytearray(other)
            if line.strip() and len(line) <= most_bytes:
                yield bytes(line)
        finally:
            response.close()

    async def delete_file(self, file_id: str) -> None:
        """Deletes a file. Raises UpstreamFailure."""
        await self._call("DELETE", f"files/{quote(file_id, safe='')}")

    async def close(self) -> None:
        """Closes pooled connections."""
        if self._session is not None:
            await self._session.close()

    async def _listed(self, path: str, query: Mapping[str, str]) -> AsyncIterator[Json]:
        """The latest objects of a list, page by page."""
        after = ""
        for _ in range(_PAGES):
            parameters = {**query, "limit": str(_PAGE), **({"after": after} if after else {})}
            query_text = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
            page = await self._call("GET", f"{path}?{query_text}")
            listed = page.get("data")
            if not isinstance(listed, list):
                raise self._garbage("no list")
            found = [one for one in listed if isinstance(one, dict) and one.get("id")]
            for one in found:
                yield one
            if not page.get("has_more") or not found:
                return
            after = str(found[-1]["id"])

    async def _call(self, method: str, path: str, *, data: Any = None, timeout_s: float = _CALL_S) -> Json:
        response = await self._send(method, path, data, timeout_s)
        try:
            await self._check(response)
            body = orjson.loads(await self._whole(response))
        except orjson.JSONDecodeError:
            raise self._garbage("something that isn't JSON") from None
        finally:
            response.release()
        if not isinstance(body, dict):
            raise self._garbage("JSON of another shape")
        return body

    async def _one(self, method: str, path: str, *, data: Any = None, timeout_s: float = _CALL_S) -> Json:
        """A call that is answered with one file or batch."""
        body = await self._call(method, path, data=data, timeout_s=timeout_s)
        if not isinstance(body.get("id"), str) or not body["id"]:
            raise self._garbage("an object without id")
        return body

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        if response.status not in _OK:
            refused = Refused(response.status, response.headers, await self._whole(response))
            raise read_refusal(self._server.name, refused, own_key=True, now=self._clock.now())

    async def _whole(self, response: aiohttp.ClientResponse) -> bytes:
        body = b""
        while len(body) < _MAX_ANSWER_BYTES and (part := await self._part(response)):
            body += part
        return body

    async def _part(self, response: aiohttp.ClientResponse) -> bytes:
        try:
            async with asyncio.timeout(self._server.idle_timeout_s):
                return await response.content.read(_PART_BYTES)
        except (TimeoutError, aiohttp.ClientError, OSError):
            sentence = f"{self._server.name} broke off in the middle of its answer."
            raise transient(502, "upstream_broke_off", sentence) from None

    async def _send(self, method: str, path: str, data: Any, timeout_s: float) -> aiohttp.ClientResponse:
        server = self._server
        # Files and batches belong to whoever made them: always the same of several keys.
        key = {"Authorization": f"Bearer {server.keys[0]}"} if server.keys else {}
        headers = {**server.headers, **key}
        if isinstance(data, bytes):
            headers["Content-Type"] = "application/json"
        url = f"{server.base_url.rstrip('/')}/{path}"
        try:
            async with asyncio.timeout(timeout_s):
                return await self._connected().request(
                    method, url, data=data, headers=headers, allow_redirects=False
                )
        except TimeoutError:
            raise transient(504, "upstream_timeout", f"{server.name} did not answer in time.") from None
        except (aiohttp.ClientError, OSError) as error:
            sentence = f"{server.name} could not be reached ({type(error).__name__})."
            raise transient(502, "upstream_unreachable", sentence) from None

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Idle connections aren't kept: calls are rare, and one that met a stale connection couldn't be repeated.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._server.connect_timeout_s),
                headers={"User-Agent": f"askonce/{__version__}"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def _garbage(self, what: str) -> Exception:
        return transient(502, "upstream_garbage", f"{self._server.name} sent {what}.")


def _remote(batch: Json) -> RemoteBatch:
    """A batch object, read leniently."""
    status = str(batch.get("status"))
    files = [batch.get(name) for name in ("output_file_id", "error_file_id")]
    errors = batch.get("errors")
    listed = errors.get("data") if isinstance(errors, dict) else None
    first = next((one for one in listed or [] if isinstance(one, dict)), {})
    return RemoteBatch(
        id=str(batch.get("id")),
        state=_STATES.get(status, RemoteState.RUNNING),
        status=status,
        input_file=str(batch.get("input_file_id") or ""),
        output_files=tuple(file for file in files if isinstance(file, str) and file),
        reason=str(first.get("code") or first.get("message") or ""),
    )

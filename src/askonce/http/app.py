"""The ASGI application: a look-up by path for inference, starlette for everything else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from askonce.errors import Refusal
from askonce.http.admin_gateway import reload_on_signal
from askonce.http.errors import error_response
from askonce.http.headers import joined, request_id
from askonce.http.inference import Dialect, Inference, OpenAIDialect
from askonce.http.native import NativeDialect
from askonce.http.operations import routes
from askonce.model import Endpoint
from askonce.wiring import open_gateway
from askonce.wiring.reload import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

    from askonce.config import Settings
    from askonce.http.asgi import Receive, Scope, Send
    from askonce.wiring import Running

__all__ = ["App"]


class App:
    """Everything that the gateway answers over HTTP; opened and closed with the server."""

    def __init__(self, settings: Settings, source: Path | None = None) -> None:
        """`source` is the file that the settings are from, to be read again on demand."""
        self._settings = settings
        self._source = source
        self._inference: dict[str, Inference] = {}
        self._rest = Starlette()
        self._running: Running | None = None

    def reload(self) -> None:
        """Reads the configuration again, in the background; what came of it is logged, and in the trail."""
        if self._running is not None:
            reload_on_signal(self._running)

    def drain(self) -> None:
        """The server takes no more requests: those that only wait come to their end."""
        if self._running is not None:
            self._running.drain()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            endpoint = self._inference.get(scope["path"])
            if endpoint is not None and scope["method"] == "POST":
                await endpoint(scope, receive, send)
                return
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        await self._rest(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Starts with the server and ends with it."""
        await receive()
        try:
            running = self._running = await open_gateway(self._settings, self._source)
        except (OSError, ValueError) as error:
            await send({"type": "lifespan.startup.failed", "message": f"Can't start: {error}"})
            return
        self._inference = _inference(running, self._settings)
        endpoints = list(self._inference.values())
        part = Part(("limits.max_body_bytes", "limits.body_timeout"), lambda new: _bounds(new, endpoints))
        running.administration.reload.parts.append(part)
        self._rest = Starlette(
            routes=routes(running), exception_handlers={404: self._not_found, 405: self._not_found}
        )
        await send({"type": "lifespan.startup.complete"})
        try:
            await receive()
        except asyncio.CancelledError:  # told twice to stop: at once, then
            return
        await running.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _not_found(self, request: Request, problem: Exception) -> Response:
        path = request.url.path[:200]
        if path in self._inference or (isinstance(problem, HTTPException) and problem.status_code == 405):  # noqa: PLR2004
            refusal = Refusal(405, "method_not_allowed", f"{path} doesn't take {request.method}.")
        else:
            refusal = Refusal(404, "unknown_url", f"There is no {request.method} {path}.")
        return error_response(refusal, request_id(joined(request.headers.raw)))


def _bounds(settings: Settings, endpoints: Sequence[Inference]) -> Callable[[], None]:
    """What puts other bounds on requests' bodies in place."""
    limits = settings.limits

    def commit() -> None:
        for endpoint in endpoints:
            endpoint.bound(limits.max_body_bytes, limits.body_timeout_s)

    return commit


def _inference(running: Running, settings: Settings) -> dict[str, Inference]:
    """The inference endpoints by path."""
    limits = settings.limits
    dialects: dict[str, Dialect] = {f"/v1/{endpoint}": OpenAIDialect(endpoint) for endpoint in Endpoint}
    dialects["/v2/inference/submit"] = NativeDialect()
    return {
        path: Inference(
            running.gateway,
            running.observer,
            dialect,
            running.jobs.desk,
            max_body_bytes=limits.max_body_bytes,
            body_timeout_s=limits.body_timeout_s,
            begin_trace=running.begin_trace,
        )
        for path, dialect in dialects.items()
    }
